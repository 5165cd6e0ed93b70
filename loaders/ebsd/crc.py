"""Orientation maps of Oxford Instruments (HKL Channel 5): ``.crc`` with its ``.cpr``.

The ``.cpr`` is a text of sections and keys; it lists which fields the ``.crc`` holds for each
point, by number. The ``.crc`` is bytes only: for each point the phase (one byte), then those
fields, little-endian, row by row.
"""

from __future__ import annotations

import configparser
from pathlib import Path

import numpy as np

from xtalfuse.loaders.ebsd.grid import Declared
from xtalfuse.loaders.ebsd.map import RawMap, number_of, phase_of
from xtalfuse.loaders.ebsd.numbering import OXFORD_SYMMETRY, filled_in, has_solution, numbers
from xtalfuse.loaders.ebsd.read import map_reader
from xtalfuse.loaders.ebsd.symmetry import CrystalFrame
from xtalfuse.loaders.reader import Certainty
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import FileHead, refused
from xtalfuse.physics.grains.crystal_map import GridKind, MapPhase

_COPY_BOTH = "copy both files again from the instrument"
_MOST_HEADER_BYTES = 1_000_000
# Number of a field -> name and type; others are counts of X-ray windows, four bytes each.
_FIELDS = {
    1: ("x", "<f4"), 2: ("y", "<f4"), 3: ("phi1", "<f4"), 4: ("Phi", "<f4"), 5: ("phi2", "<f4"),
    6: ("mad", "<f4"), 7: ("band_contrast", "u1"), 8: ("band_slope", "u1"), 9: ("field_9", "u1"),
    10: ("bands", "u1"), 11: ("error", "u1"), 12: ("reliability", "<f4"),
}  # fmt: skip


def sniff(head: FileHead) -> Certainty:
    """Whether a file is one of the pair; a ``.crc`` that is text is the checksum of another."""
    if head.suffix == ".crc" and (b"\0" in head.start or _beside(head.path, ".cpr") is not None):
        return Certainty.LIKELY
    known = head.suffix == ".cpr" and b"[Job]" in head.start
    return Certainty.SURE if known else Certainty.NONE


def companions(head: FileHead) -> tuple[Path, ...]:
    """The ``.cpr`` that belongs to a ``.crc``."""
    found = _beside(head.path, ".cpr") if head.suffix == ".crc" else None
    return (found,) if found else ()


def _beside(path: Path, suffix: str) -> Path | None:
    wanted = (path.stem + suffix).lower()
    return next((p for p in sorted(path.parent.iterdir()) if p.name.lower() == wanted), None)


def read(path: Path) -> RawMap:
    """The section in a ``.crc`` and ``.cpr``, given either.

    Points are not indexed where their phase is 0, and where a row is of zeros.

    Raises
    ------
    UnreadableFileError
        If one of the two is missing, or the ``.crc`` is not as long as the ``.cpr`` says.
    """
    header, data = _beside(path, ".cpr"), _beside(path, ".crc")
    if header is None or data is None:
        missing = ".cpr" if header is None else ".crc"
        raise UnreadableFileError(f"{path.name}: its {missing} is not beside it; {_COPY_BOTH}")
    said = _sections(header)
    table = _table(data, said)
    column = {name: table[name] for name in table.dtype.names or ()}
    phase = column.pop("phase").astype(np.int64)
    euler = np.stack([column.pop(n) for n in ("phi1", "Phi", "phi2")], axis=1).astype(float)
    x, y = column.pop("x", None), column.pop("y", None)
    indexed = (phase > 0) & has_solution(euler, column)
    return RawMap(
        euler=euler,
        phase=phase,
        indexed=indexed,
        phases=_phases(header.name, said),
        x=x if x is None else x.astype(float),
        y=y if y is None else y.astype(float),
        declared=_declared(header.name, said),
        quality=column,
        metadata=_metadata(said),
        warnings=filled_in(indexed, column),
        frame=CrystalFrame.OXFORD,
    )


def _sections(path: Path) -> configparser.ConfigParser:
    if path.stat().st_size > _MOST_HEADER_BYTES:
        raise UnreadableFileError(f"{path.name}: too long for a .cpr; {_COPY_BOTH}")
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    try:
        parser.read_string(path.read_bytes().decode("utf-8-sig", "replace"))
    except configparser.Error as error:
        cause = " ".join(str(error).split())[:120]
        raise refused(path.name, f"no text of a .cpr ({cause})", _COPY_BOTH) from None
    return parser


