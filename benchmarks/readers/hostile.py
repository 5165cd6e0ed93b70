"""Bombs, giants and damaged copies of every format: refused in time and memory, never silent.

Run ``python -m benchmarks.readers.hostile --help``. Of every reader, files that it knows are
copied: cut, with flipped bits, overwritten with zeros, with a gap, and lengthened to 100 GB of
which nothing is on the disk; beside them stand archives, pictures and HDF5 files that unpack to
giants. Measured are seconds and the growth of the reading process. *Silent* is a copy that is
read as other numbers than its original without any new warning; flipped bits are left out of
that, since a digit turned into another cannot be told.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import tempfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.readers.watch import Watch
from benchmarks.real import real_folder
from xtalfuse.loaders import Limits, UnreadableFileError, load, registry
from xtalfuse.loaders.record import Measurement
from xtalfuse.loaders.registry import companions
from xtalfuse.loaders.safe.guard import check_file, guarded
from xtalfuse.loaders.safe.head import FileHead

MOST_BYTES = 5_000_000  # of an original, so that copies cost no time
KINDS = ("cut", "flipped", "zeros", "gap", "giant", "bomb")
GIANT = 100_000_000_000
BAR_SECONDS, BAR_MB = 2.0, 512.0


def originals(real: Path, most: int) -> dict[str, list[Path]]:
    """Name of a reader -> at most so many files of `real` that it knows best and reads."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(p for p in real.rglob("*") if p.is_file()):
        if not 0 < path.stat().st_size <= MOST_BYTES:
            continue
        try:
            with FileHead.of(path) as head:
                name = registry.choose(head).name
        except UnreadableFileError:
            continue
        if len(found[name]) < most:
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
    yield "gap", raw[:half] + raw[half + len(raw) // 10 :], 0
    yield "giant", raw, GIANT


def bombs(folder: Path) -> Iterator[Path]:
    """Small files that unpack to a gigabyte or more."""
    import h5py
    import tifffile

    for count, name in ((229, "a.npz"), (90, "b.npz")):  # zeros, and noise in one of them
        grey = np.zeros((count, 2048, 2048), "u1")
        np.savez_compressed(folder / name, volume=grey)
        yield folder / name
    for name in ("a.bmp", "a.png", "a.gif"):
        Image.new("L", (13000, 13000)).save(folder / name)
        yield folder / name
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


@dataclass
class Tally:
    """What came of all files, and those that missed a bar."""

    counts: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # of each refusal
    wall: list[float] = field(default_factory=list)
    grown: list[float] = field(default_factory=list)

    def attempt(self, path: Path, what: str, original: Measurement | None = None) -> None:
        """Read one file, in a process that runs already, and note what came of it."""
        guarded(check_file, path)
        with Watch(own=False) as watch:
            try:
                found = load(path, wavelength="CuKa", limits=Limits(seconds=20.0))
                verdict = "read" if original is None else _compared(found, original)
            except UnreadableFileError as error:
                verdict, said = "refused", str(error)
        wall, cpu, grown = watch.seconds, watch.cpu_seconds, watch.peak_mb
        cost = f"{what}: {cpu:.1f} s CPU, {wall:.1f} s wall, {grown:.0f} MB"
        if verdict == "refused":
            self.cpu.append(cpu)
            self.wall.append(wall)
            self.grown.append(grown)
            if cpu > BAR_SECONDS or grown > BAR_MB:
                self.missed.append(f"{cost}: {said[:150]}")
        elif "giant" in what or "bomb" in what:
            self.missed.append(f"{cost}: {verdict}")
        elif verdict == "silent" and "flipped" not in what:
            self.missed.append(f"{cost}: other numbers without a word")
        kind = next(k for k in KINDS if k in what)
        self.counts[f"{kind} {verdict}"] += 1

    def told(self) -> str:
        """All of it in lines."""
        worst = [f"{max(v):.1f}" for v in (self.cpu, self.wall)] + [f"{max(self.grown):.0f}"]
        late = sum(seconds > BAR_SECONDS for seconds in self.wall)
        return "\n".join(
            [
                f"{sum(self.counts.values())} files: {dict(sorted(self.counts.items()))}",
                "worst of what was refused: {} s CPU, {} s wall, {} MB above idle".format(*worst),
                f"{late} of {len(self.wall)} refusals took more than {BAR_SECONDS:g} s of wall",
                *(self.missed or ["none missed a bar"]),
            ]
        )


def main() -> None:
    """Measure and print what came of all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=real_folder())
    parser.add_argument("--per-reader", type=int, default=6, help="originals of each format")
    parser.add_argument("--reader", help="only originals of this format, and no bombs")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng, tally = random.Random(given.seed), Tally()
    with tempfile.TemporaryDirectory() as place:
        for path in bombs(Path(place)) if given.reader is None else ():
            tally.attempt(path, f"{path.name} bomb")
        known = originals(given.real, given.per_reader)
        for name in known if given.reader is None else [given.reader]:
            for path in known[name]:
                try:
                    original = load(path, wavelength="CuKa")
                except UnreadableFileError:
                    original = None
                for what, content, length in copies(path.read_bytes(), rng):
                    folder = Path(tempfile.mkdtemp(dir=place))
                    for beside in companions(path):
                        shutil.copy(beside, folder)
                    (folder / path.name).write_bytes(content)
                    if length:
                        os.truncate(folder / path.name, length)
                    tally.attempt(folder / path.name, f"{name} {path.name} {what}", original)
                    shutil.rmtree(folder)
    print(f"{len(known)} formats, seed {given.seed}\n{tally.told()}")


if __name__ == "__main__":
    main()
