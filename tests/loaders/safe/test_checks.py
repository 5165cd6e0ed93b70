"""Arrays that are no measurement, and HDF5 files that reach outside themselves."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe import checks
from xtalfuse.loaders.safe.checks import check_array, check_hdf5, check_objects
from xtalfuse.loaders.safe.head import FileHead

GOOD = np.random.default_rng(0).poisson(50.0, 400).astype(float)


@pytest.mark.parametrize(
    ("values", "more", "cause"),
    [
        (np.array([]), {}, "empty"),
        (np.array(["a", "b"]), {}, "not numeric"),
        (np.where(np.arange(400) == 7, np.nan, GOOD), {}, "1 of 400 values"),
        (np.full(10, 3.0), {}, "all 10 values"),
        (np.eye(1, 1000)[0], {"most_zeros": 0.9}, "exactly zero"),
        (GOOD, {"declared": 500}, "400 values where the file declares 500"),
        (GOOD, {"axis": np.arange(399.0)}, "399 values for 400 points"),
        (GOOD, {"axis": np.zeros(400)}, "not monotonic"),
        (GOOD, {"axis": np.append(np.arange(399.0), np.inf)}, "not finite"),
    ],
)
def test_what_cannot_be_a_measurement_is_refused(values, more, cause):
    with pytest.raises(UnreadableFileError, match=cause) as refusal:
        check_array(values, name="a.xy", **more)
    assert str(refusal.value).startswith("a.xy: ")


def test_a_tail_of_zeros_is_told_and_a_quiet_spectrum_is_not():
    padded = np.where(np.arange(400) < 200, GOOD, 0.0)
    assert "50%" in check_array(padded, name="a.blo")[0]
    quiet = np.where(np.arange(400) % 3 == 0, 1.0, 0.0)  # zeros everywhere are counts, not a cut
    assert check_array(quiet, name="a.msa") == ()
    assert check_array(GOOD, name="a.xy", axis=np.arange(400.0)[::-1]) == ()


def test_hdf5_that_keeps_to_itself_passes(tmp_path):
    with h5py.File(tmp_path / "good.h5", "w") as file:
        file["entry/data"] = np.arange(1000)
        file["entry/same"] = file["entry/data"]
        file["soft"] = h5py.SoftLink("/entry/data")
    check_hdf5(tmp_path / "good.h5")


def _external_link(file: h5py.File, other: str) -> None:
    file["away"] = h5py.ExternalLink(other, "/entry")


def _external_storage(file: h5py.File, other: str) -> None:
    file.create_dataset("away", (10,), "u1", external=[(other, 0, 10)])


def _circle(file: h5py.File, other: str) -> None:
    file["entry/loop"] = h5py.SoftLink("/entry")


def _hard_circle(file: h5py.File, other: str) -> None:
    file["entry/loop"] = file["/"]


def _fan(file: h5py.File, other: str) -> None:  # 2**20 paths through 20 groups
    group = file
    for _ in range(20):
        inner = group.create_group("a")
        group["b"] = h5py.SoftLink(inner.name)
        group = inner


def _many(file: h5py.File, other: str) -> None:
    for number in range(101):
        file.create_group(f"entry/{number}")


def _virtual(file: h5py.File, other: str) -> None:
    layout = h5py.VirtualLayout((10,), "u1")
    layout[:] = h5py.VirtualSource(other, "data", (10,))
    file.create_virtual_dataset("away", layout)


def _huge(file: h5py.File, other: str) -> None:
    file.create_dataset("away", (2**50,), "u1", chunks=(2**20,))


def _bomb(file: h5py.File, other: str) -> None:
    file.create_dataset("away", (200_000_000,), "u1", chunks=(2**20,), compression="gzip")


TRICKS = [
    *(_external_link, _external_storage, _virtual, _huge, _bomb),
    *(_circle, _hard_circle, _fan, _many),
]


@pytest.mark.parametrize("trick", TRICKS)
def test_hdf5_that_reaches_out_or_declares_the_absurd_is_refused(tmp_path, trick, monkeypatch):
    monkeypatch.setattr(checks, "MOST_OBJECTS", 100)
    with h5py.File(tmp_path / "bad.h5", "w") as file:
        trick(file, "/etc/hostname")
    with pytest.raises(UnreadableFileError, match=r"bad\.h5: .*(away|declares|circle|objects)"):
        check_hdf5(tmp_path / "bad.h5")


def test_objects_are_counted_before_any_reader_looks_at_them(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "MOST_OBJECTS", 100)
    with h5py.File(tmp_path / "many.h5", "w") as file:
        _many(file, "")
    with FileHead.of(tmp_path / "many.h5") as head, pytest.raises(UnreadableFileError):
        check_objects(head)


def test_damaged_hdf5_is_refused(tmp_path):
    with h5py.File(tmp_path / "cut.h5", "w") as file:
        file["data"] = np.arange(100_000)
    whole = (tmp_path / "cut.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableFileError, match="damaged HDF5"):
        check_hdf5(tmp_path / "cut.h5")
