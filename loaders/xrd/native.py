"""X-ray formats that rietx does not read: Stoe .raw, Rigaku .asc, powder CIF with ranges.

Layout of Stoe files (``RAW_1.06Powdat``, little-endian, blocks of 512 bytes) as described by
the free readers of Profex and Chemotion and checked on a file: wavelengths at 0x142, number
of 512-byte blocks of each range from 0x1F0, of the whole file at 0x1DC; each range is one
header block and its counts, and its header repeats lowest and highest count.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.xrd.scan import Scan, stated_radiation, taken_with, unit_of
from xtalfuse.physics.units import Radiation

STOE_MAGIC = b"RAW_1.0"
BLOCK = 512
COPY_AGAIN = "copy or export the file again"


def read_stoe(path: Path) -> Scan:
    """Powder scan of a Stoe WinXPOW ``.raw`` file.

    Raises
    ------
    UnreadableFileError
        If the file is cut, holds several ranges, or its counts do not fit the extremes that
        its header states.
    """

    def refuse(cause: str) -> UnreadableFileError:
        return UnreadableFileError(f"{path.name}: {cause}; {COPY_AGAIN}")

    data = path.read_bytes()
    if len(data) < 5 * BLOCK or data[8:14] != b"Powdat":
        raise refuse("not a complete Stoe powder file")
    ka1, ka2 = struct.unpack_from("<2f", data, 0x142)
    sizes = [size for size in struct.unpack_from("<8H", data, 0x1F0) if size]
    (blocks,) = struct.unpack_from("<H", data, 0x1DC)
    if len(sizes) != 1:
        raise refuse(f"{len(sizes)} ranges where one is expected; export the ranges separately")
    if len(data) < blocks * BLOCK or blocks < sizes[0] + 1:
        raise refuse(f"{len(data)} bytes where the header declares {blocks * BLOCK}")
    usual = (blocks - sizes[0]) * BLOCK
    elsewhere = range(2 * BLOCK, len(data), BLOCK)  # some programs write a longer header
    found = next((r for at in (usual, *elsewhere) if (r := _stoe_range(data, at, sizes[0]))), None)
    if found is None:
        raise refuse("no range whose points and extreme counts are those that it declares")
    angles, counts, metadata = found
    radiation = stated_radiation(path.name, ka1=float(ka1), ka2=float(ka2), only_ka1=True)
    said = "Stoe optics pass K-alpha1 only; pass --wavelength if yours do not"
    return Scan(angles, counts, "stoe raw", "counts", None, radiation, metadata, (said,))


def _stoe_range(
    data: bytes, start: int, blocks: int
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]] | None:
    """Angles, counts and metadata of the range whose counts begin at `start`.

    None where the header before them does not fit: number of points against range and step,
    lowest and highest count against the counts.
    """
    header = start - BLOCK
    (points,) = struct.unpack_from("<H", data, header + 34)
    first, _, last, _, step, _, seconds = struct.unpack_from("<7f", data, header + 44)
    low, high = struct.unpack_from("<2I", data, header + 120)
    wide = points * 4 <= blocks * BLOCK  # long counts, else short ones
    size = points * (4 if wide else 2)
    if not (points > 1 and size <= min(blocks * BLOCK, len(data) - start)):
        return None
    if not (step > 0 and abs((last - first) / step + 1 - points) < 1.0):
        return None
    counts = np.frombuffer(data, "<i4" if wide else "<u2", points, start).astype(float)
    if (counts.min(), counts.max()) != (low, high):
        return None
    angles = first + (last - first) / (points - 1) * np.arange(points)
    return angles, counts, {"counting_time_s": float(seconds), "step_deg": round(float(step), 6)}


def read_rigaku_asc(path: Path) -> Scan:
    """Powder scan of a Rigaku ``.asc`` file (``*TYPE = Raw``, groups of ``*COUNT`` values).

    Raises
    ------
    UnreadableFileError
        If the file is cut, scans another axis, or a group holds another number of values
        than it declares.
    """
    text = path.read_bytes().decode("latin-1")
    head, *groups = re.split(r"(?m)^\*BEGIN\b", text)
    general = dict(_asc_keys(head))
    if not groups:
        raise UnreadableFileError(f"{path.name}: no *BEGIN with data; {COPY_AGAIN}")
    scans = [_asc_group(path, general, group) for group in groups]
    chosen = max(scans, key=lambda scan: float(np.ptp(scan[0])))
    said = [f"{len(scans)} groups; the widest was read"] if len(scans) > 1 else []
    angles, intensity, keys = chosen
    monochromator = general.get("*I_MONOCHRO", "")
    radiation = stated_radiation(
        path.name,
        ka1=_number(general.get("*WAVE_LENGTH1")),
        ka2=_number(general.get("*WAVE_LENGTH2")),
        only_ka1=bool(re.search(r"\b(Ge|Si)\b", monochromator)),
    )
    metadata = {
        "sample": general.get("*SAMPLE"),
        "geometry": general.get("*GONIO"),
        "monochromator": monochromator or general.get("*C_MONOCHRO"),
        "filter": general.get("*FILTER"),
        "scan_axis": keys.get("*SCAN_AXIS", general.get("*SCAN_AXIS")),
        "speed": f"{keys.get('*SPEED', '')} {keys.get('*SPEED_DIM', '')}".strip(),
    }
    metadata = {key: value for key, value in metadata.items() if value}
    unit = unit_of(intensity, keys.get("*YUNIT"))
    return Scan(angles, intensity, "rigaku asc", unit, None, radiation, metadata, tuple(said))


def _asc_keys(text: str) -> list[tuple[str, str]]:
    pairs = re.findall(r"(?m)^(\*[A-Z0-9_]+)[ \t]*=[ \t]*(.*?)[ \t\r]*$", text)
    return [(key, value) for key, value in pairs]


def _asc_group(
    path: Path, general: dict[str, str], group: str
) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """Angles, intensities and keys of one ``*BEGIN`` ... ``*END`` group."""
    found = re.search(r"(?m)^\*COUNT[ \t]*=[ \t]*(\d+)[ \t\r]*$", group)
    if found is None or "*END" not in group:
        raise UnreadableFileError(f"{path.name}: a group ends before its *END; {COPY_AGAIN}")
    keys = {**general, **dict(_asc_keys(group[: found.start()]))}
    axis = keys.get("*SCAN_MODE") or keys.get("*SCAN_AXIS") or ""
    if "2theta" not in axis.replace(" ", "").replace("-", "").lower():
        raise UnreadableFileError(
            f"{path.name}: a scan over {axis or 'an unnamed axis'}, not a powder pattern; "
            "export the 2theta/theta scan"
        )
    body = group[found.end() : group.index("*END")]
    try:
        values = np.array([float(v) for v in re.split(r"[,\s]+", body.strip()) if v])
    except ValueError:
        raise UnreadableFileError(
            f"{path.name}: something among the intensities is not a number; {COPY_AGAIN}"
        ) from None
    declared = int(found[1])
    start, stop, step = (_number(keys.get(k)) for k in ("*START", "*STOP", "*STEP"))
    if start is None or step is None or not step > 0:
        raise UnreadableFileError(f"{path.name}: no usable *START and *STEP; {COPY_AGAIN}")
    angles = start + step * np.arange(declared)
    if values.size != declared or (stop is not None and abs(angles[-1] - stop) > 1.5 * step):
        raise UnreadableFileError(
            f"{path.name}: {values.size} values where {declared} up to {stop} degrees are "
            f"declared; {COPY_AGAIN}"
        )
    return angles, values, keys


def _number(text: str | None) -> float | None:
    found = re.match(r"\s*[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?", text or "")
    return float(found[0]) if found else None


TWO_THETA_TAGS = (
    "_pd_proc_2theta_corrected",
    "_pd_meas_2theta_corrected",
    "_pd_meas_2theta_scan",
)
INTENSITY_TAGS = (
    "_pd_meas_counts_total",
    "_pd_meas_intensity_total",
    "_pd_proc_intensity_total",
    "_pd_proc_intensity_net",
)


def read_powder_cif(path: Path) -> Scan:
    """Measured pattern of a powder CIF, angles listed or given as a range.

    Raises
    ------
    UnreadableFileError
        If the CIF holds a crystal structure or a calculated pattern only, a neutron
        pattern, or another number of points than it declares.

    References
    ----------
    Toby, B. H. (2005). International Tables for Crystallography G, 3.3 (pdCIF dictionary).
    """
    import gemmi

    try:
        document = gemmi.cif.read(str(path))
    except (RuntimeError, ValueError, UnicodeDecodeError, OSError) as error:
        cause = " ".join(str(error).split())[:120]
        raise UnreadableFileError(f"{path.name}: damaged CIF ({cause}); {COPY_AGAIN}") from None
    for block in document:
        tag = next((t for t in INTENSITY_TAGS if len(block.find_loop(t)) > 1), None)
        if tag is not None:
            return _cif_scan(path, block, tag)
    structure = any(block.find_value("_cell_length_a") for block in document)
    what = "a crystal structure" if structure else "no measured pattern"
    raise UnreadableFileError(
        f"{path.name}: this CIF holds {what}, not a powder pattern; give the measured pattern, "
        "or put the structure into a library with: xtalfuse library build"
    )


def _cif_scan(path: Path, block: Any, tag: str) -> Scan:
    import gemmi

    def column(name: str) -> np.ndarray:
        return np.array([gemmi.cif.as_number(v) for v in block.find_loop(name)], float)

    def single(name: str) -> float:
        value = block.find_value(name)
        return gemmi.cif.as_number(value) if value else float("nan")

    probe = str(block.find_value("_diffrn_radiation_probe") or "").lower()
    if "neutron" in probe or len(block.find_loop("_pd_meas_time_of_flight")):
        raise UnreadableFileError(f"{path.name}: a neutron pattern; give an X-ray pattern")
    intensity = column(tag)
    prefix = "_pd_proc_" if tag.startswith("_pd_proc") else "_pd_meas_"
    angles = next((a for t in TWO_THETA_TAGS if (a := column(t)).size == intensity.size), None)
    if angles is None:
        low, high, step = (single(f"{prefix}2theta_range_{end}") for end in ("min", "max", "inc"))
        if not abs((high - low) / step + 1 - intensity.size) < 0.5:
            raise UnreadableFileError(
                f"{path.name}: {intensity.size} intensities do not fit the range {low:g}-{high:g} "
                f"with step {step:g}; {COPY_AGAIN}"
            )
        angles = np.linspace(low, high, intensity.size)
    declared = single(f"{prefix}number_of_points")
    if np.isfinite(declared) and int(declared) != intensity.size:
        raise UnreadableFileError(
            f"{path.name}: {intensity.size} points where {declared:g} are declared; {COPY_AGAIN}"
        )
    sigma = _cif_sigma(block, tag, intensity.size, column)
    unit = "counts" if "counts" in tag else unit_of(intensity)
    whole = np.isfinite(declared) or path.read_bytes().endswith((b"\n", b"\r"))
    said: tuple[str, ...] = (
        () if whole else ("the file ends without a line end: its last point may be cut",)
    )
    radiation, stated = _cif_radiation(path, block, column)
    said += taken_with(stated, radiation)
    metadata = {"block": block.name, "intensity": tag}
    return Scan(angles, intensity, "powder cif", unit, sigma, radiation, metadata, said)


def _cif_sigma(block: Any, tag: str, size: int, column: Any) -> np.ndarray | None:
    written = [re.search(r"(\.\d*)?\((\d+)\)", str(v)) for v in block.find_loop(tag)]
    if all(written):
        digits = [(int(m[2]), len(m[1] or ".") - 1) for m in written if m]
        return np.array([value / 10.0**decimals for value, decimals in digits])
    for name in (f"{tag}_su", f"{tag}_esd"):
        if (sigma := column(name)).size == size:
            return sigma
    weights = column("_pd_proc_ls_weight")  # 1/sigma^2 by its definition
    usable = weights.size == size and bool(np.all(weights > 0)) and "counts" not in tag
    return 1.0 / np.sqrt(weights) if usable else None


def _cif_radiation(path: Path, block: Any, column: Any) -> tuple[Radiation | None, int]:
    """Radiation of a CIF, and how many wavelengths it states."""
    name = "_diffrn_radiation_wavelength"
    waves = column(name)
    if waves.size == 0 and (value := block.find_value(name)):
        waves = np.array([_number(value) or np.nan])
    waves = waves[np.isfinite(waves)]
    if waves.size == 0:
        return None, 0
    weights = column(f"{name}_wt")
    ratio = float(weights[1] / weights[0]) if weights.size > 1 and weights[0] > 0 else None
    ka2 = float(waves[1]) if waves.size > 1 else None
    kind = str(block.find_value("_diffrn_radiation_type") or "")
    only = bool(re.search(r"K\\?a(lpha)?\W{0,3}1", kind, re.IGNORECASE))
    found = stated_radiation(path.name, ka1=float(waves[0]), ka2=ka2, ratio=ratio, only_ka1=only)
    return found, int(waves.size)
