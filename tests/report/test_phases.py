"""The report says what the answer says, to everyone, and trusts no name it is given."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from xtalfuse.loaders.record import FileReport
from xtalfuse.report.evidence import describe, evidence_rows, explained_share, worse
from xtalfuse.report.phases import (
    element_rows,
    headline,
    phases_csv,
    render,
    unknown_text,
    write_report,
)
from xtalfuse.tasks.identify.answer import Answer, Crystallites, Unknown

HOSTILE = '"><script>alert(1)</script><img src=http://x onerror=y> $a_b$ \\ \udce9'


class Tags(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def strict(path: Path) -> dict:
    """JSON as the standard has it: NaN and Infinity are errors."""

    def refuse(text: str):
        raise AssertionError(f"{text} is not JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def test_result_json_has_the_promised_names(answer: Answer, tmp_path: Path):
    write_report(answer, tmp_path)
    result = strict(tmp_path / "result.json")
    assert set(result) >= {
        "specimen",
        "files",
        "elements",
        "phases",
        "unknown",
        "warnings",
        "fit",
        "seconds",
        "version",
    }
    assert not {"curves", "panels"} & set(result)
    file = {"path", "sha256", "modality", "reader", "used", "reason", "code"}
    assert set(result["files"][0]) == file
    phase = result["phases"][0]
    assert set(phase) >= {
        "name",
        "formula",
        "space_group_number",
        "entry",
        "equivalents",
        "weight_fraction",
        "weight_fraction_su",
        "cell",
        "cell_su",
        "confidence",
        "evidence",
    }
    assert (
        list(phase["cell"]) == list(phase["cell_su"]) == ["a", "b", "c", "alpha", "beta", "gamma"]
    )
    assert set(result["unknown"]) == {"probability", "unexplained_peaks", "one_more_element"}
    assert set(result["fit"]) >= {"r_wp", "gof"}
    assert phase["cell"]["c"] == 12.9923
    assert result["phases"][1]["cell"]["c"] is None


def test_a_number_that_is_not_finite_is_null(answer: Answer, tmp_path: Path):
    odd = replace(
        answer,
        fit={"r_wp": float("nan"), "gof": np.float64("inf")},
        elements={"Al": {"probability": np.float32(0.5), "lines": np.array([1.0, np.nan])}},
    )
    write_report(odd, tmp_path)
    result = strict(tmp_path / "result.json")
    assert result["fit"] == {"r_wp": None, "gof": None}
    assert result["elements"]["Al"] == {"probability": 0.5, "lines": [1.0, None]}


def test_the_page_shows_the_answer(answer: Answer, tmp_path: Path):
    page = write_report(answer, tmp_path).read_text()
    for text in ("86.2(4)", "a = 4.75936(8) Å", "c = 12.99230(15) Å", "hematite-like"):
        assert text in page
    assert "Al<sub>2</sub>O<sub>3</sub>" in page
    assert "2.8143" in page
    assert "fluorite rests on few peaks" in page
    assert "broken.dm3: cut short" in page
    assert "not explained" in page
    assert "1 expected reflection is not seen" in page


def test_the_page_needs_nothing_from_elsewhere(answer: Answer, tmp_path: Path):
    seen = Tags(write_report(answer, tmp_path).read_text())
    assert not {"link", "iframe", "object"} & set(seen.tags)
    sources = [value for name, value in seen.attributes if name in ("src", "srcset", "href")]
    assert sources
    assert all(value.startswith("data:image/png;base64,") for value in sources)


def test_only_the_viewer_may_run(answer: Answer, tmp_path: Path):
    page = write_report(answer, tmp_path).read_text()
    # the policy of the page names the script by its hash, so no other one runs
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page
    # nothing in it reaches out or turns text into markup
    for word in ("fetch(", "XMLHttpRequest", "innerHTML", "eval(", "http"):
        assert word not in script[0]


def test_the_viewer_has_the_curves(answer: Answer, tmp_path: Path):
    page = write_report(answer, tmp_path).read_text()
    text = re.findall(r'<script type="application/json" id="curves">(.*?)</script>', page)
    data = json.loads(text[0])
    assert answer.curves is not None
    observed = np.frombuffer(base64.b64decode(data["observed"]), "<f4")
    np.testing.assert_allclose(observed, answer.curves.observed, rtol=1e-6)  # 32-bit floats
    assert [phase["label"] for phase in data["phases"]] == [
        "Corundum 86.2(4) wt%",
        "Fluorite 13.8(2) wt%",
    ]
    assert data["unexplained"] == [[31.77, 2.8143]]


def test_hostile_names_stay_text(answer: Answer, tmp_path: Path):
    phase = replace(
        answer.phases[0], name=HOSTILE, formula=HOSTILE, entry=HOSTILE, equivalents=(HOSTILE,)
    )
    hostile = replace(
        answer,
        specimen=HOSTILE,
        files=(FileReport(HOSTILE, HOSTILE, HOSTILE, HOSTILE, False, HOSTILE),),
        elements={HOSTILE: HOSTILE},
        phases=(replace(phase, evidence={HOSTILE: HOSTILE}), *answer.phases[1:]),
        warnings=(HOSTILE,),
        panels=(replace(answer.panels[0], title=HOSTILE, marks=((HOSTILE, 532.0),)),),
    )
    clean = Tags(write_report(answer, tmp_path / "clean").read_text())
    page = Tags(write_report(hostile, tmp_path / "hostile").read_text())
    assert page.tags.count("script") == clean.tags.count("script")
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.tags.count("img") == clean.tags.count("img")
    assert strict(tmp_path / "hostile" / "result.json")["specimen"] == HOSTILE


def test_the_figure_is_a_png_that_can_be_read(answer: Answer, tmp_path: Path):
    write_report(answer, tmp_path)
    from matplotlib.image import imread

    picture = imread(tmp_path / "pattern.png")
    assert picture.shape[0] > 800
    assert picture.shape[1] > 1600
    # the marks are drawn in a red that nothing else has
    red = (picture[..., 0] > 0.7) & (picture[..., 1] < 0.25) & (picture[..., 2] < 0.25)
    assert red.sum() > 100


def test_the_table_can_be_read_back(answer: Answer, tmp_path: Path):
    write_report(answer, tmp_path)
    with (tmp_path / "phases.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["Corundum", "Fluorite"]
    assert float(rows[0]["c_su"]) == 0.00015
    assert rows[1]["c"] == ""


@pytest.mark.parametrize(("unknown", "of"), [(0.49, "crystalline"), (0.51, "explained")])
def test_fractions_say_what_they_are_of(answer: Answer, unknown: float, of: str):
    said = replace(answer, unknown=Unknown(unknown))
    assert all(row["fraction_of"] == of for row in csv.DictReader(phases_csv(said).splitlines()))
    for text in (headline(said), render(said, None)):
        assert ("of what is explained" in text) == (of == "explained")


def test_the_page_shows_where_uncertainties_come_from(answer: Answer):
    parts = {"weight_fraction": {"fit": 0.001, "model": 0.02, "instrument": 0.0}}
    phase = replace(
        answer.phases[0], uncertainty=parts, crystallites=Crystallites(52.0, 3.0, None, None)
    )
    page = render(replace(answer, phases=(phase,)), None)
    assert "Where the uncertainties come from" in page
    assert "crystallites of 52(3) nm; apparent" in page
    assert "Where the uncertainties" not in render(answer, None)


def test_a_specimen_without_a_pattern_has_no_figure(answer: Answer, tmp_path: Path):
    write_report(answer, tmp_path)
    page = write_report(replace(answer, curves=None, panels=()), tmp_path).read_text()
    assert not (tmp_path / "pattern.png").exists()  # the earlier one would be of another answer
    assert "<img" not in page
    assert "<script" not in page


def test_nothing_half_written_is_left(answer: Answer, tmp_path: Path):
    write_report(answer, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"report.html", "pattern.png", "phases.csv", "result.json"}


def test_no_phase_is_said_to_be_unknown(answer: Answer, tmp_path: Path):
    nothing = replace(answer, phases=(), unknown=Unknown(0.99, answer.unknown.unexplained_peaks))
    page = write_report(nothing, tmp_path).read_text()
    assert "Unknown: no phase of the library" in page
    assert re.search(r'class="note alarm"', page)


def test_the_headline_does_not_hide_a_doubt(answer: Answer):
    assert headline(answer) == "Corundum 86.2(4) wt% and Fluorite 13.8(2) wt%."
    doubtful = replace(answer, phases=(answer.phases[0], replace(answer.phases[1], confidence=0.3)))
    assert "perhaps Fluorite" in headline(doubtful)
    likely = replace(answer, unknown=replace(answer.unknown, probability=0.8))
    assert "something that the library does not hold" in headline(likely)


def test_the_unexplained_share_is_that_of_the_foreign_peak(answer: Answer):
    # Heights and widths are known: 12 of 12 + 437 + 0.15 * 233 parts. The peak's tails are lost
    # where they sink into the noise, at most a third of a Lorentzian at this count.
    truth = 12.0 / (12.0 + 437.0 + 0.15 * 233.0)
    share = answer.curves.unexplained_share(answer.unknown.unexplained_peaks)
    assert share == pytest.approx(truth, rel=0.35)
    assert answer.curves.unexplained_share(()) is None


def test_without_diffraction_nothing_is_said_about_the_library(answer: Answer):
    spectrum = replace(answer, phases=(), curves=None, fit={"r_wp": None, "gof": None})
    assert headline(spectrum) == "Al, O; which phases there are cannot be told from these records."
    assert "library" not in unknown_text(spectrum)


def test_elements_that_are_not_there_do_not_fill_the_page():
    seen = {"probability": 0.99, "sources": ["edge.msa: Fe L2,3"]}
    elements = {"Ag": {"probability": 0.01}, "C": {"probability": 0.3}, "Fe": seen}
    assert element_rows(elements) == [("Fe", 0.99, "edge.msa: Fe L2,3"), ("C", 0.3, "")]
    assert element_rows({"given": ["Al", "O"]}) == [("given", None, "Al, O")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"log_gain": 812.44, "peaks": 3}, "log gain 812; peaks 3"),
        ([0.123456, "Al"], "0.123, Al"),
        ([], "none"),
        (None, "not known"),
        (True, "yes"),
    ],
)
def test_evidence_is_put_in_words(value, text):
    assert describe(value) == text


def test_the_evidence_reads_as_a_scientist_would_say_it(answer: Answer, tmp_path: Path):
    said = {
        "gain": 1240.0, "margin": 77.4, "strain": 0.3, "support": 0.934, "lines": 12.0,
        "broadening": 0.1, "height": 1.0, "candidates": 20.0, "unexplained": 0.01, "misfit": 1.2,
        "best_rival": "hematite",
    }  # fmt: skip
    phases = (
        replace(answer.phases[0], evidence={"xrd": said, "elements": {"Al": 0.99, "O": 0.4}}),
        replace(answer.phases[1], evidence={"xrd": {**said, "margin": 3.0, "lines": 4.0}}),
    )
    first, second = (words for _, words in evidence_rows(replace(answer, phases=phases)))
    text = " ".join(first["xrd"])
    # 437 of 437 + 0.15 * 233 + 12 parts; the sum of the noise is 0.6 % of the whole
    share = explained_share(answer, answer.phases[0])
    assert share == pytest.approx(437.0 / (437.0 + 0.15 * 233.0 + 12.0), abs=0.015)
    assert text.startswith(f"Explains {100 * share:.0f} % of the pattern's intensity.")
    assert "12 of its lines are seen; 93 % of them" in text
    assert "Without it the fit is far worse (Δχ² = 1240)." in text
    assert "With hematite, its best rival, in its place it is far worse (Δχ² = 77)." in text
    assert first["elements"] == ["Al 99 %, O 40 %."]
    assert "4 of its lines are seen, 1 that should be seen is not;" in " ".join(second["xrd"])
    assert "it is no worse (Δχ² = 3)" in " ".join(second["xrd"])
    page = write_report(replace(answer, phases=phases), tmp_path).read_text()
    assert "best_rival" not in page
    assert "candidates" not in page
    assert strict(tmp_path / "result.json")["phases"][0]["evidence"]["xrd"] == said


def test_a_rival_worse_than_nothing_is_no_rival(answer: Answer):
    said = {"gain": 30.0, "margin": 30.0, "best_rival": "hematite"}
    phase = replace(answer.phases[0], evidence={"xrd": said})
    (words,) = (words for _, words in evidence_rows(replace(answer, phases=(phase,))))
    assert "hematite" not in " ".join(words["xrd"])
    assert worse(9.0).startswith("a little worse")


def test_what_rings_say_is_put_in_words(answer: Answer):
    alone = {"log_likelihood": 8.0, "tied": 3, "observable": {}, "explained": 0.8,
             "families": ["fcc"]}  # fmt: skip
    beside = {"a.tif": 9.0, "b.tif": 1.0, "c.tif": -2.0}
    phases = tuple(replace(answer.phases[0], evidence={"rings": said}) for said in (alone, beside))
    first, second = (words for _, words in evidence_rows(replace(answer, phases=phases)))
    assert "80 % of the intensity of the rings" in first["rings"][0]
    assert first["rings"][1] == "2 other phases fit as well."
    assert second["rings"] == [
        "a.tif: the rings are its own.",
        "b.tif: the rings agree with it.",
        "c.tif: the rings speak against it.",
    ]


def test_notes_and_group_are_shown(answer: Answer, tmp_path: Path):
    told = replace(answer, notes="from the north <edge>", group="batch 3")
    page = write_report(told, tmp_path).read_text()
    assert "from the north &lt;edge&gt;" in page
    assert "batch 3" in page
    result = strict(tmp_path / "result.json")
    assert (result["notes"], result["group"]) == ("from the north <edge>", "batch 3")


def test_the_page_does_not_tell_where_files_lie(answer: Answer, tmp_path: Path):
    files = tuple(
        FileReport(path, "ab" * 32, "xrd", "rietx", True, "")
        for path in ("/home/someone/secret/scan.xy", r"C:\Users\someone\secret\other.xy")
    )
    page = write_report(replace(answer, files=files), tmp_path).read_text()
    assert "secret" not in page
    assert "scan.xy" in page
    assert "other.xy" in page
    assert strict(tmp_path / "result.json")["files"][0]["path"] == files[0].path


def test_a_page_can_be_read_with_the_keyboard(answer: Answer, tmp_path: Path):
    page = write_report(answer, tmp_path).read_text()
    areas = re.findall(r'<div class="wide[^>]*>', page)
    assert len(areas) == page.count("<table")
    for area in areas:
        assert 'tabindex="0" role="region" aria-label="' in area
    assert page.count("<main>") == page.count("</main>") == 1
