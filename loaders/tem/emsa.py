"""Spectra written as text: EMSA/MAS (ISO 22029) files, and plain columns of energy and counts.

These are read here and not through a library, because half of the files in circulation
break the standard: without any header they come back from other readers as an empty
spectrum, and a file cut in half comes back short and without a word.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from xtalfuse.loaders.reader import Certainty, Number
from xtalfuse.loaders.record import Modality, UnreadableFileError
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, FileHead, refused
from xtalfuse.loaders.tem.read import signals_reader
from xtalfuse.loaders.tem.signals import RawAxis, RawSignal, number, standard_unit, text, tidy

SUFFIXES = (".msa", ".emsa", ".mas", ".ems")
_SEPARATOR = re.compile(r"[,;\s]+")
_DECIMAL_COMMA = re.compile(r"\d,\d")
_OTHER_SEPARATOR = re.compile(r"[;\t]|\d +[-+\d]")
_SIGNAL_TYPES = {
    "ELS": "EELS", "EDS": "EDS_TEM", "EDX": "EDS_TEM", "WDS": "WDS", "AES": "AES", "PES": "PES",
    "XRF": "XRF", "CLS": "CL", "GAM": "GAMMA",
}  # fmt: skip


def sniff(head: FileHead) -> Certainty:
    """Whether this is a spectrum as text.

    Sure of an EMSA/MAS header under any name; likely numbers in a file called ``.msa``, and
    columns headed by an energy (loss) in eV or keV.
    """
    start = _decode(head.start[:4096]).lstrip()
    if not start or "\x00" in start:
        return Certainty.NONE
    if re.match(r"#\s*FORMAT\s*:\s*EMSA", start, re.IGNORECASE):
        return Certainty.SURE
    first = start.splitlines()[0]
    if head.suffix in SUFFIXES:
        known = first.startswith("#") or _numbers(first) is not None
    else:
        known = _names_energy(first)
    return Certainty.LIKELY if known else Certainty.NONE


def _names_energy(line: str) -> bool:
    if _numbers(line) is not None or re.search(r"theta|degree", line, re.IGNORECASE):
        return False
    return bool(re.search(r"energy[ _-]*loss|energy.{0,20}(?<![a-z])k?eV\b", line, re.IGNORECASE))


def _decode(raw: bytes) -> str:
    for encoding in ("utf-8-sig", "latin-1"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise AssertionError("latin-1 decodes every byte")


def _numbers(line: str) -> list[float] | None:
    """The numbers of a line; None if it holds anything else, or nothing."""
    if "." not in line and _DECIMAL_COMMA.search(line) and _OTHER_SEPARATOR.search(line):
        line = line.replace(",", ".")
    fields = [f for f in _SEPARATOR.split(line.strip()) if f]
    try:
        return [float(f) for f in fields] or None
    except ValueError:
        return None


def read(path: Path) -> RawSignal:
    """The spectrum of an EMSA/MAS file or of plain columns.

    Returns
    -------
    RawSignal of shape (n,), with the energy axis in the unit that the file states; where it
    states none, eV and a warning.

    Raises
    ------
    UnreadableFileError
        If no numbers follow the header, if fewer channels are there than declared, if a
        line is broken, or if energies do not rise or fall steadily.
    """
    lines = _decode(path.read_bytes()).splitlines()
    if lines and lines[0].lstrip().startswith("#"):
        return _read_emsa(path.name, lines)
    return _read_columns(path.name, lines)


def _header(lines: list[str]) -> tuple[dict[str, str], int]:
    """Keywords of an EMSA header and the index of the first line after it."""
    header: dict[str, str] = {}
    for index, line in enumerate(lines):
        if not line.lstrip().startswith("#"):
            if line.strip():
                return header, index
            continue
        key, _, value = line.lstrip(" #").partition(":")
        name = key.split("-")[0].strip().upper()
        if name == "SPECTRUM":
            return header, index + 1
        if name == "ENDOFDATA":
            break
        value = value.strip()
        header[name] = (
            f"{header[name]} {value}" if name in ("TITLE", "COMMENT") and name in header else value
        )
    return header, len(lines)


def _read_emsa(name: str, lines: list[str]) -> RawSignal:
    header, first = _header(lines)
    warnings: list[str] = []
    rows, ended = _rows(name, lines, first)
    flat = np.array([value for row in rows for value in row])
    offset, step = number(header.get("OFFSET")) or 0.0, number(header.get("XPERCHAN"))
    declared = int(number(header.get("NPOINTS")) or 0)
    if _is_xy(header, rows, offset, step):
        if any(len(row) % 2 for row in rows):
            raise refused(name, "a line lacks the intensity that belongs to its energy")
        energy, counts = flat[0::2], flat[1::2]
    elif step is None:
        raise UnreadableFileError(f"{name}: no XPERCHAN, so no energy axis; {EXPORT_AGAIN} with it")
    else:
        energy, counts = offset + step * np.arange(flat.size), flat
    if counts.size < declared or (not ended and counts.size != declared):
        raise UnreadableFileError(
            f"{name}: {counts.size} channels where NPOINTS declares {declared}"
            f"{'' if ended else ', and no #ENDOFDATA'}: the file is cut; copy it again"
        )
    if counts.size != declared:
        warnings.append(f"{counts.size} channels where NPOINTS declares {declared}: all are used")
    if not ended:
        warnings.append("no #ENDOFDATA line")
    if step is not None and abs(energy[0] - offset) > abs(step):
        warnings.append(
            f"energies begin at {energy[0]:g}, OFFSET says {offset:g}: the column is used"
        )
    return _signal(name, energy, counts, header, warnings)


def _rows(name: str, lines: list[str], first: int) -> tuple[list[list[float]], bool]:
    """Rows of numbers from line `first` on, and whether the end of data is marked."""
    rows: list[list[float]] = []
    ended = False
    for index in range(first, len(lines)):
        line = lines[index].strip()
        if line.startswith("#"):
            ended = line.upper().replace(" ", "").startswith("#ENDOFDATA")
            if ended:
                break
        elif line:
            row = _numbers(line)
            if row is None:
                raise refused(name, f"line {index + 1} is not numbers: {text(line[:40])!r}")
            rows.append(row)
    if not rows:
        raise UnreadableFileError(f"{name}: a header but no spectrum after it; {EXPORT_AGAIN}")
    return rows, ended


def _is_xy(
    header: dict[str, str], rows: list[list[float]], offset: float, step: float | None
) -> bool:
    if header.get("DATATYPE", "").upper() == "XY":
        return True
    # Some writers put pairs under DATATYPE Y: believe the columns where they agree with
    # the header's own axis.
    pairs = (number(header.get("NCOLUMNS")) or 1) == 1 and all(len(row) == 2 for row in rows)
    if not pairs or step is None:
        return False
    expected = offset + step * np.arange(len(rows))
    return bool(np.allclose([row[0] for row in rows], expected, atol=0.5 * abs(step)))


def _read_columns(name: str, lines: list[str]) -> RawSignal:
    body = [line for line in lines if line.strip()]
    head: list[str] = []
    while body and _numbers(body[0]) is None and len(head) < 50:
        head.append(body.pop(0))
    rows = [_numbers(line) for line in body]
    bad = next((i for i, row in enumerate(rows) if row is None or len(row) < 2), None)
    if not rows or bad is not None:
        where = "no line" if not rows or bad == 0 else f"line {len(head) + (bad or 0) + 1} is not"
        raise UnreadableFileError(f"{name}: {where} two columns of numbers; {EXPORT_AGAIN}")
    if len({len(row) for row in rows if row}) > 1:
        raise refused(name, "the lines differ in their number of columns")
    table = np.array(rows, float)
    warnings = [] if head else ["no header: the first column is taken for energy"]
    if table.shape[1] > 2:
        warnings.append(f"{table.shape[1]} columns: the second is used as intensity")
    energy = table[:, 0]
    steps = np.abs(np.diff(energy))
    if (
        energy.size > 8
        and abs(steps[-1] - steps[-2]) > 0.3 * steps[-2]
        and np.ptp(steps[:-1]) < 0.1 * np.median(steps)
    ):
        raise UnreadableFileError(
            f"{name}: the last line breaks the even spacing of energies: it is cut; copy it again"
        )
    unit = re.search(r"(?<![A-Za-z])(k?eV)(?![A-Za-z])", " ".join(head), re.IGNORECASE)
    header = {"XUNITS": unit.group(1) if unit else "", "TITLE": Path(name).stem}
    if re.search(r"loss", " ".join(head), re.IGNORECASE):
        header["SIGNALTYPE"] = "ELS"
    return _signal(name, energy, table[:, 1], header, warnings)


def _signal(
    name: str, energy: np.ndarray, counts: np.ndarray, header: dict[str, str], warnings: list[str]
) -> RawSignal:
    if energy.size > 1 and energy[0] > energy[-1]:
        energy, counts = energy[::-1], counts[::-1]
        warnings.append("energies fall along the file: reversed")
    declared = header.get("XUNITS", "")
    known = standard_unit(declared)
    assumed = known is None or known[0] != "eV"
    kind = header.get("SIGNALTYPE", "").upper()
    if assumed:
        # No X-ray spectrum ends below 100 eV, and none is recorded up to 100 keV.
        unit = "keV" if kind[:2] == "ED" and energy.max() < 100.0 else "eV"
        warnings.append(f"the energy unit is not given ({declared!r}): taken for {unit}")
        declared = unit
    title = text(header.get("TITLE"))
    if kind == "ELS" and title and re.search(r"x-?ray|xas|xanes|nexafs", title, re.IGNORECASE):
        warnings.append("declared as energy loss, but the title speaks of X-ray absorption")
    return RawSignal(
        data=counts,
        axes=(RawAxis("energy", declared, energy),),
        signal_type=_SIGNAL_TYPES.get(kind[:3], ""),
        metadata=tidy(
            {
                "title": title,
                "date": text(header.get("DATE")),
                "owner": text(header.get("OWNER")),
                "beam_energy_keV": number(header.get("BEAMKV")),
                "convergence_angle_mrad": number(header.get("CONVANGLE")),
                "collection_angle_mrad": number(header.get("COLLANGLE")),
                "live_time_s": number(header.get("LIVETIME")),
                "detector": text(header.get("EDSDET") or header.get("ELSDET")),
                "elements": _elements(header),
            }
        ),
        warnings=tuple(warnings),
        assumed=assumed,
    )


def _elements(header: dict[str, str]) -> list[str]:
    """Elements by atomic number, as Oxford Instruments' software adds them."""
    numbers = re.findall(r"\d+", header.get("OXINSTELEMS", ""))
    if not numbers:
        return []
    from gemmi import Element

    return [Element(int(z)).name for z in numbers if 0 < int(z) < 119]


READERS = signals_reader(
    "emsa",
    "EMSA/MAS (ISO 22029), and columns of energy and counts",
    (Modality.EELS, Modality.EDS, Modality.OTHER),
    SUFFIXES,
    sniff,
    lambda path: ("xtalfuse/emsa", [read(path)]),
    numbers=(
        Number(
            "energy",
            "OFFSET and XPERCHAN, or the first column where DATATYPE is XY or it agrees with them",
            "XUNITS, or the head of the columns; else eV (keV for X-rays below 100), and said",
            "as written, decimal comma or point; falling axes are turned round",
        ),
        Number("counts", "what follows #SPECTRUM, NPOINTS of it; of columns the second",
               "any: only their course is used", "as written"),
    ),
)  # fmt: skip
