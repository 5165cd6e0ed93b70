"""What NOMAD and Croissant say of data becomes a manifest, in the units that they are in."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from xtalfuse.cli import app
from xtalfuse.datasets.manifest.table import read_manifest

PATTERN = "".join(f"{20 + 0.1 * k:.1f} {9 + k % 7}\n" for k in range(50))


def told(data: Path, *options: str, code: int = 0) -> str:
    place = ["-o", str(data.parent / "manifest.csv")]
    done = CliRunner().invoke(app, ["dataset", "template", str(data), *place, *options])
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


def manifest(data: Path, *options: str) -> list[dict[str, str]]:
    told(data, *options)
    with (data.parent / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def archive(entry: str, mainfile: str, **data: object) -> dict[str, object]:
    """As NOMAD writes it: results in SI units."""
    moduli = [
        {"type": "voigt_reuss_hill_average", "value": 76.0e9},
        {"type": "voigt_average", "value": 77.0e9},
        {"type": "birch_murnaghan", "value": 1.0},
    ]
    return {
        "metadata": {"entry_id": entry, "mainfile": mainfile, "upload_id": "u1",
                     "license": "CC BY 4.0", "datasets": [{"doi": "10.1/x"}]},
        "results": {"material": {"elements": ["Al"], "chemical_formula_hill": "Al4",
                                 "symmetry": {"prototype_name": "fcc"}},
                    "properties": {"mechanical": {"bulk_modulus": moduli}}},
        "data": data,
    }  # fmt: skip


def test_an_archive_of_nomad(tmp_path: Path):
    folder = tmp_path / "upload"
    folder.mkdir()
    (folder / "a.xy").write_text(PATTERN)
    found = archive("e1", "a.archive.json", m_def="x.ELNXRayDiffraction", data_file="a.xy")
    (folder / "a.archive.json").write_text(json.dumps(found))
    for data, where in ((folder, "upload/a.xy"), (folder / "a.archive.json", "a.xy")):
        (row,) = manifest(data)
        assert (row["id"], row["path"], row["licence"]) == ("e1", where, "CC BY 4.0")
        assert (row["source"], row["group"], row["prototype"]) == ("10.1/x", "u1", "fcc")
    (specimen,) = read_manifest(folder / "manifest.csv").specimens
    assert specimen.targets["bulk_modulus"].value == pytest.approx(76.0)  # GPa
    assert set(specimen.targets) == {"bulk_modulus", "bulk_modulus_voigt"}


def test_an_answer_of_its_api(tmp_path: Path):
    rows = [{"entry_id": f"e{k}", "archive": archive(f"e{k}", "vasprun.xml")} for k in range(3)]
    (tmp_path / "answer.json").write_text(json.dumps({"data": rows, "pagination": {}}))
    found = manifest(tmp_path / "answer.json")
    assert [row["id"] for row in found] == ["e0", "e1", "e2"]
    assert "path" not in found[0]
    assert found[0]["composition"] == "Al4"


def croissant(folder: Path, **other: object) -> Path:
    (folder / "sets").mkdir()
    for name in ("a.xy", "sets/b.xy"):
        (folder / name).write_text(PATTERN)
    (folder / "t.csv").write_text("formula,E\nAl2O3,400\nMgO,300\n")
    files = [
        {"@type": "cr:FileObject", "contentUrl": name,
         "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}
        for name in ("a.xy", "t.csv")
    ]  # fmt: skip
    files[0] |= other
    files.append({"@type": "cr:FileSet", "includes": "sets/*.xy"})
    content = {"conformsTo": "http://mlcommons.org/croissant/1.0", "license": "CC0",
               "distribution": files}  # fmt: skip
    (folder / "croissant.json").write_text(json.dumps(content))
    return folder / "croissant.json"


def test_a_dataset_with_croissant_metadata(tmp_path: Path):
    data = croissant(tmp_path)
    found = [(row["path"], row["licence"]) for row in manifest(data)]
    assert found == [("a.xy", "CC0"), ("sets/b.xy", "CC0")]
    labels = manifest(data, "--composition", "formula", "--target", "E=youngs_modulus[GPa]")
    assert [row["target:youngs_modulus[GPa]"] for row in labels] == ["400", "300"]


@pytest.mark.parametrize(
    ("other", "cause"),
    [
        ({"contentUrl": "gone.xy"}, "gone.xy is not here"),
        ({"contentUrl": "https://example.org/a.xy"}, "is not here"),
        ({"contentUrl": "../secret.xy"}, "leads out of the folder"),
        ({"sha256": "0" * 64}, "its sha256 is not the one"),
    ],
)
def test_what_is_not_as_described_is_refused(tmp_path: Path, other, cause):
    (tmp_path / "secret.xy").write_text(PATTERN)
    (tmp_path / "inside").mkdir()
    assert cause in told(croissant(tmp_path / "inside", **other), code=4)


@pytest.mark.parametrize(
    "content",
    [
        [{"formula": "Al2O3", "E": 400}, {"formula": "MgO", "E": 300}],
        {"columns": ["formula", "E"], "data": [["Al2O3", 400], ["MgO", 300]], "index": [0, 1]},
    ],
)
def test_tables_of_jarvis_and_matminer(tmp_path: Path, content):
    (tmp_path / "t.json").write_text(json.dumps(content))
    options = ("--composition", "formula", "--target", "E=youngs_modulus[GPa]")
    rows = manifest(tmp_path / "t.json", *options)
    assert [row["composition"] for row in rows] == ["Al2O3", "MgO"]
    for wrong in ('{"a": 1}', "[1, 2]", "[]", "{"):
        (tmp_path / "n.json").write_text(wrong)
        assert "n.json" in told(tmp_path / "n.json", code=4)
