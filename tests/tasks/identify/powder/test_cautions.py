"""Warnings that a reader of an answer needs, and silence where none is due."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xtalfuse.encoders.pattern import encode_pattern
from xtalfuse.loaders.record import Beam
from xtalfuse.physics.crystal.absorption import absorption_per_cm
from xtalfuse.physics.crystal.cell import Crystal, Site
from xtalfuse.physics.units import radiation
from xtalfuse.tasks.identify.powder.cautions import cautions
from xtalfuse.tasks.identify.powder.phase import analyse_pattern

CU = 1.5418
CUBE = (90.0, 90.0, 90.0)


@pytest.mark.parametrize(
    ("crystal", "wavelength", "expected", "tolerance"),
    [
        # mass attenuation for Cu K-alpha (8.05 keV) times density, NIST XCOM (Berger et al.) and
        # Int. Tables C, table 4.2.4.3: Fe 302-308 cm^2/g x 7.87, Si 63.7 x 2.329, Cu 51.5 x 8.94
        (Crystal((2.8665,) * 3 + CUBE, "I m -3 m", (Site("Fe", (0, 0, 0)),)), CU, 2400.0, 0.03),
        (
            Crystal((5.43102,) * 3 + CUBE, "F d -3 m:2", (Site("Si", (0.125,) * 3),)),
            CU,
            148.0,
            0.04,
        ),
        (Crystal((3.615,) * 3 + CUBE, "F m -3 m", (Site("Cu", (0, 0, 0)),)), CU, 460.0, 0.08),
        # Co K-alpha is below the iron edge: 57.2 x 7.87
        (Crystal((2.8665,) * 3 + CUBE, "I m -3 m", (Site("Fe", (0, 0, 0)),)), 1.7903, 450.0, 0.08),
    ],
    ids=["Fe", "Si", "Cu", "Fe for Co"],
)
def test_absorption_of_elements(crystal, wavelength, expected, tolerance):
    # Tables differ by 2 %, scattering, which is left out, adds 2 % for silicon; below the K edge
    # the cross-sections of Cromer & Liberman are low by some 6 %.
    assert absorption_per_cm(crystal, wavelength) == pytest.approx(expected, rel=tolerance)


def test_absorption_of_a_compound_is_that_of_its_atoms():
    iron = Crystal((2.8665,) * 3 + CUBE, "I m -3 m", (Site("Fe", (0, 0, 0)),))
    thin = replace(iron, cell=(2.8665 * 2.0 ** (1 / 3),) * 3 + CUBE)
    assert absorption_per_cm(thin, CU) == pytest.approx(absorption_per_cm(iron, CU) / 2.0)
    half = replace(iron, sites=(Site("Fe", (0, 0, 0), 0.5),))
    assert absorption_per_cm(half, CU) == pytest.approx(absorption_per_cm(iron, CU) / 2.0)


def told(powder, references, fractions, **options) -> list[str]:
    answer = analyse_pattern(powder(fractions, **options), references)
    assert len(answer.phases) == len(fractions)
    return cautions(answer, references)


def test_a_good_pattern_of_like_phases_has_no_cautions(powder, references):
    # corundum 126 /cm, quartz 97 /cm for Cu K-alpha
    assert told(powder, references, {"corundum": 0.5, "quartz": 0.5}) == []


def test_microabsorption_is_named_with_its_size(powder, references):
    (text,) = told(powder, references, {"iron_alpha": 0.5, "quartz": 0.5})
    assert text.startswith("absorption contrast: Iron")
    assert "Do not trust the fractions" in text


def test_microabsorption_depends_on_the_radiation(powder, references):
    # for Co K-alpha iron absorbs five times less
    range_ = (18.0, 90.0, 0.03)
    pair = {"hematite": 0.5, "corundum": 0.5}
    copper = told(powder, references, pair)
    cobalt = told(powder, references, pair, lines="CoKa", two_theta=range_)
    assert any("absorption contrast" in text for text in copper)
    assert not any("absorption contrast" in text for text in cobalt)


def test_one_phase_has_no_contrast(powder, references):
    assert told(powder, references, {"iron_alpha": 1.0}) == []


def test_a_stretched_axis_comes_first(powder, references):
    found = told(powder, references, {"corundum": 0.5, "fluorite": 0.2, "zincite": 0.3},
                 stretch=0.015)  # fmt: skip
    assert "+1.4" in found[0] or "+1.5" in found[0]
    assert "wavelength" in found[0]


@pytest.fixture(scope="module")
def answer(powder, references):
    return analyse_pattern(powder({"corundum": 0.5, "fluorite": 0.5}), references)


@pytest.mark.parametrize("stretch", [1e-4, -1e-4, 5e-4])
def test_a_stretch_that_cells_scatter_by_is_nothing_to_say(answer, references, stretch):
    instrument = replace(answer.fit.instrument, stretch=stretch)
    found = cautions(replace(answer, fit=replace(answer.fit, instrument=instrument)), references)
    assert not any("all phases look" in text for text in found)


@pytest.mark.parametrize(
    ("true", "stated", "strain"),
    [
        ("CoKa", "CuKa", 0.0),
        ("CuKa", "CoKa", 0.0),
        ("MoKa", "CuKa", 0.0),
        ("CuKa", "CuKa", 0.05),  # a phase that the library lacks, and no other anode
    ],
)
def test_the_anode_that_would_explain_the_lines_is_named(
    powder, references, answer, true, stated, strain
):
    pattern = powder({"corundum": 1.0}, lines=true, strain={"corundum": strain})
    signal = encode_pattern(replace(pattern, beam=Beam("x-ray", radiation(stated))), 5.0)
    found = cautions(replace(answer, signal=signal, unknown_probability=1.0), references)
    named = [text for text in found if "--wavelength" in text]
    assert named == ([] if true == stated else found[:1])
    assert all(f"--wavelength {true}" in text for text in named)


def test_a_cell_far_from_its_reference_is_named(powder, references):
    found = told(powder, references, {"corundum": 0.5, "halite": 0.5}, strain={"halite": 0.007})
    assert any(text.startswith("Halite: its cell is +0.7 % off") for text in found)
    assert not any(text.startswith("Corundum: its cell") for text in found)


def test_texture_is_named(powder, references):
    found = told(
        powder, references, {"quartz": 0.5, "halite": 0.5}, counts=20_000,
        texture={"quartz": ((0, 0, 1), 0.5)},
    )  # fmt: skip
    assert any("Quartz" in text and "preferred orientation along (0 0 1)" in text for text in found)


def test_few_grains_are_named(powder, references):
    found = told(powder, references, {"corundum": 0.6, "halite": 0.4}, counts=20_000,
                 adjust={"corundum": (1, 8.0)})  # fmt: skip
    assert any("Corundum" in text and "few or oriented grains" in text for text in found)


def test_an_unusual_reference_is_passed_on(powder, references):
    answer = analyse_pattern(powder({"quartz": 1.0}), references)
    at = references.index("quartz")
    entries = list(references.entries)
    entries[at] = replace(entries[at], warnings=("atoms 0.9 angstrom apart",))
    strange = type(references)(entries, references._arrays)
    assert any("atoms 0.9 angstrom apart" in text for text in cautions(answer, strange))


def test_fluorescence_is_named(powder, references):
    found = told(powder, references, {"hematite": 1.0}, counts=1500.0, background=4000.0)
    assert any("fluorescence" in text for text in found)


def test_a_shifted_specimen_is_named(powder, references):
    pattern = powder({"corundum": 0.5, "fluorite": 0.5})
    answer = analyse_pattern(pattern, references)
    instrument = replace(answer.fit.instrument, displacement=0.2, zero=0.0)
    found = cautions(replace(answer, fit=replace(answer.fit, instrument=instrument)), references)
    assert "shifted by 0.20 degrees" in found[0]
    assert np.isfinite(answer.unknown_probability)
