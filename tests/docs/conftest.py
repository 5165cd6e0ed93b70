"""Small stand-ins for the files that pages and docstrings name."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


def written(name: str) -> ModuleType:
    """The module of the tests that writes files as instruments do."""
    path = ROOT / "tests" / "loaders" / name / "conftest.py"
    spec = importlib.util.spec_from_file_location(f"writers_{name}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


CIF = """data_halite
_cell_length_a 5.6401
_cell_length_b 5.6401
_cell_length_c 5.6401
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na1 Na 0 0 0 1
Cl1 Cl 0.5 0.5 0.5 1
"""


def one_phase(name: str) -> str:
    """A map of two crystals of one phase, left and right."""
    head = ["TEM_PIXperUM 1.0", "Phase 1", f"MaterialName {name}", f"Formula {name}", "Symmetry 43"]
    head += ["LatticeConstants 3.615 3.615 3.615 90.000 90.000 90.000", "GRID: SqrGrid"]
    head += ["XSTEP: 0.5", "YSTEP: 0.5", "NCOLS_ODD: 20", "NCOLS_EVEN: 20", "NROWS: 20"]
    lines = [f"# {line}" for line in head]
    for row, column in np.ndindex(20, 20):
        angles = "0.3 0.2 0.1" if column < 10 else "1.1 0.7 0.4"
        lines.append(f"{angles} {0.5 * column:.1f} {0.5 * row:.1f} 100.0 0.9 1 1")
    return "\n".join(lines) + "\n"


def write_datasets(folder: Path) -> None:
    """The manifest of the page on datasets, and small datasets of labels alone."""
    from xtalfuse.datasets.records.build import build

    others = ("Cr", "Ni", "Mn", "Mo", "V", "Ti", "W", "Nb", "Co", "Al")
    head = "id,path,composition,source,phases,target:hardness[HV],target:yield_strength[MPa]"
    rows = [f"{head},target:temperature[K]", "a,a.xrdml,Al2O3,doi/0,corundum; halite; ZnO,210,,"]
    rows += [
        f"s{n},,Fe{100 - n}{other}{n},doi/{n % 7},,{150 + n},{200 + 3 * n},{300 + n}"
        for n, other in enumerate(4 * others, 1)
    ]
    (folder / "measurements" / "manifest.csv").write_text("\n".join(rows))
    for name, first in (("titanium", "t"), ("steels-1", "s"), ("steels-2", "s")):
        lines = [f"{first}{n},Ti,{200 + n}" for n in range(3 + (name == "steels-2"))]
        manifest = folder / f"{name}.csv"
        manifest.write_text("\n".join(["id,composition,target:yield_strength[MPa]", *lines]))
        build(manifest, folder / name)


@pytest.fixture
def desk(tmp_path: Path, powder: Callable, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small stand-in for every file that the pages and the examples name."""
    import tifffile

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("xtalfuse.tasks.train.init.STEPS", (8, 8))
    monkeypatch.setattr("xtalfuse.tasks.train.baselines.TREES", 5)
    pattern = powder({"corundum": 0.5, "halite": 0.2, "zincite": 0.3})
    pairs = list(zip(pattern.axis("two_theta"), pattern.values, strict=True))
    table = "".join(f"{x:.2f} {y:.0f}\n" for x, y in pairs)
    xrdml = written("").xrdml()
    xrdml = re.sub(r"(<startPosition>)[^<]*", rf"\g<1>{pairs[0][0]:.6f}", xrdml)
    xrdml = re.sub(r"(<endPosition>)[^<]*", rf"\g<1>{pairs[-1][0]:.6f}", xrdml)
    counts = " ".join(f"{y:.0f}" for _, y in pairs)
    xrdml = re.sub(r'(<intensities unit="counts">)[^<]*', rf"\g<1>{counts}", xrdml)
    (tmp_path / "scan.xrdml").write_text(xrdml)
    (tmp_path / "scan.xy").write_text(table)
    (tmp_path / "pattern.xy").write_text(table)
    for folder in ("specimen", "specimen-7", "specimens/a", "specimens/b"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "scan.xy").write_text(table)
        (tmp_path / folder / "specimen.yaml").write_text("wavelength: CuKa\n")
    ebsd = written("ebsd")
    points = ebsd.Points(rows=20, columns=20)
    map_ = ebsd.ang(points)
    (tmp_path / "map.ang").write_text(one_phase("Ni-superalloy"))
    (tmp_path / "sections").mkdir()
    for number in range(3):
        (tmp_path / "sections" / f"s{number}.ang").write_text(map_)
    ebsd.write_crc(tmp_path, points)
    grid = np.stack(np.meshgrid(*[np.arange(20.0)] * 3, indexing="ij"))
    ball = np.linalg.norm(grid - 9.5, axis=0) < 7.0
    noise = np.random.default_rng(4).normal(0.0, 4.0, ball.shape)
    grey = np.clip(60.0 + 120.0 * ball + noise, 0, 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "foam.tif", grey)
    (tmp_path / "slices").mkdir()
    for number, plane in enumerate(grey):
        tifffile.imwrite(tmp_path / "slices" / f"slice{number:03}.tif", plane)
    (tmp_path / "measurements").mkdir()
    (tmp_path / "measurements" / "a.xrdml").write_text(xrdml)
    write_datasets(tmp_path)
    page = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    recipe = re.sub(r"count: \d+", "count: 1", page.split("```yaml\n")[1].split("```")[0])
    (tmp_path / "recipe.yaml").write_text(recipe.replace("side: 256", "side: 64"))
    (tmp_path / "peaks.yaml").write_text("sets: [{kind: eds, count: 1}]")
    (tmp_path / "alloys.csv").write_text("formula,YS\nAl0.5CoFe,350\nCoFeNi,200\n")
    (tmp_path / "my-cifs").mkdir()
    (tmp_path / "my-cifs" / "halite.cif").write_text(CIF)
    return tmp_path
