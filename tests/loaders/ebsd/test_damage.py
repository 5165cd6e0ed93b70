"""Damaged maps: refused, or whole; never shorter, never a crash. Through `load`, as a user does."""

from __future__ import annotations

import random

import numpy as np
import pytest

from xtalfuse.loaders import UnreadableFileError, load

TEXT = ("ang", "ctf")
KINDS = ("ang", "ctf", "crc", "osc", "h5oina", "edax", "bruker", "emsoft", "dream3d")


@pytest.fixture
def written(made, points, tmp_path):
    """Writes a map of a kind; the `.crc` with its `.cpr`."""

    def write(kind: str):
        if kind in TEXT:
            return made.write(tmp_path, f"map.{kind}", getattr(made, kind)(points))
        if kind == "osc":
            return made.write(tmp_path, "map.osc", made.osc(points))
        return getattr(made, f"write_{kind}")(tmp_path, points)

    return write


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_is_refused(written, kind, cut):
    path = written(kind)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(UnreadableFileError, match=r"map\..+: .+; .+"):
        load(path)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_file_is_refused(written, kind):
    path = written(kind)
    path.write_bytes(b"")
    with pytest.raises(UnreadableFileError, match="empty"):
        load(path)


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bits_are_refused_or_leave_every_point(written, kind):
    """A flipped digit or mantissa cannot be seen; a missing or misplaced point can."""
    path = written(kind)
    content = path.read_bytes()
    original = load(path).crystal_map
    chance = random.Random(1)
    for _ in range(12):
        copy = bytearray(content)
        for _ in range(3):
            copy[chance.randrange(len(copy))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(copy))
        try:
            found = load(path).crystal_map
        except UnreadableFileError:
            continue
        assert found is not None
        assert len(found.phase) == len(original.phase)
        assert np.array_equal(found.index, original.index)
        assert np.isfinite(found.orientation).all()


@pytest.mark.parametrize("kind", TEXT)
def test_the_last_point_is_not_lost_without_a_word(written, kind):
    path = written(kind)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(UnreadableFileError, match="62 points where 63 are declared"):
        load(path)


@pytest.mark.parametrize("kind", TEXT)
def test_zeros_at_the_end_are_refused(written, kind):
    path = written(kind)
    content = path.read_bytes()
    path.write_bytes(content[:-400] + b"\0" * 400)
    with pytest.raises(UnreadableFileError, match="no row of"):
        load(path)


def test_zeros_at_the_end_of_a_binary_map_are_told_or_refused(written):
    path = written("crc")
    content = path.read_bytes()
    path.write_bytes(content[: 40 * 21] + b"\0" * (23 * 21))  # 21 bytes each of 63 points
    said = load(path).provenance.warnings
    assert any("23 points are empty" in text for text in said)
    path = written("osc")
    content = path.read_bytes()
    path.write_bytes(content[:-400] + b"\0" * 400)
    with pytest.raises(UnreadableFileError, match="lie where another lies"):
        load(path)
