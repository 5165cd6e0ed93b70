"""Mutated headers: does the answer follow what a header says, or say that it does not?

Run ``python -m benchmarks.readers.headers --help``. In real files, and in files that the tests'
writers make, ONE field of the header is changed: its unit, a factor of ten, its sign, a count,
or it is taken out. The measurement must change as the field says, be refused, or carry a warning
that it did not carry before; what else comes is *silently wrong*. A field that other numbers of
the file repeat (``spare``) may also be left out of account.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.real import real_folder
from xtalfuse.loaders import Measurement, UnreadableFileError
from xtalfuse.loaders.reader import ReadOptions
from xtalfuse.loaders.registry import read

ROOT = Path(__file__).resolve().parents[2]
MOST_ALIKE, MOST_BYTES = 30, 400_000  # real files of one format, and the size of each
SAME = 1e-4  # relative: headers are rounded, and ends of ranges to half a step


@dataclass(frozen=True)
class Field:
    """One field of a header.

    Parameters
    ----------
    name : for the table
    pattern : finds it; group 1 is its number or unit
    of : the number of a measurement that it decides
    factors : of the number; ``-1`` turns its sign
    units : other units for group 1 -> factor of the number; the pattern then finds the unit
    count : whether it is a count: one more and one less must be noticed
    spare : whether other numbers of the file repeat it
    implied : whether without it the format, or another field, says the same
    missing : whether it is also taken out, with its line
    """

    name: str
    pattern: str
    of: Callable[[Measurement], float]
    factors: tuple[float, ...] = (10.0, 0.1, -1.0)
    units: tuple[tuple[str, float], ...] = ()
    count: bool = False
    spare: bool = False
    implied: bool = False
    missing: bool = True


def wavelength(m: Measurement) -> float:
    return m.radiation.primary_angstrom if m.radiation and not m.radiation.nominal else float("nan")


def first(m: Measurement) -> float:
    return float(m.axes[-1].values[0])


def last(m: Measurement) -> float:
    return float(m.axes[-1].values[-1])


def step(m: Measurement) -> float:
    axis = m.axes[-1].values
    return float(axis[-1] - axis[0]) / (len(axis) - 1)


def size(m: Measurement) -> float:
    return float(m.values.size)


def known_step(m: Measurement) -> float:
    """Of a map or volume; no number where it is not known."""
    axis = m.axes[-1]
    if m.crystal_map is not None:
        return float(m.crystal_map.step[-1])
    return step(m) if axis.calibration == "known" else float("nan")


def step_z(m: Measurement) -> float:
    axis = m.axes[0]
    return float(axis.values[1] - axis.values[0]) if axis.unit != "px" else float("nan")


def energy_kev(m: Measurement) -> float:
    return (m.beam.energy_kev if m.beam else None) or float("nan")


LENGTHS = (("nm", 10.0), ("m", 1e10), ("pm", 0.01))
RADIANS = (("rad", 57.29578),)
FIELDS: dict[str, tuple[Field, ...]] = {
    "table": (
        Field("wavelength", r"Wavelength: ([\d.]+) A", wavelength),
        Field("unit of wavelength", r"Wavelength: [\d.]+ (A)", wavelength, (),
              LENGTHS, implied=True),
        Field("unit of x", r"2theta_(deg)", last, (), RADIANS, implied=True),
        Field("x", r"(2theta_deg)", last, (),
              (("q_A^-1", 0), ("q_nm^-1", 0), ("d_A", 0), ("chi_deg", 0), ("theta", 0), ("keV", 0)),
              missing=False),
        Field("y", r"(counts)", lambda m: float(m.values.max()), (),
              (("log10(counts)", 0), ("sqrt(counts)", 0), ("Icalc", 0), ("ln(I)", 0)),
              missing=False),
    ),
    "chi": (
        Field("points", r"(?m)^ +(\d+)$", size, (10.0, 0.1), count=True),
        Field("unit of x", r"Angle \((Degrees)\)", last, (), RADIANS,
              missing=False),
        Field("x", r"(2-Theta Angle \(Degrees\))", last, (),
              (("Q (1/nm)", 0), ("Radial Distance (mm)", 0), ("Azimuth (Degrees)", 0))),
    ),
    "json": (
        Field("wavelength", r'"wavelength": ([\d.]+)', wavelength),
        Field("unit of x", r'"two_theta_unit": "(deg)"', last, (), RADIANS,
              missing=False),
    ),
    "uxd": (
        Field("wavelength", r"(?m)^_WL1=([\d.]+)", wavelength, implied=True),
        Field("points", r"(?m)^_STEPCOUNT=(\d+)", size, (10.0, 0.1), count=True, spare=True),
    ),
    "xrdml": (
        Field("wavelength", r"<kAlpha1[^>]*>([\d.]+)<", wavelength, implied=True),
        Field("unit of wavelength", r'<kAlpha1 unit="(Angstrom)"', wavelength, (),
              (("nm", 10.0), ("pm", 0.01)), missing=False),
        Field("start", r'<positions axis="2Theta"[^<]*<startPosition>([\d.]+)<', first),
        Field("end", r'(?s)<positions axis="2Theta".{0,99}?<endPosition>([\d.]+)<', last),
        Field("unit of angle", r'<positions axis="2Theta" unit="(deg)"', last, (), RADIANS,
              missing=False),
    ),
    "ras": (
        Field("wavelength", r'WAVE_LENGTH_ALPHA1 "([\d.]+)"', wavelength, implied=True),
        Field("unit of x", r'SCAN_UNIT_X "(deg)"', last, (), RADIANS, missing=False),
    ),
    "rigaku-asc": (
        Field("wavelength", r"\*WAVE_LENGTH1\s*=\s*([\d.]+)", wavelength),
        Field("start", r"\*START\s*=\s*([\d.]+)", first),
        Field("stop", r"\*STOP\s*=\s*([\d.]+)", last, spare=True),
        Field("step", r"\*STEP\s*=\s*([\d.]+)", step),
        Field("points", r"\*COUNT\s*=\s*(\d+)", size, (10.0, 0.1), count=True),
    ),
    "udf": (
        Field("wavelength", r"LabdaAlpha1, *([\d.]+)", wavelength, implied=True),
        Field("start", r"DataAngleRange, *([\d.]+)", first),
        Field("end", r"DataAngleRange, *[\d.]+, *([\d.]+)", last),
        Field("step", r"ScanStepSize, *([\d.]+)", step),
    ),
    "powder-cif": (
        Field("wavelength", r"_diffrn_radiation_wavelength ([\d.]+)", wavelength),
        Field("start", r"2theta_range_min ([\d.]+)", first),
        Field("end", r"2theta_range_max ([\d.]+)", last),
        Field("step", r"2theta_range_inc ([\d.]+)", step),
        Field("points", r"number_of_points (\d+)", size, (10.0, 0.1), count=True, spare=True),
    ),
    "gsas": (
        Field("wavelength", r"wavelength = ([\d.]+)", wavelength),
        Field("start", r"CONS ([\d.]+)", first, spare=True),
        Field("step", r"CONS [\d.]+ ([\d.]+)", step, spare=True),
        Field("points", r"BANK 1 (\d+)", size, (10.0, 0.1), count=True),
    ),
    "emsa": (
        Field("step", r"(?im)^#XPERCHAN[^:]*: *([\d.]+)", step, spare=True),
        Field("offset", r"(?im)^#OFFSET[^:]*: *([\d.]+)", first, spare=True),
        Field("unit", r"(?im)^#XUNITS[^:]*: *(eV)", step, (), (("keV", 1e3),)),
        Field("points", r"(?im)^#NPOINTS[^:]*: *(\d+)", size, (10.0, 0.1), count=True),
        Field("beam", r"(?im)^#BEAMKV[^:]*: *([\d.]+)", energy_kev),
    ),
    "ang": (
        Field("step", r"(?m)^# XSTEP: *([\d.]+)", known_step, spare=True),
        Field("columns", r"(?m)^# NCOLS_ODD: *(\d+)", size, (10.0, 0.1), count=True, spare=True),
        Field("rows", r"(?m)^# NROWS: *(\d+)", size, (10.0, 0.1), count=True, spare=True),
    ),
    "mhd": (
        Field("spacing", r"ElementSpacing = [\d.]+ [\d.]+ ([\d.]+)", step_z),
        Field("columns", r"DimSize = (\d+)", size, (10.0, 0.1), count=True),
        Field("type", r"ElementType = (MET_USHORT)", size, (),
              (("MET_FLOAT", 0), ("MET_UCHAR", 0), ("MET_SHORT", 1))),
    ),
    "raw": (
        Field("voxel", r'"voxel_size_um": \[([\d.]+)', step_z),
        Field("planes", r'"shape": \[(\d+)', size, (10.0, 0.1), count=True),
        Field("type", r'"dtype": "(uint16)"', size, (), (("float32", 0), ("uint8", 0))),
    ),
}  # fmt: skip


@cache
def writers() -> Any:
    """The writers of the tests' files."""
    place = ROOT / "tests" / "loaders" / "conftest.py"
    spec = importlib.util.spec_from_file_location("made_files", place)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Target:
    """A file with a header: its format, its name, its text, and files beside it."""

    reader: str
    name: str
    text: str
    beside: tuple[tuple[str, bytes], ...] = ()
    open: str = ""  # the file to read where it is not the one with the header


