"""Powder X-ray patterns: what a file states -> Measurement, whatever program wrote it.

A format is a module of this room: a function that reads a `Scan`, and its declaration
`READERS = powder_reader(...)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.reader import Certainty, Reader, ReadOptions
from xtalfuse.loaders.record import (
    Axis,
    Beam,
    Calibration,
    Measurement,
    Modality,
    Provenance,
    UnreadableFileError,
)
from xtalfuse.loaders.safe.checks import check_array
from xtalfuse.loaders.safe.head import HEAD_BYTES, FileHead, refused, sha256_of
from xtalfuse.loaders.xrd.abscissa import in_two_theta, nominal_radiation
from xtalfuse.loaders.xrd.ranges import per_second
from xtalfuse.loaders.xrd.scan import Disputed, Scan, ordered, refuse_neutrons
from xtalfuse.physics.units import Radiation, radiation

FEW_POINTS = 100
SHORT_RANGE_DEG = 10.0
FIRST_LINES_ANGSTROM = 8.0  # hardly a crystal has no line at shorter d
X_RAYS = re.compile(r"x-?ray|anode|k-?_?(alpha|\u03b1)|\b(cu|co|mo|cr|fe|ag)-? ?ka", re.IGNORECASE)


def powder_reader(
    name: str,
    about: str,
    suffixes: tuple[str, ...],
    sniff: Callable[[FileHead], Certainty],
    scan: Callable[[Path], Scan] | None = None,
    *,
    scans: Callable[[Path, int | None], Scan] | None = None,
    **declared: Any,
) -> Reader:
    """The reader of a format of powder patterns; what all of them share is done here.

    Parameters
    ----------
    name : a word, unique: ``"stoe-raw"``
    about : maker or program, and kind of file
    suffixes : usual suffixes
    sniff : how sure it is that a file is of this format
    scan : points, radiation and metadata as the file states them
    scans : the same for a format with several scans in a file, and the number of the one wanted
    declared : further fields of `Reader`
    """

    def read(path: Path, options: ReadOptions) -> Measurement:
        _refuse_neutrons(path)
        if scans is not None:
            return measured(path, scans(path, options.scan), options.wavelength)
        if scan is None or options.scan not in (None, 1):
            raise UnreadableFileError(f"{path.name}: {about} holds one scan; leave --scan away")
        return measured(path, scan(path), options.wavelength)

    return Reader(name, about, (Modality.XRD,), read, suffixes, sniff, **declared)


def measured(path: Path, scan: Scan, wavelength: str | float | None = None) -> Measurement:
    """The powder pattern of a scan: checked, in order of angles, with its radiation settled.

    It stands for the bulk: X-rays of a tube go through tens of micrometres and a spot of
    millimetres, many thousand grains.

    Parameters
    ----------
    path : the file that it was read from
    scan : what the file states
    wavelength : radiation given by hand (``"CuKa"``, ``"1.5406"``); it wins over the file's

    Raises
    ------
    UnreadableFileError
        If the points are damaged or no powder pattern, or no wavelength is known.
    """
    by_hand = None if wavelength is None else radiation(wavelength)
    name = path.name
    check_array(scan.intensity, name=name, what="pattern")
    scan = per_second(name, scan)
    chosen, told = _settle(name, scan, by_hand)
    positions = np.asarray(scan.two_theta, float)
    if scan.abscissa == "q":
        positions = in_two_theta(name, positions, chosen)
    angles, intensity, sigma, notes = ordered(name, positions, scan.intensity, scan.sigma)
    scan = replace(scan, warnings=(*scan.warnings, *notes))
    said = check_array(intensity, name=name, what="pattern", axis=angles, most_zeros=0.98)
    said += _checked_range(name, angles, chosen)
    said += _zero_run(name, intensity, scan.unit)
    if intensity.size < FEW_POINTS:
        said += (f"only {intensity.size} points",)
    elif np.ptp(angles) < SHORT_RANGE_DEG:
        said += (f"only {np.ptp(angles):.3g} degrees are covered",)
    if (intensity < 0).any():
        said += (f"{int((intensity < 0).sum())} negative intensities: it was processed before",)
    state = Calibration.ASSUMED if chosen.nominal else Calibration.KNOWN
    return Measurement(
        modality=Modality.XRD,
        values=intensity,
        axes=(Axis("two_theta", "deg", angles, state),),
        value_unit=scan.unit,
        provenance=Provenance(
            str(path), sha256_of(path), scan.reader, scan.metadata, (*scan.warnings, *said, *told)
        ),
        beam=Beam("x-ray", chosen),
        sigma=_usable_sigma(sigma),
        instrument=scan.instrument,
        sampled="bulk",
    )


def _checked_range(name: str, angles: np.ndarray, used: Radiation) -> tuple[str, ...]:
    """Refuse angles that are none; say where a pattern ends before any line could be seen."""
    if angles[-1] > 180.0 or angles[0] < -20.0:
        raise UnreadableFileError(
            f"{name}: angles run {angles[0]:g} to {angles[-1]:g}, which is no 2theta in degrees; "
            "export the pattern again"
        )
    below: tuple[str, ...] = ()
    if angles[0] < -1.0:  # an alignment goes through the direct beam, a pattern does not
        below = (f"angles begin at {angles[0]:.4g} degrees: start or step may have a wrong sign",)
    sine = float(np.sin(np.radians(angles[-1] / 2.0)))
    if sine < used.primary_angstrom / (2.0 * FIRST_LINES_ANGSTROM):
        return (
            *below,
            f"the pattern ends at {angles[-1]:.4g} degrees, before the first lines of most "
            "crystals: is its abscissa q or in radians? Then a line such as "
            "'# q (1/angstrom)  intensity' or '# 2theta (rad)  intensity' has to say so",
        )
    return below


def _zero_run(name: str, intensity: np.ndarray, unit: str) -> tuple[str, ...]:
    """Refuse counts with a hole of zeros in a pattern that has no zeros elsewhere; else warn.

    At a level of ten counts or more a run of zeros has no chance (Poisson: 5e-5 each).
    """
    zero = np.concatenate([[False], intensity == 0, [False]])
    edges = np.flatnonzero(np.diff(zero))
    runs = edges[1::2] - edges[::2]
    if runs.size == 0 or runs.max() < max(20, 0.01 * intensity.size):
        return ()
    longest = int(runs.max())
    others = int(zero.sum()) - longest
    rest = intensity[intensity != 0]
    if unit == "counts" and others < 0.05 * rest.size and np.median(rest) >= 10:
        raise UnreadableFileError(
            f"{name}: {longest} neighbouring points are exactly zero in a pattern with a level of "
            f"{np.median(rest):g} counts: the file is damaged; copy it again"
        )
    return (f"{longest} neighbouring points are exactly zero",)


def _usable_sigma(sigma: np.ndarray | None) -> np.ndarray | None:
    """Uncertainties, if all are finite and positive."""
    if sigma is None or not (np.isfinite(sigma).all() and (sigma > 0).all()):
        return None
    return sigma


def _refuse_neutrons(path: Path) -> None:
    """Refuse a text whose head speaks of neutrons or of flight times, and not of X-rays.

    CIF and XML have fields of their own for it, and cite papers about other things.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    text = head.decode("utf-8", "ignore").lstrip("\ufeff \r\n\t")
    if b"\x00" in head or text.startswith(("<", "data_", "PK")):
        return
    if not X_RAYS.search(text):
        refuse_neutrons(path.name, text)


