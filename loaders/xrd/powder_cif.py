"""Measured patterns in powder CIF, angles listed or given as a range: ``.cif``.

rietx reads powder CIF too, but no ranges, and not what the file says of its radiation.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.reader import Certainty
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, FileHead
from xtalfuse.loaders.xrd.quantity import number_in
from xtalfuse.loaders.xrd.read import powder_reader
from xtalfuse.loaders.xrd.scan import Scan, stated_radiation, taken_with, unit_of
from xtalfuse.physics.units import Radiation

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


def sniff(head: FileHead) -> Certainty:
    """By its first block; by its suffix where comments are longer than the head."""
    if _is_cif(head.text):
        return Certainty.SURE
    return Certainty.LIKELY if head.suffix == ".cif" else Certainty.NONE


def _is_cif(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return bool(lines) and lines[0].lower().startswith("data_") and any("_" in x[:1] for x in lines)


def read(path: Path) -> Scan:
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
        raise UnreadableFileError(f"{path.name}: damaged CIF ({cause}); {EXPORT_AGAIN}") from None
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
                f"with step {step:g}; {EXPORT_AGAIN}"
            )
        angles = np.linspace(low, high, intensity.size)
    declared = single(f"{prefix}number_of_points")
    if np.isfinite(declared) and int(declared) != intensity.size:
        raise UnreadableFileError(
            f"{path.name}: {intensity.size} points where {declared:g} are declared; {EXPORT_AGAIN}"
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
        waves = np.array([number_in(value) or np.nan])
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


READERS = powder_reader(
    "powder-cif",
    "powder CIF with a measured profile",
    (".cif",),
    sniff,
    read,
    limits=("crystal structures, calculated and neutron patterns are refused",),
)
