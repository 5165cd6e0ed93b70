"""Damaged copies: refused, or read with a warning, never a crash, a hang or a silent loss.

A cut text table whose last line happens to be whole cannot be told from a shorter scan, so
the copies here are cut inside a line; and a flipped bit that turns one digit into another is
still a pattern. What is promised then is that nothing else happens.
"""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from xtalfuse.loaders import Limits, UnreadableFileError, load

LIMITS = Limits(seconds=20.0, memory_gb=2.0)
WRITERS = ("columns", "xrdml", "ras", "rigaku_asc", "uxd", "udf", "powder_cif", "stoe")


def cut(data: bytes, percent: int) -> bytes:
    """The first part of a file, ending inside a line."""
    size = len(data) * percent // 100
    while data[size - 1] in b"\r\n" or data[size] in b"\r\n":
        size -= 1
    return data[:size]


def flipped(data: bytes, seed: int) -> bytes:
    """A copy with one bit in 20 kB wrong, eight at least."""
    choose = random.Random(seed)
    changed = bytearray(data)
    for _ in range(max(8, len(data) // 20_000)):
        changed[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
    return bytes(changed)


def attempt(path):
    """The pattern, or None where it was refused in the promised form: file, cause, remedy."""
    try:
        return load(path, wavelength="CuKa", limits=LIMITS)
    except UnreadableFileError as refusal:
        said = str(refusal)
    assert re.fullmatch(re.escape(path.name) + ": .+; .+", said), said
    return None


@pytest.mark.parametrize("percent", [10, 50, 90])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_cut_copy_never_passes_as_a_shorter_scan(tmp_path, made, writer, percent):
    content = getattr(made, writer)()
    data = content if isinstance(content, bytes) else content.encode()
    path = made.write(tmp_path, "scan.cif" if "cif" in writer else "scan.dat", cut(data, percent))
    pattern = attempt(path)
    if pattern is not None:
        assert any("cut" in warning for warning in pattern.provenance.warnings)
        kept = pattern.values[:-1]  # of the last point a digit may be missing
        np.testing.assert_array_equal(kept, made.COUNTS[: kept.size])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("writer", WRITERS)
def test_flipped_bits_never_crash_or_hang(tmp_path, made, writer, seed):
    content = getattr(made, writer)()
    data = content if isinstance(content, bytes) else content.encode()
    path = made.write(tmp_path, "scan.dat", flipped(data, seed))
    pattern = attempt(path)
    if pattern is not None:
        assert np.isfinite(pattern.values).all()
        assert np.all(np.diff(pattern.axis("two_theta")) > 0)


def test_a_hole_of_zeros_in_counts_is_refused(tmp_path, made):
    holed = made.COUNTS.copy()
    holed[300:600] = 0.0
    rows = zip(made.ANGLES, holed, strict=True)
    path = made.write(tmp_path, "a.xy", "".join(f"{x:.2f} {y:.0f}\n" for x, y in rows))
    with pytest.raises(UnreadableFileError, match="300 neighbouring points"):
        load(path, wavelength="CuKa")


def test_real_files_cut_or_flipped(real, tmp_path, made):
    files = [f for f in sorted((real / "xrd" / "formats").rglob("*")) if f.is_file()]
    files = {f.read_bytes(): f for f in files if f.stat().st_size < 300_000}
    silent = []
    for data, file in files.items():
        whole = attempt(file)
        for percent in (10, 50, 90):
            copy = attempt(made.write(tmp_path, file.name, cut(data, percent)))
            lost = copy is not None and (whole is None or copy.values.size < whole.values.size)
            if lost and not any("cut" in w for w in copy.provenance.warnings):
                silent.append((file.name, percent))
        for seed in (1, 2):
            attempt(made.write(tmp_path, file.name, flipped(data, seed)))
    assert silent == []