def _number(name: str, said: configparser.ConfigParser, section: str, key: str) -> float:
    text = said.get(section, key, fallback="").replace(",", ".")
    return number_of(f"{name}: [{section}] {key}", text, _COPY_BOTH)


def _table(path: Path, said: configparser.ConfigParser) -> np.ndarray:
    """The points as a structured array, one field for each column."""
    count = int(_number(path.name, said, "Fields", "Count"))
    if not 0 < count < 1000:
        raise UnreadableFileError(f"{path.name}: {count} fields for each point; {_COPY_BOTH}")
    columns = [("phase", "u1")]
    for i in range(1, count + 1):
        number = int(_number(path.name, said, "Fields", f"Field{i}"))
        columns.append(_FIELDS.get(number, (f"field_{number}", "<f4")))
    names = [name for name, _ in columns]
    if len(set(names)) < len(names) or not {"phi1", "Phi", "phi2"} <= set(names):
        raise UnreadableFileError(
            f"{path.name}: fields {', '.join(names)} hold no three Euler angles; {_COPY_BOTH}"
        )
    layout = np.dtype(columns)
    content = path.read_bytes()
    points = _points(path.name, said)
    if len(content) != points * layout.itemsize:
        raise UnreadableFileError(
            f"{path.name}: {len(content)} bytes where {points} points of {layout.itemsize} bytes "
            f"are declared: the file is cut or is not of this .cpr; {_COPY_BOTH}"
        )
    return np.frombuffer(content, layout)


def _points(name: str, said: configparser.ConfigParser) -> int:
    if said.has_option("Job", "xCells") and said.has_option("Job", "yCells"):
        cells = [_number(name, said, "Job", key) for key in ("xCells", "yCells")]
        return int(cells[0]) * int(cells[1])
    return int(_number(name, said, "Job", "NoOfPoints"))


def _declared(name: str, said: configparser.ConfigParser) -> Declared | None:
    if not (said.has_option("Job", "xCells") and said.has_option("Job", "yCells")):
        return None
    if "regular" not in said.get("General", "JobMode", fallback="RegularGrid").lower():
        mode = said.get("General", "JobMode")
        raise UnreadableFileError(
            f"{name}: measured in the mode {mode!r}, not on a grid; export the map as .ctf"
        )
    columns, rows, dx, dy = (
        _number(name, said, "Job", key) for key in ("xCells", "yCells", "GridDistX", "GridDistY")
    )
    return Declared(GridKind.SQUARE, int(rows), int(columns), int(columns), (dx, dy))


def _phases(name: str, said: configparser.ConfigParser) -> dict[int, MapPhase]:
    phases = {}
    for number in range(1, int(_number(name, said, "Phases", "Count")) + 1):
        section = f"Phase{number}"
        a, b, c, alpha, beta, gamma = (
            _number(name, said, section, key) for key in ("a", "b", "c", "alpha", "beta", "gamma")
        )
        phases[number] = phase_of(
            name,
            said.get(section, "StructureName", fallback=f"phase {number}"),
            int(_number(name, said, section, "LaueGroup")),
            "oxford",
            (a, b, c, alpha, beta, gamma),
            space_group=said.get(section, "SpaceGroup", fallback="").strip(),
            remedy=_COPY_BOTH,
        )
    return phases


def _metadata(said: configparser.ConfigParser) -> dict[str, str]:
    """What a person may want to know of the measurement, and the declared specimen axes."""
    keep = {
        "Job": ("kV", "TiltAngle", "Magnification", "Coverage"),
        "General": ("Author", "Description", "Date"),
    }
    found = {
        key.lower(): value
        for section, keys in keep.items()
        for key in keys
        if (value := said.get(section, key, fallback="").strip())
    }
    surface = [said.get("Acquisition Surface", f"Euler{i}", fallback="") for i in (1, 2, 3)]
    if all(surface):
        found["acquisition_surface_euler_deg"] = " ".join(surface)
    return found


READERS = map_reader(
    "crc",
    "Oxford Instruments (HKL), binary, with its .cpr",
    (".crc", ".cpr"),
    sniff,
    read,
    companions=companions,
    numbers=numbers(
        position=("fields 1 and 2, or GridDistX and GridDistY of the .cpr", "um by the format"),
        orientation=("fields 3 to 5", "radian by the format"),
        phase="first byte, from 1",
        missing="phase 0; angles 0 where bands or mad is 0; error set, no bands: told, kept",
        symmetry=f"[Phase] of the .cpr: {OXFORD_SYMMETRY}",
    ),
)
