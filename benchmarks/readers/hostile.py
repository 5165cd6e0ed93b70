"""Bombs, giants and damaged copies of every format: refused in time and memory, never silent.

Run ``python -m benchmarks.readers.hostile --real FOLDER``. Of every reader, files that it knows are
copied: cut, with flipped bits, overwritten with zeros, and lengthened to 100 GB of which nothing
is on the disk; beside them stand archives, pictures and HDF5 files that unpack to giants.
Measured are seconds and the growth of the reading process. *Silent* is a copy that is read as
other numbers than its original without any new warning; flipped bits are left out of that, since
a digit turned into another cannot be told.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import tempfile
import threading
import time
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

from benchmarks.real import real_folder
from xtalfuse.loaders import Limits, UnreadableFileError, load, registry
from xtalfuse.loaders.record import Measurement
from xtalfuse.loaders.safe.head import FileHead

PER_READER = 3
MOST_BYTES = 5_000_000  # of an original, so that copies cost no time
GIANT = 100_000_000_000
BAR_SECONDS, BAR_MB = 2.0, 512.0


class _Memory:
    """Highest memory of all child processes while it watches, above that at the beginning."""

    def __init__(self) -> None:
        self.idle, self.peak, self._stop = self._now(), 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @staticmethod
    def _now() -> float:
        held = 0
        for child in psutil.Process().children(recursive=True):
            try:
                held += child.memory_info().rss
            except psutil.Error:
                continue
        return held / 1e6

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self.peak = max(self.peak, self._now() - self.idle)

    def end(self) -> float:
        self._stop.set()
        self._thread.join()
        return self.peak


def originals(real: Path) -> dict[str, list[Path]]:
    """Name of a reader -> some files of `real` that it knows best and reads."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(p for p in real.rglob("*") if p.is_file()):
        if not 0 < path.stat().st_size <= MOST_BYTES:
            continue
        try:
            with FileHead.of(path) as head:
                name = registry.choose(head).name
        except UnreadableFileError:
            continue
        if len(found[name]) < PER_READER:
            found[name].append(path)
    return found


def copies(raw: bytes, rng: random.Random) -> Iterator[tuple[str, bytes, int]]:
    """(what was done, content, length of the file) of each copy."""
    for share in (0.1, 0.5, 0.9):
        yield f"cut at {share:.0%}", raw[: int(share * len(raw))], 0
    for number in range(3):
        flipped = bytearray(raw)
        for _ in range(max(3, len(raw) // 2000)):
            flipped[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        yield f"flipped {number}", bytes(flipped), 0
    half = len(raw) // 2
    yield "zeros", raw[:half] + bytes(len(raw) - half), 0
    yield "giant", raw, GIANT


def bombs(folder: Path) -> Iterator[Path]:
    """Small files that unpack to a gigabyte or more."""
    import h5py
    import tifffile

    for name, member in (
        ("a.xlsx", "xl/worksheets/sheet1.xml"),
        ("a.brml", "Experiment0/RawData0.xml"),
        ("a.rasx", "Data0/Profile0.txt"),
        ("a.prz", "data.npy"),
    ):
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("xl/workbook.xml", "")
            with archive.open(member, "w", force_zip64=True) as file:
                for _ in range(1024):
                    file.write(b" " * 2**20)
        yield folder / name
    tifffile.imwrite(folder / "a.tif", np.zeros((32768, 32768), "u1"), compression="zlib")
    yield folder / "a.tif"
    for name, path in (("a.hspy", "Experiments/x/data"), ("a.h5", "volume")):
        with h5py.File(folder / name, "w") as file:
            options = {"chunks": (16, 1024, 1024), "compression": "gzip"}
            data = file.create_dataset(path, (1024, 1024, 1024), "u1", **options)
            for start in range(0, 1024, 16):
                data[start : start + 16] = 0
        yield folder / name
    with h5py.File(folder / "circle.nxs", "w") as file:
        file.create_group("entry").attrs["NX_class"] = "NXentry"
        file["entry/again"] = file["entry/loop"] = h5py.SoftLink("/entry")
    yield folder / "circle.nxs"


def _compared(found: Measurement, original: Measurement) -> str:
    if np.array_equal(found.values, original.values):
        return "whole"
    new = set(found.provenance.warnings) - set(original.provenance.warnings)
    return "warned" if new else "silent"


def main() -> None:
    """Measure and print what came of all of them, and those that missed a bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=real_folder())
    real = parser.parse_args().real
    rng, counts, missed = random.Random(0), Counter[str](), list[str]()
    worst_seconds = worst_mb = 0.0

    def attempt(path: Path, what: str, original: Measurement | None = None) -> None:
        nonlocal worst_seconds, worst_mb
        memory, begin = _Memory(), time.perf_counter()
        try:
            found = load(path, wavelength="CuKa", limits=Limits(seconds=20.0))
            verdict = "read" if original is None else _compared(found, original)
        except UnreadableFileError:
            verdict = "refused"
        seconds, grown = time.perf_counter() - begin, memory.end()
        if verdict == "refused":
            worst_seconds, worst_mb = max(worst_seconds, seconds), max(worst_mb, grown)
        if verdict == "refused" and (seconds > BAR_SECONDS or grown > BAR_MB):
            missed.append(f"{what}: {seconds:.1f} s, {grown:.0f} MB")
        if verdict == "silent" and "flipped" not in what:
            missed.append(f"{what}: other numbers without a word")
        if verdict != "refused" and ("giant" in what or "bomb" in what):
            missed.append(f"{what}: {verdict}")
        kind = next(k for k in ("cut", "flipped", "zeros", "giant", "bomb") if k in what)
        counts[f"{kind} {verdict}"] += 1

    with tempfile.TemporaryDirectory() as place:
        for path in bombs(Path(place)):
            attempt(path, f"{path.name} bomb")
        known = originals(real)
        for name, paths in known.items():
            for path in paths:
                try:
                    original = load(path, wavelength="CuKa")
                except UnreadableFileError:
                    original = None
                for what, content, length in copies(path.read_bytes(), rng):
                    folder = Path(tempfile.mkdtemp(dir=place))
                    (folder / path.name).write_bytes(content)
                    if length:
                        os.truncate(folder / path.name, length)
                    attempt(folder / path.name, f"{name} {path.name} {what}", original)
                    shutil.rmtree(folder)
    print(f"{sum(counts.values())} files of {len(known)} formats: {dict(sorted(counts.items()))}")
    print(f"worst of what was refused: {worst_seconds:.1f} s, {worst_mb:.0f} MB above idle")
    print("\n".join(missed) or "none missed a bar")


if __name__ == "__main__":
    main()
