"""Raw volumes: bytes without a header, and the text beside them that says what they are.

A ``.json`` or ``.yaml`` has the keys of `Sidecar`; a ``.mhd`` is a MetaImage header.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator

from xtalfuse.loaders.ct.flat import Row, check_length, in_row
from xtalfuse.loaders.ct.read import volume_reader
from xtalfuse.loaders.ct.source import Source
from xtalfuse.loaders.reader import Certainty, Number
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import FileHead

RAW_SUFFIXES = (".raw", ".vol", ".bin")
SIDECARS = (".json", ".yaml", ".yml", ".mhd")
_MOST_TEXT = 100_000
_MHD_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2",
    "MET_INT": "i4", "MET_UINT": "u4", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip


class Sidecar(BaseModel):
    """What a ``.json`` or ``.yaml`` beside raw data says about them."""

    model_config = ConfigDict(extra="forbid")

    shape: tuple[
        Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]
    ]  # z, y, x
    dtype: str
    byte_order: Literal["little", "big"] = "little"
    offset: Annotated[int, Field(ge=0)] = 0  # bytes before the first value
    voxel_size_um: (
        Annotated[FiniteFloat, Field(gt=0)] | tuple[FiniteFloat, FiniteFloat, FiniteFloat] | None
    ) = None  # z, y, x
    label: bool | None = None

    @field_validator("dtype")
    @classmethod
    def _plain_number(cls, value: str) -> str:
        try:
            number = np.dtype(value).kind in "buif"
        except TypeError:
            number = False
        if not number:
            raise ValueError(f"{value!r} is no type of number; write uint8, uint16 or float32")
        return value


def sidecar(path: Path) -> Path | None:
    """The text file that describes the raw data at `path`, if there is one."""
    if path.suffix.lower() not in RAW_SUFFIXES:
        return None
    for suffix in SIDECARS:
        for candidate in (path.with_suffix(suffix), path.with_name(path.name + suffix)):
            if candidate.is_file() and _describes(candidate):
                return candidate
    return None


def _describes(path: Path) -> bool:
    """Whether a text is about a volume: a scan of another instrument may have the same name."""
    with path.open("rb") as file:
        return re.search(rb"\bshape\b|\bDimSize\b", file.read(4096)) is not None


def sniff(head: FileHead) -> Certainty:
    """Whether there is a description beside raw data, or the file is a MetaImage header."""
    if head.suffix == ".mhd" and b"DimSize" in head.start:
        return Certainty.LIKELY
    if head.suffix not in RAW_SUFFIXES:
        return Certainty.NONE
    return Certainty.ON_REQUEST if sidecar(head.path) is None else Certainty.LIKELY


def companions(head: FileHead) -> tuple[Path, ...]:
    """The description of raw data, or the raw data of a ``.mhd``."""
    if head.suffix == ".mhd":
        return data_of(head.path)
    beside = sidecar(head.path)
    # a .mhd is the file itself, and its raw data the companion
    return (beside,) if beside and beside.suffix.lower() != ".mhd" else ()


def raw(path: Path, part: str | None) -> Source:
    """The volume in raw data, or in the raw data that a ``.mhd`` file names."""
    if path.suffix.lower() == ".mhd":
        return _meta_image(path, None)
    beside = sidecar(path)
    if beside is None:
        raise UnreadableFileError(
            f"{path.name}: raw data without a description; put {path.stem}.json beside it with "
            '{"shape": [z, y, x], "dtype": "uint16", "voxel_size_um": 1.0}'
        )
    if beside.suffix.lower() == ".mhd":
        return _meta_image(beside, path)
    said = _read_sidecar(beside)
    size = said.voxel_size_um
    step = (size, size, size) if isinstance(size, float) else size
    if step is not None and min(step) <= 0:
        raise UnreadableFileError(f"{beside.name}: voxel_size_um: not positive; correct the value")
    dtype = np.dtype(said.dtype).newbyteorder(said.byte_order)
    return _raw_source(path, said.shape, dtype, said.offset, step, False, said.label)


def _raw_source(
    path: Path,
    shape: tuple[int, int, int],
    dtype: np.dtype,
    offset: int,
    step: tuple[float, float, float] | None,
    assumed: bool,
    label: bool | None,
) -> Source:
    array = Row(shape, dtype, False, offset)
    check_length(path, offset + array.nbytes)
    more = {"step_um": step, "assumed": assumed, "label": label}
    return in_row(path.open, array, shape, 0, "xtalfuse/raw", path.name, **more)


def _text(path: Path) -> str:
    if path.stat().st_size > _MOST_TEXT:
        raise UnreadableFileError(f"{path.name}: too long for a description; shorten it")
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFileError(f"{path.name}: no text; write it as UTF-8") from None


def data_of(header: Path) -> tuple[Path, ...]:
    """The raw data that a ``.mhd`` file names, if they are beside it."""
    named = re.search(r"(?m)^ElementDataFile\s*=\s*(\S+)\s*$", _text(header))
    if named is None or Path(named.group(1)).name != named.group(1):
        return ()
    data = header.with_name(named.group(1))
    return (data,) if data.is_file() else ()


def _read_sidecar(path: Path) -> Sidecar:
    import yaml

    try:
        content = yaml.safe_load(_text(path))  # JSON is YAML
        said = Sidecar.model_validate(content if isinstance(content, dict) else {})
    except (yaml.YAMLError, RecursionError) as error:
        cause = " ".join(str(error).split())[:160]
        raise UnreadableFileError(f"{path.name}: not JSON or YAML ({cause}); correct it") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else "content"
        known = list(Sidecar.model_fields)
        hint = "correct the value"
        if first["type"] == "extra_forbidden":
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
        cause = str(first["msg"]).removeprefix("Value error, ")
        raise UnreadableFileError(f"{path.name}: {key}: {cause}; {hint}") from None
    return said


def _meta_image(header: Path, data: Path | None) -> Source:
    """The volume of a MetaImage header; its spacing is in millimetre by convention."""
    pairs: dict[str, str] = {}
    for line in _text(header).splitlines():
        key, equals, value = line.partition("=")
        if equals:
            pairs[key.strip()] = value.strip()

    def refuse(cause: str) -> UnreadableFileError:
        return UnreadableFileError(f"{header.name}: {cause}; export it as uncompressed .mhd + .raw")

    named = pairs.get("ElementDataFile", "")
    if not named or Path(named).name != named or named in ("LOCAL", "LIST"):
        raise refuse(f"ElementDataFile {named!r} is no single file beside it")
    data = data or header.with_name(named)
    if data.name != named or not data.is_file():
        raise refuse(f"its data file {named} is not beside it")
    if pairs.get("CompressedData", "False").lower() == "true":
        raise refuse("compressed data")
    dtype = _MHD_TYPES.get(pairs.get("ElementType", ""))
    if dtype is None or pairs.get("ElementNumberOfChannels", "1") != "1":
        raise refuse(f"ElementType {pairs.get('ElementType')} is not one number per voxel")
    big = pairs.get("BinaryDataByteOrderMSB", pairs.get("ElementByteOrderMSB", "False"))
    try:
        x, y, z = (int(n) for n in pairs["DimSize"].split())
        spacing = [float(s) for s in pairs.get("ElementSpacing", "1 1 1").split()]
        offset = int(pairs.get("HeaderSize", "0"))
    except (KeyError, ValueError):
        raise refuse("DimSize, ElementSpacing or HeaderSize is not as it should be") from None
    kind = np.dtype((">" if big.lower() == "true" else "<") + dtype)
    if offset == -1:  # the data are the end of the file
        offset = data.stat().st_size - Row((z, y, x), kind, False, 0).nbytes
    if min(x, y, z) < 1 or offset < 0:
        raise refuse("DimSize or HeaderSize does not fit the data")
    step = None
    if len(spacing) == 3 and spacing != [1.0, 1.0, 1.0] and 0 < min(spacing) < np.inf:
        step = (spacing[2] * 1e3, spacing[1] * 1e3, spacing[0] * 1e3)
    return _raw_source(data, (z, y, x), kind, offset, step, True, None)


READERS = volume_reader(
    "raw",
    "raw data beside a description (.json, .yaml), MetaImage (.mhd)",
    (*RAW_SUFFIXES, ".mhd"),
    raw,
    sniff,
    companions=companions,
    limits=("compressed MetaImage is refused", "without a description it is refused"),
    numbers=(
        Number("voxel", "voxel_size_um; ElementSpacing of .mhd",
               "um by the key; mm by convention, told as assumed", "1 1 1: not set"),
        Number("value", "from offset or HeaderSize on", "none", "dtype, byte_order; ElementType"),
        Number("order of axes", "shape: z, y, x; DimSize: x, y, z", "", "none is turned"),
    ),
)  # fmt: skip
