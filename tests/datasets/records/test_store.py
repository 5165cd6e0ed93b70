"""What is stored comes back bit for bit, or not at all: laws 7 and 8 of the house."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from xtalfuse.datasets.records.store import StoreError, read_arrays, write_arrays
from xtalfuse.datasets.sets import atomic
from xtalfuse.loaders.safe.scratch import held

ARRAYS = {
    "hkl": np.arange(-30, 30, dtype=np.int16).reshape(-1, 3),
    "geometric": (np.arange(7) * (1.5 - 2j)).astype(np.complex64),
    "nothing": np.empty((0, 3), np.float64),
    "text": np.frombuffer("Fe₂O₃".encode(), np.uint8),
}
ATTRIBUTES = {"format": "test", "names": ["a", "b"], "number": 0.1}


def test_round_trip_is_bitwise(tmp_path: Path) -> None:
    sha256 = write_arrays(tmp_path / "a.h5", ARRAYS, ATTRIBUTES)
    arrays, attributes, again = read_arrays(tmp_path / "a.h5")
    assert again == sha256
    assert attributes == ATTRIBUTES
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert arrays[name].shape == array.shape
        assert arrays[name].tobytes() == array.tobytes()


def test_same_content_same_hash(tmp_path: Path) -> None:
    first = write_arrays(tmp_path / "a.h5", ARRAYS, ATTRIBUTES)
    second = write_arrays(tmp_path / "b.h5", dict(reversed(ARRAYS.items())), ATTRIBUTES)
    changed = write_arrays(tmp_path / "c.h5", ARRAYS, {**ATTRIBUTES, "number": 0.2})
    assert first == second != changed


def test_every_flipped_bit_of_the_data_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_arrays(path, ARRAYS, ATTRIBUTES)
    with h5py.File(path) as file:
        offset = file["geometric"].id.get_offset()
        size = file["geometric"].id.get_storage_size()
    whole = path.read_bytes()
    for position in range(offset, offset + size, 5):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match="does not match its sha256"):
            read_arrays(path)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9])
def test_cut_files_are_refused(tmp_path: Path, part: float) -> None:
    path = tmp_path / "a.h5"
    write_arrays(path, ARRAYS, ATTRIBUTES)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(StoreError, match=r"a\.h5"):
        read_arrays(path)


def test_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such file"):
        read_arrays(tmp_path / "a.h5")


def test_data_outside_the_file_are_refused(tmp_path: Path) -> None:
    """External storage can make any file of the machine readable as data."""
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"secret!!" * 8)
    path = tmp_path / "a.h5"
    for kind in ("external", "soft", "link", "virtual", "compressed"):
        write_arrays(path, ARRAYS, ATTRIBUTES)
        with h5py.File(path, "a") as file:
            if kind == "external":
                file.create_dataset("x", (8,), "f8", external=[(str(secret), 0, 64)])
            elif kind == "soft":
                file["x"] = h5py.SoftLink("/hkl")
            elif kind == "link":
                file["x"] = h5py.ExternalLink(str(tmp_path / "b.h5"), "/hkl")
            elif kind == "virtual":
                layout = h5py.VirtualLayout((20, 3), "i2")
                layout[:] = h5py.VirtualSource(str(path), "hkl", (20, 3))
                file.create_virtual_dataset("x", layout)
            else:  # a 2 MB file may expand to gigabytes
                file.create_dataset("x", (1 << 20,), "i1", compression="gzip")
        with pytest.raises(StoreError, match=r"a\.h5"):
            read_arrays(path)


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    sha256 = write_arrays(path, ARRAYS, ATTRIBUTES)

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(atomic.os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_arrays(path, {"hkl": ARRAYS["hkl"]}, {})
    monkeypatch.undo()
    assert read_arrays(path)[2] == sha256
    assert os.listdir(tmp_path) == ["a.h5"]


@pytest.mark.skipif(os.name == "nt", reason="a limit of POSIX stands for a full disk")
def test_a_full_disk_is_an_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    import resource

    write_arrays(tmp_path / "a.h5", {}, ATTRIBUTES)
    old = (tmp_path / "a.h5").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="large"):
            write_arrays(tmp_path / "a.h5", {"much": np.arange(10_000.0)}, ATTRIBUTES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "a.h5").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_what_a_killed_program_had_begun_to_write_is_removed(tmp_path: Path) -> None:
    handle, part = held(tmp_path, ".a.h5.", ".part")
    os.close(handle)
    write_arrays(tmp_path / "a.h5", ARRAYS, ATTRIBUTES)
    assert not part.exists()
