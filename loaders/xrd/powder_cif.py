"""Measured patterns in powder CIF, angles listed or given as a range: ``.cif``.

rietx reads powder CIF too, but no ranges, and not what the file says of its radiation.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.reader import Certainty, Number
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, FileHead, refused
from xtalfuse.loaders.xrd.quantity import number_in
from xtalfuse.loaders.xrd.ranges import check_count
from xtalfuse.loaders.xrd.read import powder_reader
from xtalfuse.loaders.xrd.scan import (
    Disputed,
    Scan,
    may_be_cut,
    refuse_neutrons,
    stated_radiation,
    taken_with,
    unit_of,
)
from xtalfuse.physics.units import ANODES, Radiation, two_theta

TWO_THETA_TAGS = ("_pd_proc_2theta_corrected", "_pd_meas_2theta_corrected", "_pd_meas_2theta_scan")
INTENSITY_TAGS = (
    "_pd_meas_counts_total",
    "_pd_meas_intensity_total",
    "_pd_proc_intensity_total",
    "_pd_proc_intensity_net",
)
SOURCE_TAGS = ("_diffrn_radiation_probe", "_diffrn_radiation_type", "_diffrn_radiation",
               "_diffrn_radiation_source", "_diffrn_source", "_diffrn_source_type")  # fmt: skip
# "Cu K\\a~1~", "CuKalpha", "Mo K-alpha2", "Co K\\b", and K-L~3~ of the CIF dictionary
LINE = re.compile(
    r"(?<![A-Za-z])(?P<anode>[A-Z][a-z])?[\s,]*K[\s_-]*\\?"
    r"(?:(?P<beta>b(eta)?|β|M)|(?:a(?:lpha)?|α|L)[\s~_]*(?P<which>[1-3](?:\W?[1-3])?)?)"
)


def sniff(head: FileHead) -> Certainty:
    """By its first block; by its suffix where comments are longer than the head."""
    if _is_cif(head.text):
        return Certainty.SURE
    return Certainty.LIKELY if head.suffix == ".cif" else Certainty.NONE


def _is_cif(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return bool(lines) and lines[0].lower().startswith("data_") and any("_" in x[:1] for x in lines)


def read(path: Path, choice: int | None = None) -> Scan:
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
        cause = " ".join(str(error).split()).replace(f"{path}:", "line ")[:120]
        structure = b"_atom_site" in path.read_bytes()
        remedy = "correct that line, or get the structure again" if structure else EXPORT_AGAIN
        raise UnreadableFileError(f"{path.name}: damaged CIF ({cause}); {remedy}") from None
    tagged = [(b, t) for b in document for t in INTENSITY_TAGS if len(b.find_loop(t)) > 1]
    first = {b.name: (b, t) for b, t in reversed(tagged)}  # of each block its best intensity
    blocks = [first[b.name] for b in document if b.name in first]
    if not blocks:
        raise UnreadableFileError(_what_it_holds(path.name, document))
    check_count(path.name, 1 if choice is None else len(blocks), choice)
    scan = _scan(path, *blocks[(choice or 1) - 1])
    if len(blocks) > 1 and choice is None:
        others = ", ".join(block.name for block, _ in blocks[1:])
        note = f"{len(blocks)} patterns: the first was read, not {others[:120]} (--scan N)"
        return replace(scan, warnings=(*scan.warnings, note))
    return scan


def _what_it_holds(name: str, document: Any) -> str:
    """Why a CIF is no powder pattern, and what may be done with it."""
    tags = " ".join(tag for block in document for item in block for tag in _tags(item)).lower()
    if "_space_group_magn" in tags or "_atom_site_moment" in tags:
        return (
            f"{name}: this is a magnetic CIF, moments under a magnetic space group; X-rays see the "
            "crystal structure alone: give the measured pattern, or a CIF of the structure in its "
            "parent space group to xtalfuse library build"
        )
    if "_cell_length_a" in tags:
        return (
            f"{name}: this CIF holds a crystal structure, not a powder pattern; give the measured "
            "pattern, or put the structure into a library with: xtalfuse library build"
        )
    return f"{name}: this CIF holds no measured pattern; give the measured pattern"


def _tags(item: Any) -> list[str]:
    if item.pair is not None:
        return [item.pair[0]]
    return [] if item.loop is None else list(item.loop.tags)


def _column(block: Any, name: str) -> np.ndarray:
    """Numbers of a loop; NaN for ``.`` and ``?``, which stand for what was not measured."""
    import gemmi

    return np.array([gemmi.cif.as_number(v) for v in block.find_loop(name)], float)


def _single(block: Any, name: str) -> float:
    import gemmi

    value = block.find_value(name)
    return float(gemmi.cif.as_number(value)) if value else float("nan")


def _scan(path: Path, block: Any, tag: str) -> Scan:
    source = " ".join(str(block.find_value(t) or "") for t in SOURCE_TAGS)
    refuse_neutrons(path.name, f"{source} {'spallation' if 'reactor' in source.lower() else ''}")
    if len(block.find_loop("_pd_meas_time_of_flight")):
        refuse_neutrons(path.name, "time of flight")
    if "electron" in source.lower():
        raise UnreadableFileError(f"{path.name}: an electron pattern; give an X-ray pattern")
    intensity = _column(block, tag)
    radiation, stated = _radiation(path, block)
    angles = _angles(path, block, tag, intensity.size, radiation)
    sigma = _sigma(block, tag, intensity.size)
    declared = max(_single(block, f"_pd_{kind}_number_of_points") for kind in ("meas", "proc"))
    if np.isfinite(declared) and int(declared) != intensity.size:
        raise refused(path.name, f"{intensity.size} points where {declared:g} are declared")
    unit = "counts" if "counts" in tag else unit_of(intensity[np.isfinite(intensity)])
    said = list(taken_with(stated, radiation))
    ended = path.read_bytes().endswith((b"\n", b"\r")) or np.isfinite(declared)
    if not ended and may_be_cut(intensity):
        said.append("the file ends within its last line, whose value is unlike the others: cut?")
    times = _column(block, "_pd_meas_step_count_time")
    seconds: float | np.ndarray | None = times if times.size == intensity.size else None
    if seconds is None and np.isfinite(one := _single(block, "_pd_meas_step_count_time")):
        seconds = one
    monitor = _column(block, "_pd_meas_counts_monitor")
    if unit == "counts" and monitor.size == intensity.size and np.ptp(monitor) > 0:
        sigma = np.sqrt(np.maximum(intensity, 1.0)) if sigma is None else sigma
        share = np.nanmean(monitor) / monitor
        intensity, sigma, unit, seconds = intensity * share, sigma * share, "arbitrary", None
        said.append("counts were divided by those of the monitor in the incident beam")
    keep = np.isfinite(intensity) & np.isfinite(angles)
    if not keep.all():
        said.append(f"{int((~keep).sum())} points without a value were left out")
        angles, intensity = angles[keep], intensity[keep]
        sigma = None if sigma is None else sigma[keep]
        seconds = seconds[keep] if isinstance(seconds, np.ndarray) else seconds
    metadata = {"block": block.name, "intensity": tag}
    return Scan(
        angles, intensity, "powder cif", unit, sigma, radiation, metadata, tuple(said),
        seconds=seconds,
    )  # fmt: skip


def _angles(path: Path, block: Any, tag: str, size: int, radiation: Radiation | None) -> np.ndarray:
    """Angles of the points: listed, a range with its step, or from d or Q and the wavelength."""
    for name in TWO_THETA_TAGS:
        if (listed := _column(block, name)).size == size:
            return listed
    kinds = ("proc", "meas") if tag.startswith("_pd_proc") else ("meas", "proc")
    ranges = [[_single(block, f"_pd_{kind}_2theta_range_{end}") for end in ("min", "max", "inc")]
              for kind in kinds]  # fmt: skip
    low, high, step = next((r for r in ranges if np.isfinite(r).all()), ranges[0])
    if np.isfinite([low, high, step]).all():
        if not (step > 0 and abs((high - low) / step + 1 - size) < 0.5):
            raise UnreadableFileError(
                f"{path.name}: {size} intensities do not fit the range {low:g}-{high:g} with step "
                f"{step:g}; {EXPORT_AGAIN}"
            )
        return np.linspace(low, high, size)
    spacing = _column(block, "_pd_proc_d_spacing")
    wave_vector = _column(block, "_pd_proc_recip_len_Q")
    if spacing.size != size and wave_vector.size == size:
        spacing = 2.0 * np.pi / wave_vector
    usable = radiation is not None and not isinstance(radiation, Disputed)
    if spacing.size == size and radiation is not None and usable:
        return two_theta(spacing, radiation.primary_angstrom)
    what = (
        "over d or Q, and no wavelength to turn them into angles" if spacing.size else "no 2theta"
    )
    raise UnreadableFileError(f"{path.name}: {what}; export the pattern against 2theta")


def _sigma(block: Any, tag: str, size: int) -> np.ndarray | None:
    values = [str(v) for v in block.find_loop(tag)]
    written = [re.search(r"(\.\d*)?\((\d+)\)", v) for v in values]
    if all(m or v in ".?" for m, v in zip(written, values, strict=True)):
        digits = [(int(m[2]), len(m[1] or ".") - 1) if m else (0, 0) for m in written]
        return np.array([value / 10.0**decimals for value, decimals in digits])
    for name in (f"{tag}_su", f"{tag}_esd"):
        if (sigma := _column(block, name)).size == size:
            return sigma
    weights = _column(block, "_pd_proc_ls_weight")  # 1/sigma^2 by its definition
    usable = weights.size == size and bool(np.all(weights > 0)) and "counts" not in tag
    return 1.0 / np.sqrt(weights) if usable else None


def _radiation(path: Path, block: Any) -> tuple[Radiation | None, int]:
    """Radiation of a CIF, and how many wavelengths it states."""
    name = "_diffrn_radiation_wavelength"
    waves = _column(block, name)
    if waves.size == 0 and (value := block.find_value(name)):
        waves = np.array([number_in(value) or np.nan])
    waves = waves[np.isfinite(waves)]
    tags = ("_diffrn_radiation_type", "_diffrn_radiation_xray_symbol")
    kinds = [block.find_value(tag) for tag in tags]
    named = LINE.search(" ".join(str(kind or "") for kind in kinds))
    only = named is not None and named["which"] in ("1", "3") and not named["beta"]
    if waves.size == 0:
        anode = named["anode"] if named else None
        anode = anode or str(block.find_value("_diffrn_source_target") or "").strip("'\"")
        if named is None or named["beta"] or anode not in ANODES:
            return None, 0
        return stated_radiation(path.name, anode=anode, only_ka1=only), 2
    weights = _column(block, f"{name}_wt")
    if waves.size == 2 and waves[0] > waves[1]:  # of a doublet K-alpha1 is the shorter
        waves, weights = waves[::-1], weights[::-1]
    ratio = float(weights[1] / weights[0]) if weights.size > 1 and weights[0] > 0 else None
    ka2 = float(waves[1]) if waves.size > 1 else None
    found = stated_radiation(path.name, ka1=float(waves[0]), ka2=ka2, ratio=ratio, only_ka1=only)
    return found, int(waves.size)


READERS = powder_reader(
    "powder-cif",
    "powder CIF with a measured profile",
    (".cif",),
    sniff,
    scans=read,
    limits=(
        "crystal structures, magnetic CIFs, calculated, neutron and electron patterns are refused",
        "of several patterns the first is read, unless one is chosen",
    ),
    numbers=(
        Number("two_theta", "_pd_*_2theta_corrected or _scan, or its range and step, or d or Q",
               "degrees (angstrom), fixed by the dictionary", "'.' and '?' are left out"),
        Number("intensity", "_pd_meas_counts_total, else _intensity_total, else _net",
               "counts by the name of the item; divided by _step_count_time or _counts_monitor"
               " where these change", "'.' and '?' are left out"),
        Number("wavelength", "_diffrn_radiation_wavelength, else the line that _type names",
               "angstrom, fixed by the dictionary"),
    ),
)  # fmt: skip
