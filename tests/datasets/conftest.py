"""Small CIF files, well-known structures, measured specimens as files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from xtalfuse.physics.crystal.cell import Crystal, Site

RUTILE_SITES = ("Ti Ti1 0 0 0 1.0", "O O1 0.3053 0.3053 0 1.0")
COLUMNS = ("type_symbol", "label", "fract_x", "fract_y", "fract_z", "occupancy")


def cif_text(
    *,
    cell: tuple[object, ...] = (4.5937, 4.5937, 2.9587, 90, 90, 90),
    group: str | None = "P 42/m n m",
    number: int | None = 136,
    operators: tuple[str, ...] = (),
    sites: tuple[str, ...] = RUTILE_SITES,
    columns: tuple[str, ...] = COLUMNS,
    extra: str = "",
    block: str = "test",
) -> str:
    """Text of a CIF file; rutile where nothing else is asked for."""
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = [f"data_{block}"]
    lines += [f"_cell_{name} {value}" for name, value in zip(names, cell, strict=True)]
    if group is not None:
        lines.append(f"_symmetry_space_group_name_H-M '{group}'")
    if number is not None:
        lines.append(f"_symmetry_Int_Tables_number {number}")
    if operators:
        lines += ["loop_", "_symmetry_equiv_pos_as_xyz", *[f"'{op}'" for op in operators]]
    lines += [extra] if extra else []
    lines += ["loop_", *[f"_atom_site_{name}" for name in columns], *sites]
    return "\n".join(lines) + "\n"


@pytest.fixture
def cif() -> Callable[..., str]:
    return cif_text


@pytest.fixture
def cif_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes ``a.cif`` (or `name`) with what `cif_text` makes of the other arguments."""

    def write(name: str = "a.cif", text: str | None = None, **parts: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(cif_text(**parts) if text is None else text, encoding="utf-8")  # type: ignore[arg-type]
        return path

    return write


def _cubic(a: float) -> tuple[float, float, float, float, float, float]:
    return (a, a, a, 90.0, 90.0, 90.0)


@pytest.fixture
def known() -> dict[str, Crystal]:
    """Structures that are beyond doubt; cells and positions as in Wyckoff, Crystal Structures."""
    third = (1 / 3, 2 / 3)
    return {
        "rutile": Crystal(
            (4.5937, 4.5937, 2.9587, 90, 90, 90), "P 42/m n m",
            (Site("Ti", (0, 0, 0)), Site("O", (0.3053, 0.3053, 0.0))),
        ),
        "anatase": Crystal(
            (3.7845, 3.7845, 9.5143, 90, 90, 90), "I 41/a m d:1",
            (Site("Ti", (0, 0, 0)), Site("O", (0, 0, 0.2081))),
        ),
        "corundum": Crystal(
            (4.7589, 4.7589, 12.9919, 90, 90, 120), "R -3 c:H",
            (Site("Al", (0, 0, 0.35228)), Site("O", (0.30624, 0, 0.25))),
        ),
        "calcite": Crystal(
            (4.9896, 4.9896, 17.061, 90, 90, 120), "R -3 c:H",
            (Site("Ca", (0, 0, 0)), Site("C", (0, 0, 0.25)), Site("O", (0.2568, 0, 0.25))),
        ),
        "quartz": Crystal(
            (4.9134, 4.9134, 5.4052, 90, 90, 120), "P 32 2 1",
            (Site("Si", (0.4697, 0, 2 / 3)), Site("O", (0.4135, 0.2669, 0.7858))),
        ),
        "halite": Crystal(
            _cubic(5.6402), "F m -3 m", (Site("Na", (0, 0, 0)), Site("Cl", (0.5, 0.5, 0.5)))
        ),
        "fluorite": Crystal(
            _cubic(5.4631), "F m -3 m", (Site("Ca", (0, 0, 0)), Site("F", (0.25, 0.25, 0.25)))
        ),
        "iron": Crystal(_cubic(2.8665), "I m -3 m", (Site("Fe", (0, 0, 0)),)),
        "zincite": Crystal(
            (3.2498, 3.2498, 5.2066, 90, 90, 120), "P 63 m c",
            (Site("Zn", (*third, 0.0)), Site("O", (*third, 0.3819))),
        ),
        "pyrite": Crystal(
            _cubic(5.4179), "P a -3", (Site("Fe", (0, 0, 0)), Site("S", (0.3851,) * 3))
        ),
    }  # fmt: skip


ANGLES = np.arange(20.0, 60.0, 0.05)


def pattern(seed: int, lines: Sequence[float] = (28.0, 41.0, 52.0)) -> str:
    """A powder pattern as two columns of text."""
    rng = np.random.default_rng(seed)
    counts = 50.0 + sum(900.0 * np.exp(-(((ANGLES - line) / 0.1) ** 2)) for line in lines)
    rows = zip(ANGLES, rng.poisson(counts), strict=True)
    return "".join(f"{angle:.2f} {count}\n" for angle, count in rows)


@pytest.fixture
def write(tmp_path: Path):
    """write(rows, name) -> path of a manifest with these rows in the folder of the test."""

    def written(rows: Iterable[Mapping[str, object]], name: str = "manifest.csv") -> Path:
        rows = list(rows)
        columns = list(dict.fromkeys(key for row in rows for key in row))
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        return path

    return written


@pytest.fixture
def five(tmp_path: Path, write):
    """A manifest of five patterns: a and b alike, c cut short, d the copy of e."""
    for name, seed in (("a", 1), ("b", 2), ("e", 5)):
        lines = (28.0, 41.0, 52.0) if name in "ab" else (24.0, 33.0, 47.0, 55.0)
        (tmp_path / f"{name}.xy").write_text(pattern(seed, lines))
    (tmp_path / "c.xy").write_text("20.0 5\n20.1")
    (tmp_path / "d.xy").write_bytes((tmp_path / "e.xy").read_bytes())
    return write(
        {"id": name, "path": f"{name}.xy", "wavelength": "CuKa",
         "group": "ab" if name in "ab" else "", "target:hardness[HV]": value}
        for name, value in zip("abcde", (120, 130, 140, 150, 150), strict=True)
    )  # fmt: skip


@pytest.fixture
def alloys(tmp_path: Path, write):
    """A dataset of labels without files: 60 alloys of 12 sources, three replicates of each.

    What a source does adds to what the composition does, and is not in the features.
    """
    from xtalfuse.datasets.records.build import build
    from xtalfuse.datasets.records.dataset import Dataset

    rng = np.random.default_rng(0)
    rows = []
    for source in range(12):
        for alloy in range(5):
            tenths, offset = source * 5 + alloy, 0.4 * np.sin(5.0 * source)
            for copy in range(3):
                value = 1.0 + 0.01 * tenths + offset + rng.normal(0.0, 0.02)
                rows.append({
                    "id": f"s{source:02d}-{alloy}-{copy}", "composition": f"Fe{tenths + 1}Ni60",
                    "source": f"doi:10.1/S{source}", "time": f"{2000 + source}-01-0{alloy + 1}",
                    "target:E[GPa]": f"{value:.4f}", "target:route": "ab"[source % 2],
                })  # fmt: skip
    build(write(rows), tmp_path / "alloys")
    return Dataset(tmp_path / "alloys")
