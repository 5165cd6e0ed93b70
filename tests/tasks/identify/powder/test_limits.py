"""What a pattern cannot tell is said: no line, one line, an element that was not named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xtalfuse.datasets.library.build import Library, builtin
from xtalfuse.encoders.pattern import encode_pattern
from xtalfuse.loaders.record import Measurement, Record
from xtalfuse.report.phases import headline, unknown_text
from xtalfuse.tasks.identify.pipeline import identify
from xtalfuse.tasks.identify.powder.phase import analyse_pattern, library_models, lines_stand_out
from xtalfuse.tasks.identify.powder.screen import Screen

# structures of simple cubic metals, salts and semiconductors: few lines, many relatives
RELATIVES = ("Silicon", "Sphalerite", "Gallium phosphide", "Fluorite", "Cerianite", "Uraninite",
             "Nantokite", "Halite", "Oldhamite", "Periclase", "Carobbiite")  # fmt: skip


@pytest.fixture(scope="module")
def relatives() -> Library:
    library = builtin()
    return library.subset(
        [i for i, e in enumerate(library.entries) if e.name.startswith(RELATIVES)]
    )


def with_values(measurement: Measurement, mean: np.ndarray, seed: int = 1) -> Measurement:
    counts = np.random.default_rng(seed).poisson(mean).astype(float)
    return replace(measurement, values=counts)


def smooth_curves(angle: np.ndarray) -> dict[str, np.ndarray]:
    air = 100.0 + 2000.0 / angle**1.5
    return {
        "flat": np.full_like(angle, 100.0),
        "air scatter": air,
        "halo of glass": air + 800.0 * np.exp(-0.5 * ((angle - 22.0) / 3.2) ** 2),
        "halo of water": air + 500.0 * np.exp(-0.5 * ((angle - 28.0) / 2.6) ** 2),
        "few counts": np.full_like(angle, 1.5),
    }


@pytest.mark.parametrize(
    "name", ["flat", "air scatter", "halo of glass", "halo of water", "few counts"]
)
def test_where_no_line_is_nothing_crystalline_is_seen(powder, references, name):
    measurement = powder({"corundum": 1.0})
    angle = measurement.axis("two_theta")
    answer = identify(
        Record("plate", None, (with_values(measurement, smooth_curves(angle)[name]),)), references
    )
    assert answer.crystalline is False
    assert answer.phases == ()
    # nothing is missing from the library either: that is another answer than "unknown"
    assert answer.unknown.probability == 0.0
    assert headline(answer) == "Nothing crystalline is seen."
    assert "No diffraction line" in unknown_text(answer)
    assert any("nothing crystalline is seen" in text for text in answer.warnings)
    assert answer.to_dict()["crystalline"] is False
    assert "nothing crystalline" in repr(answer)


def test_one_sharp_line_is_something_crystalline(powder):
    measurement = powder({"corundum": 1.0})
    angle = measurement.axis("two_theta")
    # six standard deviations of what a line covers: some five channels of 100 counts
    line = 60.0 * np.exp(-4.0 * np.log(2.0) * ((angle - 40.0) / 0.12) ** 2)
    mean = smooth_curves(angle)["halo of glass"] + 4.0 * line
    assert lines_stand_out(encode_pattern(with_values(measurement, mean), 2.5))


def test_a_pattern_with_phases_is_crystalline(powder, references):
    answer = identify(Record("s", None, (powder({"quartz": 1.0}),)), references, refine=False)
    assert answer.crystalline is True


def test_one_line_is_no_phase_but_a_class(powder):
    # quartz from 25 to 35 degrees has its 101 alone; so have many others a line there
    measurement = powder({"quartz": 1.0}, two_theta=(25.0, 35.0, 0.01), counts=20_000.0)
    library = builtin()
    few = [i for i, e in enumerate(library.entries) if i % 3 == 0 or "quartz" in e.name.lower()]
    answer = identify(Record("short", None, (measurement,)), library.subset(few), refine=False)
    phase = max(answer.phases, key=lambda p: p.confidence)
    assert "quartz" in phase.name.lower() or any("quartz" in e for e in phase.equivalents)
    assert phase.confidence < 0.3
    assert len(phase.equivalents) > 3
    assert answer.unknown.probability > 0.25


def test_the_element_that_would_explain_lines_is_named(powder, references):
    measurement = powder({"corundum": 0.6, "calcite": 0.4})
    record = Record("mixture", None, (measurement,))
    answer = identify(record, references, elements=["Al", "Ca", "O"], refine=False)
    assert [p.entry for p in answer.phases] == ["corundum"]
    more = {p.entry: p.elements for p in answer.unknown.one_more_element}
    assert more["calcite"] == ("C",)
    assert any("calcite" in text.lower() and "with C" in text for text in answer.warnings)
    # with the element there is nothing left to say
    full = identify(record, references, elements=["Al", "Ca", "O", "C"], refine=False)
    assert full.unknown.one_more_element == ()


@pytest.mark.parametrize("name", RELATIVES)
def test_a_simple_structure_is_told_from_its_relatives(powder, relatives, name):
    """Each with the cell of its reference: strain of another does not make up for it."""
    from tests.conftest import _powder

    entry = next(e for e in relatives.entries if e.name.startswith(name))
    measurement = _powder(relatives, {entry.id: 1.0}, counts=20_000.0, width=0.1)
    found = analyse_pattern(measurement, relatives)
    assert [relatives.entries[p.entry].id for p in found.phases] == [entry.id]


def test_the_screen_finds_the_strain_on_the_crest_of_lines(powder, references):
    # strong lines: their flanks, too, are many standard deviations high
    strain = 0.0043
    measurement = powder({"halite": 1.0}, counts=200_000.0, strain={"halite": strain})
    signal = encode_pattern(measurement, 2.5)
    entry = references.index("halite")
    models = library_models(references, [entry], signal)
    screen = Screen(signal, list(models.values()))
    drawn = screen.drawn(signal.net, signal.variance)
    rank = screen.rank_drawn(drawn)
    found = screen.finer(rank, [0], drawn)[0]
    # a third of the width of a line, 0.1 deg, at 2-theta = 45
    assert found == pytest.approx(
        strain, abs=np.radians(0.1) / 3.0 / 2.0 / np.tan(np.radians(22.5))
    )


def test_very_many_counts_add_no_phase(powder, references):
    # tails that are cut, widths that are not quite right: no model is good to 1 / sqrt(N)
    measurement = powder({"fluorite": 1.0}, counts=4e5)
    angle = measurement.axis("two_theta")
    tails = np.convolve(measurement.values, 1.0 / (1.0 + np.arange(-60, 61) ** 2 / 9.0), "same")
    mean = measurement.values + 0.05 * tails
    answer = analyse_pattern(with_values(measurement, mean + 0.0 * angle), references)
    assert [references.entries[p.entry].id for p in answer.phases] == ["fluorite"]
