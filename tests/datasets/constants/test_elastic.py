"""The table of elastic constants: symmetry, stability, other measurements, how it is asked."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from xtalfuse.datasets.constants.elastic import (
    ElasticRecord,
    elastic_constants,
    elastic_records,
    stiffness_of,
)
from xtalfuse.datasets.library.sources import typed_phases
from xtalfuse.physics.mechanics.elasticity import (
    check_stiffness,
    polycrystal_bounds,
    universal_anisotropy,
    voigt_from_mandel,
)
from xtalfuse.physics.orientation.point_group import laue_of

RECORDS = elastic_records()
each = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.id)


def test_enough_phases_of_every_kind() -> None:
    assert len(RECORDS) >= 100
    assert {r.laue for r in RECORDS} == {
        "m-3m", "m-3", "6/mmm", "6/m", "-3m", "-3", "4/mmm", "4/m", "mmm", "2/m"
    }  # fmt: skip
    assert sum(r.polycrystal is not None for r in RECORDS) >= 25


@each
def test_record(record: ElasticRecord) -> None:
    """Stable (Born), of its Laue group's symmetry, plausible, and cited."""
    stiffness = torch.tensor(record.stiffness)
    check_stiffness(stiffness, record.laue)
    assert np.linalg.eigvalsh(record.stiffness)[0] > 0.0
    hill = polycrystal_bounds(stiffness).hill
    assert -0.2 < hill.poisson < 0.46  # cristobalite is auxetic, copper(I) oxide nearly a liquid
    # beta brass 7.9, lithium 8.0, paratellurite 12.9; only layers of graphite go beyond
    assert universal_anisotropy(stiffness) < (110.0 if record.id == "graphite" else 14.0)
    assert 0.003 <= record.relative_uncertainty <= 0.2
    assert record.citation.endswith(".")
    assert any(year in record.citation for year in ("19", "20"))
    assert not record.stiffness.flags.writeable


@pytest.mark.parametrize(
    "record", [r for r in RECORDS if r.polycrystal], ids=lambda record: record.id
)
def test_hill_average_is_what_others_measured(record: ElasticRecord) -> None:
    """5 %: Hill's average is good to 1-3 % where bounds are near, and two laboratories' moduli
    differ by as much; moduli under pressure are isothermal, up to 2 % below the adiabatic ones."""
    hill = polycrystal_bounds(torch.tensor(record.stiffness)).hill
    other = record.polycrystal
    assert other is not None
    if other.bulk is not None:
        assert float(hill.bulk) == pytest.approx(other.bulk, rel=0.05)
    if other.shear is not None:
        assert float(hill.shear) == pytest.approx(other.shear, rel=0.05)
    assert other.bulk is not None or other.shear is not None


def test_entries_are_in_the_library_and_the_same_phase() -> None:
    phases = {phase.id: phase for phase in typed_phases()[0]}
    joined = [(record, name) for record in RECORDS for name in record.entries]
    assert len(joined) >= 140
    assert len({name for _, name in joined}) == len(joined)
    for record, name in joined:
        crystal = phases[name].crystal
        assert crystal.space_group_number == record.space_group, name
        # the constants of an alloy or a mineral are of the crystal measured: within 8 %
        assert crystal.density_g_cm3 == pytest.approx(record.density_g_cm3, rel=0.08), name


def test_independent_constants_fill_the_matrix() -> None:
    """Nye (1957), Physical Properties of Crystals, table 9."""
    cubic = voigt_from_mandel(torch.tensor(stiffness_of({"c11": 3, "c12": 1, "c44": 2}, "m-3m")))
    expected = np.diag([3.0, 3, 3, 2, 2, 2])
    expected[:3, :3] += 1.0 - np.eye(3)
    np.testing.assert_allclose(cubic.numpy(), expected, atol=1e-9)
    constants = {"c11": 87.0, "c12": 7.0, "c13": 12.0, "c33": 106.0, "c44": 58.0, "c14": -18.0}
    trigonal = voigt_from_mandel(torch.tensor(stiffness_of(constants, "-3m"))).numpy()
    assert trigonal[0, 3] == pytest.approx(-18.0)
    assert trigonal[1, 3] == pytest.approx(18.0)
    assert trigonal[4, 5] == pytest.approx(-18.0)
    assert trigonal[5, 5] == pytest.approx(40.0)  # (c11 - c12) / 2
    assert trigonal[0, 4] == pytest.approx(0.0, abs=1e-9)


