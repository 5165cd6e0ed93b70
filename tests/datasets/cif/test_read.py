"""CIF files are read exactly or refused with file, cause and remedy: law 8 of the house."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xtalfuse.datasets.cif.read import CifError, read_cif
from xtalfuse.datasets.cif.species import element_of
from xtalfuse.datasets.cif.symmetry import settings_of
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.physics.crystal.cell import Crystal

ORTHORHOMBIC = ("x,y,z", "-x,-y,z", "-x,y,-z", "x,-y,-z")


def only(path: Path) -> Crystal:
    (structure,) = read_cif(path).structures
    return structure.crystal


def test_rutile_is_read(cif_file: Callable[..., Path]) -> None:
    crystal = only(cif_file())
    assert crystal.space_group == "P 42/m n m"
    assert crystal.composition == {"Ti": 2.0, "O": 4.0}
    assert crystal.cell == (4.5937, 4.5937, 2.9587, 90.0, 90.0, 90.0)
    # 4.2743 g/cm3 follows from two formula units of 79.866 in 62.434 angstrom^3
    assert crystal.density_g_cm3 == pytest.approx(4.248, abs=0.002)


@pytest.mark.parametrize(
    ("parts", "cause"),
    [
        ({"cell": ("nan", 4.6, 2.96, 90, 90, 90)}, "not a finite number"),
        ({"cell": ("inf", 4.6, 2.96, 90, 90, 90)}, "not a finite number"),
        ({"cell": ("-4.6", 4.6, 2.96, 90, 90, 90)}, "outside 1.5-200"),
        ({"cell": (0.45937, 0.45937, 0.29587, 90, 90, 90)}, "in nm"),
        ({"cell": (459.37, 459.37, 295.87, 90, 90, 90)}, "in pm"),
        ({"cell": (4.6, 4.6, 2.96, 90, 90, 200)}, "outside 20-160"),
        ({"cell": (4.6, 4.6, 2.96, 150, 150, 150), "group": "P -1"}, "enclose no volume"),
        ({"cell": ("?", 4.6, 2.96, 90, 90, 90)}, "missing"),
        ({"cell": (4.6, 4.6, 2.96, 90, "?", 90)}, "angles is missing"),
        ({"cell": (4.5937, 4.8, 2.9587, 90, 90, 90)}, "contradicts space group"),
        ({"extra": "_cell_volume 72.4"}, "_cell_volume is 72.4"),
        ({"group": "P 42/m m q"}, "unknown space group"),
        ({"group": "P 42/m m q", "operators": ("x,y,z",)}, "unknown space group"),
        ({"group": None, "number": None}, "no space group"),
        ({"number": 137}, "contradiction"),
        ({"operators": ORTHORHOMBIC}, "contradiction"),
        ({"operators": ("x,y,z", "-x,-y,z", "-x,y,-z")}, "do not form a group"),
        ({"operators": ("x,y,z", "q,y,z")}, "cannot be read"),
        ({"sites": ("Ti Ti1 0 0 0 0", "O O1 0.3053 0.3053 0 1")}, "occupancy 0"),
        ({"sites": ("Ti Ti1 0 0 0 -0.5", "O O1 0.3053 0.3053 0 1")}, "occupancy -0.5"),
        ({"sites": ("Ti Ti1 0 0 0 1.7", "O O1 0.3053 0.3053 0 1")}, "occupancy 1.7"),
        ({"sites": ("Ti Ti1 ? 0 0 1", "O O1 0.3053 0.3053 0 1")}, "no coordinates"),
        ({"sites": ("Ti Ti1 0 0 0 1", "O O1 nan 0.3053 0 1")}, "not a finite number"),
        ({"sites": ("Ti Ti1 0 0 0 1", "O O1 14.02 0.3053 0 1")}, "fractional"),
        ({"sites": ("Qq Q1 0 0 0 1", "O O1 0.3053 0.3053 0 1")}, "names no element"),
        ({"extra": "_chemical_formula_sum 'Ti O2 Pb'"}, "differ in Pb"),
        ({"extra": "_chemical_formula_sum 'Ti O'"}, "differ by 100%"),
        ({"sites": ()}, "no atom sites"),
    ],
)
def test_refusals_name_file_cause_and_remedy(
    cif_file: Callable[..., Path], parts: dict[str, object], cause: str
) -> None:
    with pytest.raises(CifError) as refusal:
        read_cif(cif_file(**parts))
    message = str(refusal.value)
    assert message.startswith("a.cif")
    assert cause in message
    assert ";" in message or ":" in message.removeprefix("a.cif:")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "empty"),
        ("<html><body>404</body></html>", "not valid CIF"),
        ("data_a\n_cell_length_a 4\n", "no atom sites"),
        ("data_a\n_x 1\ndata_a\n_x 2\n", "duplicate block"),
        ("data_a\n_cell_length_a 4\n_cell_length_a 5\n", "duplicate tag"),
        ("data_a\n\0\0\0", "binary"),
    ],
)
def test_what_is_no_structure_is_refused(
    cif_file: Callable[..., Path], text: str, cause: str
) -> None:
    with pytest.raises(CifError, match=cause):
        read_cif(cif_file(text=text))


def test_a_bad_block_does_not_cost_the_good_one(
    cif_file: Callable[..., Path], cif: Callable[..., str]
) -> None:
    path = cif_file(text=cif() + cif(block="bad", group="nonsense"))
    reading = read_cif(path)
    assert len(reading.structures) == 1
    assert len(reading.refused) == 1
    assert "block bad" in reading.refused[0]


def test_operators_are_enough(cif_file: Callable[..., Path]) -> None:
    path = cif_file(
        cell=(4.0, 5.0, 6.0, 90, 90, 90),
        group=None,
        number=None,
        operators=ORTHORHOMBIC,
        sites=("Fe Fe1 0 0 0 1",),
    )
    assert only(path).space_group == "P 2 2 2"


def test_number_alone_means_the_standard_setting(cif_file: Callable[..., Path]) -> None:
    (structure,) = read_cif(cif_file(group=None)).structures
    assert structure.crystal.space_group == "P 42/m n m"
    assert any("setting assumed" in note for note in structure.notes)


def test_dummy_atoms_are_no_atoms(cif_file: Callable[..., Path]) -> None:
    columns = ("type_symbol", "label", "fract_x", "fract_y", "fract_z", "calc_flag")
    sites = ("Ti Ti1 0 0 0 d", "O O1 0.3053 0.3053 0 d", "C Cg1 0.5 0.5 0.5 dum")
    assert only(cif_file(columns=columns, sites=sites)).composition == {"Ti": 2.0, "O": 4.0}


def test_setting_that_no_table_has_becomes_the_standard_one(cif_file: Callable[..., Path]) -> None:
    # P -1 with the a axis doubled: a centring that no table lists
    doubled = ("x,y,z", "-x,-y,-z", "x+1/2,y,z", "-x+1/2,-y,-z")
    path = cif_file(
        cell=(8.2, 5.1, 6.3, 81, 85, 77),
        group=None,
        number=None,
        operators=doubled,
        sites=("Fe Fe1 0.11 0.2 0.3 1",),
    )
    crystal = only(path)
    assert crystal.space_group == "P -1"
    volume = 0.5 * 8.2 * 5.1 * 6.3
    cosines = np.cos(np.radians([81, 85, 77]))
    volume *= np.sqrt(1 - cosines @ cosines + 2 * cosines.prod())
    assert crystal.volume == pytest.approx(volume, rel=1e-6)
    assert crystal.composition == {"Fe": 2.0}


def test_unstated_origin_is_settled_by_distances(cif_file: Callable[..., Path]) -> None:
    anatase = ("Ti Ti1 0 0 0 1", "O O1 0 0 0.2081 1")
    path = cif_file(
        cell=(3.7845, 3.7845, 9.5143, 90, 90, 90), group="I41/amd", number=141, sites=anatase
    )
    assert only(path).space_group == "I 41/a m d:1"


def test_unstated_origin_that_nothing_settles_is_refused(cif_file: Callable[..., Path]) -> None:
    # iron atoms 3.03 angstrom apart from one origin, 2.47 from the other
    iron = {"cell": (7.0,) * 3 + (90,) * 3, "group": "F d -3 m", "number": 227}
    with pytest.raises(CifError, match="add the symmetry operators"):
        read_cif(cif_file(**iron, sites=("Fe Fe1 0 0 0 1",)))
    columns = ("type_symbol", "label", "fract_x", "fract_y", "fract_z", "symmetry_multiplicity")
    told = cif_file(**iron, sites=("Fe Fe1 0 0 0 8",), columns=columns)
    assert only(told).space_group == "F d -3 m:1"


@pytest.mark.parametrize(
    ("written", "understood"),
    [
        ("P2(1)/c", ["P 1 21/c 1"]),
        ("I4_1/amd:2", ["I 41/a m d:2"]),
        ("I 41/a m d O1", ["I 41/a m d:1"]),
        ("Fm3m", ["F m -3 m"]),
        ("R -3 c :H", ["R -3 c:H"]),
        ("C m c e", ["C m c a"]),
        ("F d -3 m", ["F d -3 m:1", "F d -3 m:2"]),
        ("P 5", []),
    ],
)
def test_spellings_of_space_groups(written: str, understood: list[str]) -> None:
    assert [group.xhm() for group in settings_of(written, 120.0)] == understood


@pytest.mark.parametrize(("symbol", "setting"), [("F d -3 m S", ":1"), ("F d -3 m Z", ":2")])
def test_origin_letters(cif_file: Callable[..., Path], symbol: str, setting: str) -> None:
    path = cif_file(
        cell=(5.431,) * 3 + (90,) * 3,
        group=symbol,
        number=227,
        sites=("Si Si1 0 0 0 1" if setting == ":1" else "Si Si1 0.125 0.125 0.125 1",),
    )
    crystal = only(path)
    assert crystal.space_group.endswith(setting)
    assert crystal.composition == {"Si": 8.0}


def test_atoms_listed_without_symmetry_get_the_symmetry_they_have(
    cif_file: Callable[..., Path], known: dict[str, Crystal]
) -> None:
    atoms = known["corundum"].expand()
    names = {8: "O", 13: "Al"}
    rows = tuple(
        f"{names[int(z)]} X{i} {x:.6f} {y:.6f} {c:.6f} 1"
        for i, (z, (x, y, c)) in enumerate(zip(atoms.numbers, atoms.positions, strict=True))
    )
    path = cif_file(cell=known["corundum"].cell, group="P 1", number=1, sites=rows)
    crystal = only(path)
    assert crystal.space_group == "R -3 c:H"
    assert crystal.cell == pytest.approx(known["corundum"].cell)
    assert crystal.composition == {"Al": 12.0, "O": 18.0}


def test_printed_decimals_are_put_onto_special_positions(cif_file: Callable[..., Path]) -> None:
    # magnesium: 0.3333 and 0.6667 stand for 1/3 and 2/3; unmended there would be 12 atoms
    path = cif_file(
        cell=(3.2094, 3.2094, 5.2105, 90, 90, 120),
        group="P 63/m m c",
        number=194,
        sites=("Mg Mg1 0.3333 0.6667 0.25 1",),
    )
    crystal = only(path)
    assert crystal.composition == {"Mg": 2.0}
    assert crystal.sites[0].position == (1 / 3, 2 / 3, 0.25)


def test_split_site_is_one_atom(cif_file: Callable[..., Path]) -> None:
    # 0.036 angstrom off the mirror plane with half occupancy: one atom on it to X-rays
    path = cif_file(sites=("Ti Ti1 0 0 0 1", "O O1 0.3053 0.3053 0.012 0.5"))
    crystal = only(path)
    assert crystal.composition == {"Ti": 2.0, "O": 4.0}
    assert crystal.sites[1].position[2] == 0.0


def test_declared_multiplicity_must_agree(cif_file: Callable[..., Path]) -> None:
    columns = ("type_symbol", "label", "symmetry_multiplicity", "fract_x", "fract_y", "fract_z")
    good = ("Ti Ti1 2 0 0 0", "O O1 4 0.3053 0.3053 0")
    assert only(cif_file(columns=columns, sites=good)).composition["O"] == 4.0
    bad = ("Ti Ti1 2 0 0 0", "O O1 4 0.3053 0.3553 0.05")
    with pytest.raises(CifError, match="has multiplicity 16"):
        read_cif(cif_file(columns=columns, sites=bad))


@pytest.mark.parametrize(
    ("type_symbol", "label", "formula", "element"),
    [
        ("Al3+", "Al1", "", "Al"),
        ("O2-", "O1", "", "O"),
        ("Fe+2", "", "", "Fe"),
        ("D", "D1", "", "H"),
        ("W", "W1", "", "W"),
        ("Ca", "CA1", "", "Ca"),
        ("AL", "AL1", "", "Al"),
        ("", "Fe1A", "", "Fe"),
        ("", "OW1", "", "O"),
        ("", "OH", "", "O"),
        ("?", "Wat2", "", "O"),
        ("", "CA1", "Ca2 Si O4", "Ca"),
        ("", "CO1", "C O2 H4", "C"),
        ("", "U1", "", "U"),
    ],
)
def test_species(type_symbol: str, label: str, formula: str, element: str) -> None:
    assert element_of(type_symbol, label, formula) == element


def test_label_with_two_readings_is_refused() -> None:
    with pytest.raises(ValueError, match="C or Co"):
        element_of("", "CO1")


def test_displacements_become_b(cif_file: Callable[..., Path]) -> None:
    columns = ("type_symbol", "label", "fract_x", "fract_y", "fract_z", "U_iso_or_equiv")
    sites = ("Ti Ti1 0 0 0 0.0060(3)", "O O1 0.3053 0.3053 0 .")
    aniso = "\n".join(
        ["loop_", "_atom_site_aniso_label"]
        + [f"_atom_site_aniso_U_{ij}" for ij in ("11", "22", "33", "23", "13", "12")]
        + ["O1 0.0070 0.0070 0.0040 0 0 -0.003"]
    )
    crystal = only(cif_file(columns=columns, sites=sites, extra=aniso))
    assert crystal.sites[0].b_iso == pytest.approx(8 * np.pi**2 * 0.006, abs=1e-3)
    # orthogonal axes: U_eq is the mean of the diagonal
    assert crystal.sites[1].b_iso == pytest.approx(8 * np.pi**2 * 0.006, abs=1e-3)


def test_equivalent_displacement_of_oblique_axes(cif_file: Callable[..., Path]) -> None:
    # an isotropic tensor in hexagonal axes has U12 = U11 / 2; its equivalent is U11
    columns = ("type_symbol", "label", "fract_x", "fract_y", "fract_z")
    aniso = "\n".join(
        ["loop_", "_atom_site_aniso_label"]
        + [f"_atom_site_aniso_U_{ij}" for ij in ("11", "22", "33", "23", "13", "12")]
        + ["Mg1 0.02 0.02 0.02 0 0 0.01"]
    )
    path = cif_file(
        cell=(3.2094, 3.2094, 5.2105, 90, 90, 120),
        group="P 63/m m c",
        number=194,
        columns=columns,
        sites=("Mg Mg1 0.3333 0.6667 0.25",),
        extra=aniso,
    )
    assert only(path).sites[0].b_iso == pytest.approx(8 * np.pi**2 * 0.02, rel=1e-3)


def test_assumed_displacements_are_said(cif_file: Callable[..., Path]) -> None:
    (structure,) = read_cif(cif_file()).structures
    assert any("displacement parameters assumed" in note for note in structure.notes)
    assert all(0.2 < site.b_iso < 3.0 for site in structure.crystal.sites)


@pytest.mark.parametrize("seed", range(6))
def test_damaged_files_are_read_or_refused(
    cif: Callable[..., str], tmp_path: Path, seed: int
) -> None:
    """Cut, zeroed and flipped copies: a structure or an UnreadableFileError, nothing else."""
    whole = cif(operators=(), extra="_cell_volume 62.434").encode()
    generator = random.Random(seed)
    path = tmp_path / "a.cif"
    for _ in range(40):
        damaged = bytearray(whole)
        kind = generator.randrange(3)
        at = generator.randrange(len(whole))
        if kind == 0:
            damaged = damaged[:at]
        elif kind == 1:
            damaged[at : at + 8] = b"\0" * 8
        else:
            damaged[at] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        with contextlib.suppress(UnreadableFileError):
            for structure in read_cif(path).structures:
                assert np.isfinite(structure.crystal.expand().positions).all()


def test_every_real_file_is_read(real: Path) -> None:
    """The development structures are valid CIF; what is wrong in them is found later."""
    for path in sorted((real / "cif").rglob("*.cif"))[::12]:
        for structure in read_cif(path).structures:
            declared = path.stem.rsplit("_", 1)[-1]
            if path.parent.name.startswith("li_") and declared.isdigit():
                assert structure.crystal.space_group_number == int(declared), path.name
