"""Volumes in HDF5: chosen by content, sized by their axes, never what was not written."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from xtalfuse.loaders import UnreadableFileError, load
from xtalfuse.loaders.record import Modality


def test_hdf5_volumes_are_chosen_by_content(tmp_path, grey, same):
    path = tmp_path / "v.h5"
    with h5py.File(path, "w") as file:
        volume = file.create_dataset("entry/recon/data", data=grey, chunks=(5, 20, 30))
        volume.attrs["element_size_um"] = [3.0, 2.0, 1.0]
        file["entry/instrument/detector/data"] = grey[::-1]
        file["positions"] = np.zeros((3, 12))
    same(load(path), grey, (3.0, 2.0, 1.0))
    same(load(f"{path}#/entry/instrument/detector/data"), grey[::-1])
    with h5py.File(path, "a") as file:
        file["entry/recon/other"] = grey
    with pytest.raises(UnreadableFileError, match=r"several volumes .*v\.h5#/entry/recon/"):
        load(path)


def test_nexus_axes_give_the_voxel(tmp_path, grey, same):
    path = tmp_path / "v.nxs"
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/tomo")
        file["entry"].attrs["NX_class"] = "NXentry"
        group.attrs["NX_class"] = "NXdata"
        group["data"] = grey
        for name, length in zip("zyx", grey.shape, strict=True):
            group[name] = np.arange(length) * 0.004 + 1.0
            group[name].attrs["units"] = "mm"
    same(load(path), grey, (4.0, 4.0, 4.0))


@pytest.mark.parametrize("axes", [["yaxis", "xaxis", "."], ["yaxis", "xaxis", "energy"]])
def test_a_nexus_map_of_spectra_is_no_volume(tmp_path, grey, axes):
    path = tmp_path / "map.nxs"
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/rocks")
        file["entry"].attrs["NX_class"] = "NXentry"
        group.attrs["NX_class"] = "NXdata"
        group.attrs["signal"] = "data"
        group.attrs["axes"] = np.array(axes, dtype="S8")
        group["data"] = grey
        for name, length in zip(axes, grey.shape, strict=True):
            if name != ".":
                group[name] = np.arange(float(length))
    assert load(path).modality is not Modality.CT
    with h5py.File(path, "a") as file:  # nothing told of the axes: it may be a volume
        group = file["entry/rocks"]
        del group.attrs["axes"]
        for name in set(axes) - {"."}:
            del group[name]
    assert load(path).modality is Modality.CT


def test_raw_projections_are_refused_with_a_library_that_reconstructs(tmp_path, grey, real, same):
    path = tmp_path / "scan.nxs"
    with h5py.File(path, "w") as file:
        file["entry1/definition"] = "NXtomo"
        file["entry1/tomo/data"] = grey
        file["entry1/tomo/image_key"] = np.zeros(12, int)
    for raw in (path, real / "ct" / "nxtomo" / "k11-18014.nxs"):
        with pytest.raises(UnreadableFileError, match=r"raw projections.*httomo"):
            load(raw)
    imaging = real / "ct" / "nxtomo" / "k11-18014" / "k11-18014-imaging.h5"
    with pytest.raises(UnreadableFileError, match="looks like raw projections"):
        load(imaging)
    with h5py.File(path, "a") as file:  # with the reconstruction in the same file
        file["entry2/reconstruction/data"] = grey + 1
    same(load(path), grey + 1)


def test_what_was_never_written_is_not_read_as_zeros(tmp_path, grey):
    with h5py.File(tmp_path / "half.h5", "w") as file:
        half = file.create_dataset("volume", grey.shape, "u2", chunks=(2, 20, 30))
        half[:6] = grey[:6]
        file.create_dataset("empty", grey.shape, "u2")
    for part, told in (("volume", "3 of 6 chunks"), ("empty", "0 of 14400 bytes")):
        with pytest.raises(UnreadableFileError, match=told):
            load(f"{tmp_path / 'half.h5'}#{part}")
