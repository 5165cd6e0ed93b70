"""Maps and volumes that once went wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.faults.case import Case, analysed, holds, refused

PORES = ("--phases", "pore,aluminium")
Check = Callable[[dict[str, Any]], bool]


def _value(result: dict[str, Any], name: str) -> float:
    return float(result["properties"].get(name, {"value": float("nan")})["value"])


def _near(name: str, value: float, away: float) -> Check:
    """A property lies within `away` of a value."""
    return lambda result: abs(_value(result, name) - value) <= away


def _told(*words: str) -> Check:
    """The warnings speak of all of these."""
    return lambda result: all(word in " ".join(result["warnings"]) for word in words)


def _grains(count: int) -> Check:
    return lambda result: result["grains"] == count


def _analysed(checks: tuple[Check, ...], options: tuple[str, ...], path: Path) -> str:
    result = analysed(path, *options)
    names = ("youngs_modulus_x", "youngs_modulus_y", "youngs_modulus_z", "lineal_intercept")
    shown = [f"{k} {v['value']:.4g}" for k, v in result["properties"].items()
             if k.partition("[")[0] in (*names, "phase_fraction")]  # fmt: skip
    came = f"{result['grains']} grains; {', '.join(shown)}; {'; '.join(result['warnings'])}"
    return holds(all(check(result) for check in checks), came[:400])


def _case(file: str, right: str, *checks: Check, options: tuple[str, ...] = ()) -> Case:
    return Case(file, right, partial(_analysed, checks, options))


def _loaded(points: int, indexed: int, path: Path) -> str:
    from xtalfuse.loaders import load

    found = load(path).crystal_map
    assert found is not None
    count = int((found.phase >= 0).sum())
    return holds((len(found.phase), count) == (points, indexed), f"{count} of {len(found.phase)}")


def _same_twins(path: Path) -> str:
    """What depends on orientation is the same whether twins are merged or not."""
    one, other = analysed(path), analysed(path, "--merge-twins")
    of = ("youngs", "poisson", "universal", "taylor", "bulk", "shear", "stiffness")
    names = [name for name in one["properties"] if name.startswith(of)]
    same = all(one["properties"][n] == other["properties"][n] for n in names)
    came = f"{len(names)} properties, {one['grains']} and {other['grains']} grains"
    return holds(same and len(names) > 8 and other["grains"] < one["grains"], came)


CASES: tuple[Case, ...] = (
    _case("scratch.ctf", "1 crystal", _grains(1)),
    _case("salt30.ang", "25 grains", _grains(25)),
    _case("kikuchipy_like.h5", "25 grains of nickel", _grains(25)),
    _case("pyebsdindex91.oh5", "25 grains", _grains(25)),
    Case("pyebsdindex91.oh5", "2682 of 3000 points", partial(_loaded, 3000, 2682)),
    Case("sphinx_0based.ang", "all indexed", partial(_loaded, 3000, 3000)),
    _case("sphinx_0based.ang", "nickel 58.3 %", _told("counted from 0")),
    _case("unindexed_phase_minus1.ang", "25 grains", _grains(25)),
    Case("unindexed_phase_minus1.ang", "88.7 %", partial(_loaded, 3000, 2660)),
    _case("zerosol_channel5.ang", "25 grains", _grains(25)),
    Case("zerosol_channel5.ang", "88.7 %", partial(_loaded, 3000, 2660)),
    Case("error3_phase1_euler0.ctf", "25 points not indexed", partial(_loaded, 3000, 2975)),
    Case("twin_lamellae.ang", "the same with and without twins merged", _same_twins),
    _case("bricks_1_1.ang", "about 20 um", _near("lineal_intercept[Nickel]", 21.7, 0.05)),
    _case("bricks_2_05.ang", "the same", _near("lineal_intercept[Nickel]", 21.7, 0.05)),
    _case(
        "specimen_in_air.tif",
        "porosity 0.165",
        _near("phase_fraction[pore]", 0.165, 0.005),
        _told("air around"),
        options=PORES,
    ),
    _case(
        "zero_outside_fov.tif",
        "porosity 0.16, E about 50",
        _near("phase_fraction[pore]", 0.165, 0.01),
        _near("youngs_modulus_x", 50, 4),
        _told("field of view"),
        options=PORES,
    ),
    _case("zero_outside_fov.tif", "porosity 0.16", _near("phase_fraction[pore]", 0.165, 0.01)),
    _case(
        "labels8_full.npy",
        "8 grains, no pore",
        _grains(8),
        lambda r: len(r["phases"]) == 1 and "pore" not in r["phases"][0]["name"],
    ),
    Case("emsoft_monte_carlo.h5", "refused: no volume", refused("monte carlo")),
    _case(
        "missing_points.ctf",
        "9 whole grains, 11.9 um",
        _grains(25),
        _near("grain_diameter[Nickel]", 11.9, 0.1),
    ),
    _case("stack_gap", "40 grains", _grains(40)),
    _case("gradient_60deg.ang", "E_y 207.5", _near("youngs_modulus_y", 207.5, 0.5), _told("bent")),
    _case("laminate_z.npy", "E_z 0", _near("youngs_modulus_z", 0.0, 0.0), options=PORES),
    _case("columns_z.npy", "E_x 0", _near("youngs_modulus_x", 0.0, 0.0), options=PORES),
    _case("bool.npy", "E_x 53.5", _near("youngs_modulus_x", 53.5, 2.5), options=PORES),
    _case(
        "binary01.npy",
        "the same",
        _near("youngs_modulus_x", 53.5, 2.5),
        options=("--phases", "aluminium,pore"),
    ),
    _case("mono_c_180z.ang", "1 grain", _grains(1)),
    _case("sg151_180x.ctf", "1 grain", _grains(1)),
    Case("edax_invalid_xy.oh5", "3000 points, 2 invalid", partial(_loaded, 3000, 2680)),
    _case("miniswhite.tif", "porosity 0.146", _near("phase_fraction[pore]", 0.146, 0.01)),
    _case("imagej_frames.tif", "read as a stack", _near("phase_fraction[pore]", 0.146, 0.01)),
    _case("rgb.tif", "read as a stack", _near("phase_fraction[pore]", 0.146, 0.01)),
    Case("generic.csv", "refused as a table of Euler angles", refused("euler angles")),
    _case("v.nrrd", "read", lambda r: r["file"]["modality"] == "ct"),
    _case("nx.dream3d", "read", _grains(25)),
    _case("ome_xonly_unit.ome.tif", "the size is doubtful", _told("doubtful")),
)
