"""Mutated headers: does the answer follow what a header says, or say that it does not?

Run ``python -m benchmarks.readers.headers --help``. In real files, and in files that the tests'
writers make, ONE field of the header is changed: its unit, a factor of ten, its sign, a count,
or it is taken out. The measurement must change as the field says, be refused, or carry a warning
that it did not carry before; what else comes is *silently wrong*. A field that other numbers of
the file repeat (``spare``) may also be left out of account.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.readers.fields import FIELDS, Field
from benchmarks.real import real_folder
from xtalfuse.loaders import Measurement, UnreadableFileError
from xtalfuse.loaders.reader import ReadOptions
from xtalfuse.loaders.registry import read

ROOT = Path(__file__).resolve().parents[2]
MOST_ALIKE, MOST_BYTES = 30, 400_000  # real files of one format, and the size of each
SAME = 1e-4  # relative: headers are rounded, and ends of ranges to half a step


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
    made = importlib.import_module("benchmarks.readers.binary").writers("conftest")
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
        ".ctf": "ctf",
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
        return opened(Path(folder, target.open or target.name))


def opened(path: Path) -> tuple[Measurement | None, str]:
    """What is read, or why not."""
    try:
        found = read(path, ReadOptions())
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
    if factor < 0.0 and not unchanged and np.isclose(new, -old * factor, rtol=SAME):
        return "followed"  # a falling axis, turned round with its values
    if kind == "missing" and not unchanged and new == 0.0:
        return "followed"
    if factor == 0.0 and field.units and not (unchanged and np.isclose(new, old, rtol=SAME)):
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
        lines = zip(target.text.splitlines(), text.splitlines(), strict=False)
        changed = "; ".join(b for a, b in lines if a != b)[:80]
        rows.append(row_of(target.reader, target.name, field, kind, factor, before, after, changed))
    return rows


def row_of(
    reader: str, file: str, field: Field, kind: str, factor: float, before: Measurement,
    after: Measurement | None, changed: str,
) -> dict[str, Any]:  # fmt: skip
    """What came of one change."""
    said = verdict(field, kind, factor, before, after)
    return {"reader": reader, "file": file, "field": field.name, "kind": kind, "verdict": said,
            "changed": changed}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=real_folder(), help="folder of real files")
    parser.add_argument("--reader", help="only files of this format")
    parser.add_argument("--seed", type=int, default=0, help="of the files and their order")
    parser.add_argument("--most", type=int, default=2000, help="how many changes to count")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    binary = importlib.import_module("benchmarks.readers.binary")
    rng = random.Random(given.seed)
    targets = [*made_files(rng), *binary.text_files(rng)]
    targets += real_files(given.real) if given.real.is_dir() else ()
    jobs: list[Any] = [t for t in targets if given.reader in (None, t.reader)]
    jobs += [
        (reader, 1000 * given.seed + number)
        for reader in binary.FIELDS
        for number in range(20 if given.reader in (None, reader) else 0)
    ]
    rng.shuffle(jobs)
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    rows: list[dict[str, Any]] = []
    for job in jobs:
        rows += binary.measure(job) if isinstance(job, tuple) else measure(job)
        if len(rows) >= given.most:
            break
    del rows[given.most :]
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
