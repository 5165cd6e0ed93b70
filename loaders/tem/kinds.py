"""Which RosettaSciIO reader a vendor file of an electron microscope needs.

It is chosen by what the file holds, not by its name: ``.h5``, ``.emd``, ``.img`` and ``.raw``
each mean several formats.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from xtalfuse.loaders.reader import Certainty
from xtalfuse.loaders.safe.head import FileHead
from xtalfuse.loaders.tem.signals import text
from xtalfuse.loaders.tem.whole import sibling

if TYPE_CHECKING:
    import h5py

# First bytes of a file -> name of the RosettaSciIO reader.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"II\x97\x01", "tia"), (b"JK\x00\x02", "tia"), (b"IMGBLO", "blockfile"), (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"), (b"II+\x00", "tiff"), (b"AAMVHFSS", "bruker"),
    (b"MAPSPECTRUM_DATA", "edax"), (b"MQ1,", "quantumdetector"), (b"HDR,", "quantumdetector"),
    (b"\x89PNG\r\n", "image"), (b"\xff\xd8\xff", "image"), (b"BM", "image"),
)  # fmt: skip
# Formats without a mark at the beginning: known by their suffix alone.
_SUFFIX = {
    ".spc": "edax", ".mrc": "mrc", ".ali": "mrc", ".prz": "pantarhei", ".eds": "jeol",
    ".pts": "jeol", ".asw": "jeol", ".elid": "phenom",
}  # fmt: skip
_GENERAL = ("tiff", "image")  # containers of pictures, in which a volume may lie too


def identify(file: FileHead) -> tuple[str, Certainty] | None:
    """Name of the RosettaSciIO reader for a file, and how sure that is; None if not ours."""
    head, suffix = file.start, file.suffix
    if file.is_hdf5:
        layout = None if file.hdf5 is None else hdf5_layout(file.hdf5, file.path)
        return layout or "hdf5", Certainty.CONTAINER
    if _is_dm(head):
        return "digitalmicrograph", Certainty.SURE
    for magic, reader in _MAGIC:
        if head.startswith(magic) and (len(magic) > 2 or suffix == ".bmp"):
            return reader, Certainty.CONTAINER if reader in _GENERAL else Certainty.SURE
    if head[208:212] == b"MAP ":
        return "mrc", Certainty.CONTAINER
    if suffix == ".rpl" and re.search(rb"(?mi)^data-(type|length)\s", head):
        return "ripple", Certainty.LIKELY
    if suffix == ".raw" and sibling(file.path, ".rpl"):
        return "ripple data", Certainty.LIKELY
    if head[:4] == b"\x0c\x00\x00\x00" == head[16:20]:
        return "semper", Certainty.LIKELY
    if suffix == ".tvips":
        return "tvips", Certainty.LIKELY
    if b"<TRTSpectrum" in head:
        return "bruker", Certainty.LIKELY
    if suffix == ".xml" and b"<raw_file" in head:
        return "empad", Certainty.LIKELY
    if suffix in (".img", ".map") and head[:4] == b"\x34\x00\x00\x00":
        return "jeol", Certainty.LIKELY
    return (_SUFFIX[suffix], Certainty.LIKELY) if suffix in _SUFFIX else None


def _is_dm(head: bytes) -> bool:
    if len(head) < 16:
        return False
    version = struct.unpack(">I", head[:4])[0]
    order = head[8:12] if version == 3 else head[12:16]
    return version in (3, 4) and struct.unpack(">I", order)[0] in (0, 1)


def hdf5_layout(file: h5py.File, path: Path) -> str | None:
    """Name of the reader for an open HDF5 file; None if its layout is not ours."""
    import h5py

    keys, attributes = set(file), set(file.attrs)
    own = [key for key in keys if isinstance(file.get(key, getlink=True), h5py.HardLink)]
    groups = [item for item in map(file.get, own) if isinstance(item, h5py.Group)]
    inner = {name for group in groups for name in group.attrs}
    classes = {text(group.attrs.get("NX_class")) for group in groups}
    if "Experiments" in keys:
        return "hspy"
    if {"Data", "Version"} <= keys:
        return "emd"
    if "TofDAQ Version" in attributes:
        return "tofwerk"
    if any(re.fullmatch(r"Acquisition\d+", key) for key in keys):
        return "delmic"
    if any("emd_group_type" in names or "version_major" in names for names in (attributes, inner)):
        return "emd"
    if "STEM Metadata" in keys or path.stem.rpartition("_data_")[1]:
        return "arina"
    if "Version" in keys and any(len(key) == 36 for key in keys):
        return "topspin"
    if "NXentry" in classes or path.suffix.lower() == ".nxs":
        return "nexus"
    return None