def _settle(name: str, scan: Scan, by_hand: Radiation | None) -> tuple[Radiation, tuple[str, ...]]:
    """The radiation to use: by hand before the file's, and a warning where they differ."""
    in_file = scan.radiation
    if isinstance(in_file, Disputed):
        if by_hand is None:
            raise UnreadableFileError(f"{name}: {in_file.why}; pass --wavelength CuKa or 1.5406")
        return by_hand, (f"{in_file.why}; {by_hand.name} was given by hand",)
    if by_hand is None and in_file is None and scan.abscissa == "q":
        used = nominal_radiation(scan.two_theta)
        return used, (
            f"the abscissa is q and no wavelength is known: 2theta is given for {used.name} "
            f"({used.primary_angstrom:.4g} angstrom); d, phases and cells do not depend on it, "
            "fractions do a little; pass --wavelength",
        )
    if by_hand is None:
        if in_file is None:
            raise refused(name, "no wavelength in the file", "pass --wavelength CuKa or 1.5406")
        return in_file, ()
    if in_file is None:
        return by_hand, ()
    same_line = abs(by_hand.primary_angstrom / in_file.primary_angstrom - 1.0) < 1e-4
    if same_line and len(by_hand.weights) == len(in_file.weights):
        return in_file, ()
    return by_hand, (
        f"wavelength {by_hand.name} ({by_hand.primary_angstrom:.6g} angstrom) given by hand "
        f"replaces {in_file.name} ({in_file.primary_angstrom:.6g}) of the file",
    )