def made_files(rng: random.Random) -> Iterator[Target]:
    """Files of every text format."""
    made = writers()
    for number in range(20):
        wave = round(rng.uniform(0.3, 1.2), 4)
        rows = list(zip(made.ANGLES, made.COUNTS, strict=True))
        table = "".join(f"{x:.4f}\t{y:.0f}\n" for x, y in rows)
        head = f"# Wavelength: {wave} A\n2theta_deg\tcounts\n"
        yield Target("table", f"{number}.xy", head + table)
        chi = f"{number}.tif\n2-Theta Angle (Degrees)\nIntensity\n       {len(rows)}\n"
        yield Target("chi", f"{number}.chi", chi + table)
        content = {"two_theta": list(made.ANGLES), "intensity": list(made.COUNTS)}
        content |= {"two_theta_unit": "deg", "wavelength": wave}
        yield Target("json", f"{number}.json", json.dumps(content))
        yield Target("uxd", f"{number}.uxd", made.uxd())
        yield Target("ras", f"{number}.ras", made.ras())
        yield Target("xrdml", f"{number}.xrdml", made.xrdml())
        yield Target("rigaku-asc", f"{number}.asc", made.rigaku_asc())
        yield Target("udf", f"{number}.udf", made.udf())
        cif = made.powder_cif(listed=False).replace("0.45827", str(wave))
        yield Target("powder-cif", f"{number}.cif", cif)
        yield Target("gsas", f"{number}.fxye", _gsas(rng, wave))
        data = np.arange(4 * 6 * 8, dtype="<u2").tobytes()
        step = round(rng.uniform(0.2, 3.0), 2)
        mhd = "ObjectType = Image\nNDims = 3\nDimSize = 8 6 4\nElementType = MET_USHORT\n"
        mhd += f"ElementSpacing = {step} {step} {step}\nElementByteOrderMSB = False\n"
        mhd += f"ElementDataFile = {number}.raw\n"
        yield Target("mhd", f"{number}.mhd", mhd, ((f"{number}.raw", data),))
        said = {"shape": [4, 6, 8], "dtype": "uint16", "voxel_size_um": [step, step, step]}
        beside = ((f"v{number}.raw", data),)
        yield Target("raw", f"v{number}.json", json.dumps(said), beside, f"v{number}.raw")


