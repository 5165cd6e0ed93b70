"""What every reader of electron-microscopy files hands on, and the spelling of units.

Files of different makers write the same unit in many ways (``1/nm``, ``1 / nm``, ``nm^-1``,
``[n_m^-1]``). `standard_unit` knows them, and says nothing where it does not: an unknown
spelling means an uncalibrated axis, never a guess.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_LENGTH_NM = {
    "m": 1e9, "meter": 1e9, "metre": 1e9, "cm": 1e7, "mm": 1e6, "um": 1e3, "micron": 1e3,
    "micrometer": 1e3, "micrometre": 1e3, "nm": 1.0, "nanometer": 1.0, "nanometre": 1.0, "pm": 1e-3,
    "a": 0.1, "å": 0.1, "ang": 0.1, "angstrom": 0.1,
}  # fmt: skip
_ENERGY_EV = {"ev": 1.0, "electronvolt": 1.0, "kev": 1e3}
_ANGLE_RAD = {
    "rad": 1.0,
    "radian": 1.0,
    "mrad": 1e-3,
    "urad": 1e-6,
    "angle": 1.0,  # Topspin writes radians under this name
    "deg": math.pi / 180.0,
}
_RECIPROCAL = re.compile(r"^1/(.+)$|^(.+?)(?:\^\(?-1\)?|⁻¹|-1)$")


@dataclass(frozen=True)
class RawAxis:
    """One axis as the file states it."""

    name: str
    unit: str
    values: np.ndarray
    navigate: bool = False  # over positions or time, not part of the spectrum or image


@dataclass(frozen=True)
class RawSignal:
    """One array of a file, before units are converted and modality is decided."""

    data: np.ndarray
    axes: tuple[RawAxis, ...]
    signal_type: str = ""  # what the file says it is: "EELS", "EDS_TEM", "diffraction", ...
    metadata: dict[str, Any] = field(default_factory=dict)  # plain values, names of `tidy`
    warnings: tuple[str, ...] = ()
    assumed: bool = False  # the unit of the energy or reciprocal axis is not in the file


def standard_unit(text: object) -> tuple[str, float] | None:
    """Standard unit and the factor that leads to it, from any spelling.

    Returns
    -------
    ``("eV" | "nm" | "1/angstrom" | "rad", factor)``, or None for an unknown or missing unit.

    Examples
    --------
    >>> standard_unit("Energy Loss (keV)")
    ('eV', 1000.0)
    >>> standard_unit("1 / nm")
    ('1/angstrom', 0.1)
    >>> standard_unit("<undefined>") is None
    True
    """
    written = str(text or "").strip()
    inside = re.search(r"\(([^()]+)\)\s*$", written)
    if inside and not inside.group(1).lstrip("+-").isdigit():
        written = inside.group(1)
    plain = re.sub(r"[\[\]\s_]", "", written).replace("\u00b5", "u").replace("\u03bc", "u")
    if plain.startswith("meV"):  # the only unit whose meaning hangs on its capitals
        return "eV", 1e-3
    plain = plain.lower().replace("\u212b", "å")
    match = _RECIPROCAL.match(plain)
    if match:
        length = _LENGTH_NM.get(_singular((match.group(1) or match.group(2)).strip("()")))
        return None if length is None else ("1/angstrom", 0.1 / length)
    plain = _singular(plain)
    for unit, table in (("eV", _ENERGY_EV), ("nm", _LENGTH_NM), ("rad", _ANGLE_RAD)):
        if plain in table:
            return unit, table[plain]
    return None


def _singular(plain: str) -> str:
    return plain[:-1] if len(plain) > 3 and plain.endswith("s") else plain


def electron_wavelength_angstrom(beam_energy_kev: float) -> float:
    """Relativistic de Broglie wavelength.

    Raises
    ------
    ValueError
        If the energy is not positive.

    References
    ----------
    Williams, D. B. & Carter, C. B. (2009). Transmission Electron Microscopy, 2nd ed.,
    Springer, eq. 1.6.
    """
    if not beam_energy_kev > 0:
        raise ValueError(f"beam energy {beam_energy_kev} keV is not positive; give it in keV")
    volts = beam_energy_kev * 1e3
    # h / sqrt(2 m0 e) in angstrom sqrt(V), and e / (2 m0 c^2) in 1/V: CODATA 2018
    return 12.264260 / math.sqrt(volts * (1.0 + 0.97847566e-6 * volts))


def find(tree: Any, key: str) -> Any:
    """First value stored under `key` at any depth of nested dictionaries; None without."""
    if not isinstance(tree, dict):
        return None
    if key in tree:
        return tree[key]
    for branch in tree.values():
        found = find(branch, key)
        if found is not None:
            return found
    return None


def number(value: Any) -> float | None:
    """A finite float that is not zero; instruments write 0 for "not recorded"."""
    try:
        found = float(str(value).split()[0])
    except (ValueError, IndexError):
        return None
    return found if math.isfinite(found) and found != 0.0 else None


def text(value: Any) -> str | None:
    """Printable text on one line, or None."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    line = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return line[:200] or None


def tidy(metadata: dict[str, Any]) -> dict[str, Any]:
    """The same dictionary without what is not known."""
    return {key: value for key, value in metadata.items() if value not in (None, "", [], {})}
