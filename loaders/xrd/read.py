"""Powder X-ray patterns: file -> Measurement, whatever instrument or program wrote it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from xtalfuse.loaders.record import (
    Axis,
    Calibration,
    Measurement,
    Modality,
    Provenance,
    UnreadableFileError,
)
from xtalfuse.loaders.safe.checks import check_array, sha256_of
from xtalfuse.loaders.xrd import native as xrd_native
from xtalfuse.loaders.xrd import table as xrd_table
from xtalfuse.loaders.xrd.scan import Scan, ordered
from xtalfuse.physics.units import Radiation, radiation

FEW_POINTS = 100
SHORT_RANGE_DEG = 10.0
HEAD_BYTES = 8192


def sniff(path: Path, head: bytes) -> str | None:
    """Kind of X-ray file, by content: ``"stoe"``, ``"rietx"``, ``"text"``, ...; None if none.

    Parameters
    ----------
    path : the file (archives are opened to see what they hold)
    head : its first 8 kB
    """
    if head.startswith(xrd_native.STOE_MAGIC):
        return "stoe"
    text = head.decode("latin-1").lstrip("\xef\xbb\xbf \r\n\t")
    if text.startswith("*TYPE") and "*CLASS" in text:
        return "rigaku"
    if path.suffix.lower() == ".cif" or _is_cif(text):
        return "cif"
    if head.startswith(b"PK") and _is_workbook(path):
        return "excel"
    if text.startswith("{") and "theta" in text.lower()[:200]:
        return "json"
    from xtalfuse.loaders.xrd import vendor as xrd_vendor

    if xrd_vendor.identify(path) is not None:
        return "rietx"
    return "text" if xrd_table.looks_like_table(head) else None


def _is_cif(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return bool(lines) and lines[0].lower().startswith("data_") and any("_" in x[:1] for x in lines)


def _is_workbook(path: Path) -> bool:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return path.suffix.lower() == ".xlsx"


def read(path: str | Path, wavelength: str | float | None = None) -> Measurement:
    """The powder pattern of a file.

    Third-party readers run in this process: call it through `guard.guarded`, as
    `xtalfuse.loaders.load` does.

    Parameters
    ----------
    path : file of any kind that `sniff` knows
    wavelength : radiation given by hand (``"CuKa"``, ``"1.5406"``); it wins over the file's

    Raises
    ------
    UnreadableFileError
        If the file is damaged, is no powder pattern, or no wavelength is known.
    ValueError
        If `wavelength` is no radiation.
    """
    path = Path(path)
    by_hand = None if wavelength is None else radiation(wavelength)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    kind = sniff(path, head)
    if kind is None:
        raise UnreadableFileError(f"{path.name}: no known X-ray format; export it as .xy or .xrdml")
    scan = _read_kind(path, kind)
    name = path.name
    check_array(scan.intensity, name=name, what="pattern")
    angles, intensity, sigma, notes = ordered(name, scan.two_theta, scan.intensity, scan.sigma)
    scan = replace(scan, warnings=(*scan.warnings, *notes))
    said = check_array(intensity, name=name, what="pattern", axis=angles, most_zeros=0.98)
    if angles[-1] > 180.0 or angles[0] < -20.0:
        raise UnreadableFileError(
            f"{name}: angles run {angles[0]:g} to {angles[-1]:g}, which is no 2theta in degrees; "
            "export the pattern again"
        )
    said += _zero_run(name, intensity, scan.unit)
    if intensity.size < FEW_POINTS:
        said += (f"only {intensity.size} points",)
    elif np.ptp(angles) < SHORT_RANGE_DEG:
        said += (f"only {np.ptp(angles):.3g} degrees are covered",)
    if (intensity < 0).any():
        said += (f"{int((intensity < 0).sum())} negative intensities: it was processed before",)
    chosen, told = _settle(name, scan.radiation, by_hand)
    return Measurement(
        modality=Modality.XRD,
        values=intensity,
        axes=(Axis("two_theta", "deg", angles),),
        value_unit=scan.unit,
        calibration=Calibration.KNOWN,
        provenance=Provenance(
            str(path), sha256_of(path), scan.reader, scan.metadata, (*scan.warnings, *said, *told)
        ),
        radiation=chosen,
        sigma=_usable_sigma(sigma),
    )


def _read_kind(path: Path, kind: str) -> Scan:
    if kind == "rietx":
        from xtalfuse.loaders.xrd import vendor as xrd_vendor

        return xrd_vendor.read(path)
    readers = {
        "stoe": xrd_native.read_stoe,
        "rigaku": xrd_native.read_rigaku_asc,
        "cif": xrd_native.read_powder_cif,
        "excel": xrd_table.read_excel,
        "json": xrd_table.read_json,
        "text": xrd_table.read_text,
    }
    return readers[kind](path)


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


def _settle(
    name: str, in_file: Radiation | None, by_hand: Radiation | None
) -> tuple[Radiation, tuple[str, ...]]:
    """The radiation to use: by hand before the file's, and a warning where they differ."""
    if by_hand is None:
        if in_file is None:
            raise UnreadableFileError(
                f"{name}: no wavelength in the file; pass --wavelength CuKa or 1.5406"
            )
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