def _gsas(rng: random.Random, wave: float) -> str:
    start = rng.randrange(300, 900)
    rows = [f"{start + i:10.1f} {100 + 50 * (i % 7):10.2f} {10.0:8.2f}" for i in range(1500)]
    head = ["sample", f"# Calibrated wavelength = {wave}"]
    head += [f"BANK 1 {len(rows)} {len(rows)} CONS {start}.00 1.00 0 0 FXYE"]
    return "".join(line.ljust(80) + "\n" for line in (*head, *rows))


def real_files(real: Path) -> Iterator[Target]:
    """Real files with a header in text."""
    suffixes = {
        ".xrdml": "xrdml",
        ".ras": "ras",
        ".msa": "emsa",
        ".ang": "ang",
        ".cif": "powder-cif",
    }
    taken: Counter[str] = Counter()
    for path in sorted(real.rglob("*")):
        kind = suffixes.get(path.suffix.lower())
        if kind is None or "cif" in path.parts or path.stat().st_size > MOST_BYTES:
            continue
        taken[kind] += 1
        if taken[kind] > MOST_ALIKE:
            continue
        yield Target(kind, path.name, path.read_bytes().decode("latin-1"))


def mutations(target: Target) -> Iterator[tuple[Field, str, float, str]]:
    """(field, kind of change, factor of its number or 0, changed text)."""
    for field in FIELDS[target.reader]:
        found = re.search(field.pattern, target.text)
        if not found:
            continue
        begin, end = found.span(1)

        def put(text: str, begin: int = begin, end: int = end) -> str:
            return target.text[:begin] + text + target.text[end:]

        for unit, factor in field.units:
            yield field, "unit", factor, put(unit)
        for factor in field.factors:
            value = float(found[1]) * factor
            value = round(value) if field.count else value
            yield field, "sign" if factor < 0 else "factor 10", factor, put(f"{value:.10g}")
        if field.count:
            for more in (1, -1):
                yield field, "count", 0.0, put(str(int(found[1]) + more))
        if field.missing:
            yield field, "missing", 0.0, put("")


