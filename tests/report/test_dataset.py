"""The page of a dataset tells counts, labels and reasons, and trusts nothing that stands in it."""

from __future__ import annotations

from pathlib import Path

from xtalfuse.datasets.records.build import build
from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.report.dataset import BINS, dataset_page, distribution


def test_the_page_of_a_dataset(tmp_path: Path):
    rows = ["id,path,composition,target:hardness[HV],target:route"]
    rows += [f"a{k},,Fe{k + 1},{100 + k},{'cast' if k else 'rolled'}" for k in range(9)]
    rows += ["b,gone<b>.xy,Fe,120,cast", "c,,Fe,hard,cast"]
    (tmp_path / "m.csv").write_text("\n".join(rows))
    build(tmp_path / "m.csv", tmp_path / "out")
    dataset = Dataset(tmp_path / "out")
    page = dataset_page(dataset)
    assert "10 records of 10 groups, 1 refused" in page
    for told in ("missing", "gone&lt;b&gt;.xy", "0.9807 to 1.059", "cast 9, rolled 1"):
        assert told in page, told
    assert "<b>.xy" not in page
    curve, over = distribution(dataset, "hardness")
    assert len(curve) == BINS
    assert curve.count("█") == 9  # evenly spread: nine numbers, each alone in its bin
    assert over == "0.9807 to 1.059"