def test_monoclinic_crystals_are_turned_to_x_along_a() -> None:
    """Linear and volume compressibility do not depend on axes; the 2-fold axis stays along y."""
    diopside = elastic_constants("diopside")
    published = stiffness_of(
        {"c11": 223, "c22": 171, "c33": 235, "c44": 74, "c55": 67, "c66": 66, "c12": 77,
         "c13": 81, "c23": 57, "c15": 17, "c25": 7, "c35": 43, "c46": 7.3}, "2/m",
    )  # fmt: skip
    np.testing.assert_allclose(
        np.linalg.eigvalsh(diopside.stiffness), np.linalg.eigvalsh(published), rtol=1e-9
    )
    turned = voigt_from_mandel(torch.tensor(diopside.stiffness)).numpy()
    assert turned[1, 1] == pytest.approx(171.0)
    # along a, 15.9 degrees from a* towards -c: C of (sin b, 0, cos b), by hand
    s, c = np.sin(np.radians(105.9)), np.cos(np.radians(105.9))
    along_a = 223 * s**4 + 235 * c**4 + 2 * (81 + 2 * 67) * (s * c) ** 2
    along_a += 4 * 17 * s**3 * c + 4 * 43 * s * c**3
    assert turned[0, 0] == pytest.approx(along_a)


@pytest.mark.parametrize(
    ("constants", "laue", "message"),
    [
        ({"c11": 100, "c12": 50}, "m-3m", "3 independent constants"),
        ({"c11": 100, "c12": 50, "c44": 40, "c33": 90}, "m-3m", "contradict"),
        ({"c11": 100, "c12": 120, "c44": 40}, "m-3m", "positive definite"),
        ({"c11": 100, "c12": 50, "c77": 40}, "m-3m", "no elastic constant 'c77'"),
        ({"c11": 9, "c12": 5, "c13": 4, "c33": 9, "c44": 2, "c15": 1}, "-3m", "do not determine"),
    ],
)
def test_impossible_constants_are_refused(constants, laue, message) -> None:
    with pytest.raises(ValueError, match=message):
        stiffness_of(constants, laue)


@pytest.mark.parametrize(
    ("query", "options", "expected"),
    [
        ("copper", {}, "copper"),
        ("Cu", {}, "copper"),
        ("Aluminum", {}, "aluminium"),
        ("Iron bcc (old)", {}, "iron_alpha"),  # as instruments write it
        ("ferrite/ferrite", {}, "iron_alpha"),
        ("austenite/austenite", {}, "austenite"),
        ("Fe", {"laue": "m-3m"}, "iron_alpha"),
        ("Al2 O3", {}, "corundum"),
        ("CaMg(CO3)2", {}, "dolomite"),
        ("CaCO3", {"laue": "-3m"}, "calcite"),
        ("CaCO3", {"space_group": 62}, "aragonite"),
        ("SiO2", {"space_group": 152}, "quartz"),  # the left-handed one is its mirror image
        ("C", {"laue": "m-3m"}, "diamond"),
        ("iron_alpha", {}, "iron_alpha"),
        ("316", {}, "austenite"),
        ("Ni-superalloy", {}, "nickel_alloy_600"),
    ],
)
def test_found_by_name_and_formula(query, options, expected) -> None:
    assert elastic_constants(query, **options).id == expected


@pytest.mark.parametrize(
    ("query", "options", "message"),
    [
        ("coper", {}, "did you mean 'Copper'"),
        ("SiO2", {}, "more than one crystal .*quartz"),
        ("TiO2", {"space_group": 141}, "'TiO2' with space group 141.*rutile"),
        ("Fe", {"space_group": 225}, "space group 225.*iron_alpha"),
        ("steel", {}, "'stainless steel'"),
        ("unobtainium", {}, "xtalfuse materials"),
        ("", {}, "no elastic constants"),
    ],
)
def test_no_answer_says_what_is_near(query, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        elastic_constants(query, **options)


def test_library_entries_are_found() -> None:
    phases = {phase.id: phase for phase in typed_phases()[0]}
    assert elastic_constants(phases["austenite"]).id == "austenite"  # of pure Fe in the library
    assert elastic_constants(phases["corundum"]).id == "corundum"
    with pytest.raises(ValueError, match="rutile"):
        elastic_constants(phases["anatase"])


# Where our source and the collection's differ by more than 5 %, and why
DIFFERENCES = {
    ("Cr", "c12"),  # antiferromagnetic near 311 K: 58.6 to 90 GPa in the literature
    ("Sn", "c13"), ("Sn", "c33"),  # two measurements of 1960; ours has the bulk modulus of powder
}  # fmt: skip


def test_against_an_independent_collection_of_metals(real: Path) -> None:
    """27 metals of a collection after the CRC Handbook; 5 % is the scatter of good sources."""
    table = (real / "tables/single_crystal_elastic_constants.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(table.splitlines()))
    beyond, compared = set(), 0
    for row in rows:
        ours = elastic_constants(row["metal"], laue=None)
        voigt = voigt_from_mandel(torch.tensor(ours.stiffness)).numpy()
        for name in ("C11", "C12", "C13", "C33", "C44", "C66"):
            if row[f"{name}_GPa"]:
                theirs = float(row[f"{name}_GPa"])
                value = voigt[int(name[1]) - 1, int(name[2]) - 1]
                compared += 1
                if abs(value / theirs - 1.0) > 0.05:
                    beyond.add((row["metal"], name.lower()))
    assert len(rows) == 27
    assert compared > 95
    assert beyond == DIFFERENCES


def test_laue_groups_come_from_the_space_groups() -> None:
    assert all(record.laue == laue_of(record.space_group) for record in RECORDS)