def came(target: Target, text: str) -> tuple[Measurement | None, str]:
    """What is read, or why not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, target.name)
        path.write_bytes(text.encode("utf-8" if target.reader in ("table", "json") else "latin-1"))
        for name, data in target.beside:
            Path(folder, name).write_bytes(data)
        try:
            found = read(Path(folder, target.open or target.name), ReadOptions())
        except UnreadableFileError as error:
            return None, str(error)
        return getattr(found, "measurement", found), ""


def verdict(
    field: Field, kind: str, factor: float, before: Measurement, after: Measurement | None
) -> str:
    """Refused, warned, followed, spare (left out of account, rightly), or WRONG."""
    if after is None:
        return "refused"
    if set(after.provenance.warnings) - set(before.provenance.warnings):
        return "warned"
    old, new = field.of(before), field.of(after)
    if np.isnan(new) and not np.isnan(old):
        return "followed"  # no longer known
    pairs = [(a.values, b.values) for a, b in zip(before.axes, after.axes, strict=False)]
    same_axes = all(a.shape == b.shape and np.allclose(a, b) for a, b in pairs)
    unchanged = np.array_equal(before.values, after.values) and same_axes
    if factor and np.isclose(new, old * factor, rtol=SAME):
        return "followed"
    if factor == 0.0 and not unchanged and field.units:
        return "followed"
    repeated = field.spare or (field.implied and kind == "missing")
    return "spare" if repeated and unchanged and np.isclose(old, new, rtol=SAME) else "WRONG"


def measure(target: Target) -> list[dict[str, Any]]:
    """Rows of all mutations of one file."""
    before, _ = came(target, target.text)
    if before is None:
        return []
    rows = []
    for field, kind, factor, text in mutations(target):
        after, _ = came(target, text)
        rows.append(
            {
                "reader": target.reader,
                "file": target.name,
                "field": field.name,
                "kind": kind,
                "verdict": verdict(field, kind, factor, before, after),
                "changed": "; ".join(
                    b for a, b in zip(target.text.splitlines(), text.splitlines(), strict=False)
                    if a != b
                )[:80],
            }
        )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=real_folder(), help="folder of real files")
    parser.add_argument("--reader", choices=sorted(FIELDS), help="only files of this format")
    parser.add_argument("--most", type=int, default=2000, help="how many changes to count")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    rng = random.Random(0)
    targets = [*made_files(rng), *(real_files(given.real) if given.real.is_dir() else ())]
    targets = [t for t in targets if given.reader in (None, t.reader)]
    rng.shuffle(targets)
    with ProcessPoolExecutor(2) as pool:
        rows = [row for found in pool.map(measure, targets) for row in found][: given.most]
    for name in ("reader", "kind"):
        print(f"{name:12s} changed followed refused warned spare WRONG")
        for value in sorted({row[name] for row in rows}):
            n = Counter(row["verdict"] for row in rows if row[name] == value)
            counts = [n[v] for v in ("followed", "refused", "warned", "spare", "WRONG")]
            print(f"{value:12s} {sum(n.values()):7d}", *(f"{c:7d}" for c in counts))
    wrong = [row for row in rows if row["verdict"] == "WRONG"]
    for (reader, field, kind), n in Counter(
        (r["reader"], r["field"], r["kind"]) for r in wrong
    ).most_common():
        example = next(r for r in wrong if (r["reader"], r["field"]) == (reader, field))
        print(f"WRONG {n:4d} {reader}: {field}, {kind}: {example['changed']}")
    print(f"silently wrong: {len(wrong)} of {len(rows)} ({100 * len(wrong) / len(rows):.2f} %)")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), "utf-8")


if __name__ == "__main__":
    main()
