"""What an electron-microscope signal is, where its file does not say so in so many words."""

from __future__ import annotations

import re

import numpy as np

from xtalfuse.loaders.record import Modality
from xtalfuse.loaders.signals import RawSignal

_EDS_SPAN_EV = 5_000.0  # an X-ray spectrum covers 10, 20 or 40 keV ...
_EDS_STEP_EV = 1.5  # ... in channels of 2.5 to 20 eV; energy losses are finer or shorter
_SMALLEST_PATTERN = 64  # pixels a side below which rings cannot be told from chance
_RADIAL_SHARE = 0.6  # of the variance that a ring pattern owes to its radial profile


def spectrum_kind(raw: RawSignal, energy_ev: np.ndarray | None) -> Modality:
    """EELS, EDS or something else, from what the file declares, else from its energies."""
    declared = raw.signal_type.upper()
    if "EELS" in declared:
        return Modality.EELS
    if "EDS" in declared or "EDX" in declared:
        return Modality.EDS
    if energy_ev is None or declared in ("WDS", "AES", "PES", "XRF", "CL", "GAMMA", "CL_SEM"):
        return Modality.OTHER
    own = raw.axes[-1].name.lower()
    if "loss" in own:
        return Modality.EELS
    if re.search(r"x-?ray", own):
        return Modality.EDS
    span = energy_ev[-1] - energy_ev[0]
    step = span / (energy_ev.size - 1)
    return Modality.EDS if span >= _EDS_SPAN_EV and step >= _EDS_STEP_EV else Modality.EELS


def picture_kind(
    raw: RawSignal, unit: tuple[str, float] | None, data: np.ndarray
) -> tuple[Modality, list[str]]:
    """DIFFRACTION or IMAGE, and a warning where only the picture itself tells.

    Parameters
    ----------
    unit : standard unit of both picture axes and its factor; None if they have none
    data : (..., ny, nx)
    """
    mode = str(raw.metadata.get("imaging_mode", ""))
    if "diffraction" in raw.signal_type.lower() or (unit and unit[0] == "1/angstrom"):
        return Modality.DIFFRACTION, []
    if unit and unit[0] == "rad":
        return Modality.DIFFRACTION, []
    if unit and unit[0] == "nm":
        return Modality.IMAGE, []
    if re.search("diffraction", mode, re.IGNORECASE):
        return Modality.DIFFRACTION, []
    camera, magnification = (raw.metadata.get(k) for k in ("camera_length_mm", "magnification"))
    if camera and not magnification and raw.metadata.get("acquisition_mode") != "STEM":
        return Modality.DIFFRACTION, ["taken for diffraction: a camera length, no magnification"]
    if shows_rings(data.reshape(-1, *data.shape[-2:])[0]):
        return Modality.DIFFRACTION, ["taken for diffraction: the picture shows rings"]
    return Modality.IMAGE, []


def shows_rings(image: np.ndarray) -> bool:
    """Whether a picture is rings around one centre.

    The centre is where the picture agrees best with itself turned by 180 degrees; there, the
    mean over each radius must explain most of the variance, and must fall, rise and fall.

    Parameters
    ----------
    image : (ny, nx), any scale
    """
    if min(image.shape) < _SMALLEST_PATTERN:
        return False
    factor = max(1, min(image.shape) // 128)
    ny, nx = (n // factor for n in image.shape)
    small = image[: ny * factor, : nx * factor].astype(float)
    small = small.reshape(ny, factor, nx, factor).mean(axis=(1, 3))
    small = np.log1p(np.clip(small - np.quantile(small, 0.01), 0.0, None))
    if np.ptp(small) == 0.0:
        return False
    centre = _inversion_centre(small)
    y, x = np.indices(small.shape)
    radius = np.hypot(y - centre[0], x - centre[1]).astype(int)
    counted = np.bincount(radius.ravel())
    profile = np.bincount(radius.ravel(), small.ravel()) / np.maximum(counted, 1)
    rest = small - profile[radius]
    explained = 1.0 - rest.var() / small.var()
    inner = profile[: int(0.9 * min(ny, nx) / 2)]
    return explained > _RADIAL_SHARE and _rings(inner) >= 1


def _inversion_centre(image: np.ndarray) -> tuple[float, float]:
    """Centre (y, x) of the best agreement of `image` with itself turned by 180 degrees."""
    ny, nx = image.shape
    shape = (2 * ny, 2 * nx)
    flat = image - image.mean()
    agreement = np.fft.irfft2(np.fft.rfft2(flat, shape) ** 2, shape)
    # No centre near the border, where little overlaps and chance decides.
    inner = agreement[ny // 2 : -ny // 2, nx // 2 : -nx // 2]
    top = np.unravel_index(np.argmax(inner), inner.shape)
    return (top[0] + ny // 2) / 2.0, (top[1] + nx // 2) / 2.0


def _rings(profile: np.ndarray) -> int:
    """Maxima of a radial profile beyond its centre that stand out from its own noise."""
    from scipy.signal import find_peaks

    scale = np.ptp(profile)
    peaks, _ = find_peaks(profile[2:], prominence=0.05 * scale, width=(None, 12))
    return len(peaks)


def filled_up(data: np.ndarray, kind: Modality) -> str | None:
    """Why an array looks like a cut file that a reader filled with zeros; None if it does not.

    Counts do not stop at once: a run of exact zeros at an end is taken for a filling only
    where the values just before it are large and zeros elsewhere are rare. The quiet end of
    an X-ray spectrum, beyond the beam energy, has neither.
    """
    flat = data.ravel()
    filled = np.flatnonzero(flat)
    if filled.size == 0:
        return "every value is zero"
    least = 0.1 if data.ndim == 1 and kind is not Modality.EDS else 0.25
    body = flat[filled[0] : filled[-1] + 1]
    share_of_zeros = 1.0 - filled.size / body.size
    typical = np.median(np.abs(flat[filled]))
    near = max(8, body.size // 100)
    for run, edge in ((flat.size - 1 - filled[-1], body[-near:]), (filled[0], body[:near])):
        abrupt = np.median(np.abs(edge)) > 0.2 * typical
        if run > max(16, least * flat.size) and share_of_zeros < 0.05 and abrupt:
            return f"{run} of {flat.size} values at one end are exactly zero: the file is cut"
    return None
