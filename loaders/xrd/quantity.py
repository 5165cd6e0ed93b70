"""Numbers in headers: read whole, with sign, exponent and unit, or not at all."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from xtalfuse.physics.units import ANODES, HC_EV_ANGSTROM

MINUS = str.maketrans(dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\ufe63\uff0d", "-"))
PLAIN = r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eEdD][-+]?\d+)?"
_NUMBER = re.compile(rf"\s*({PLAIN})(?![\d.,]*\d)")
# Angstroms in one unit of length; photon energies are turned into wavelengths.
ANGSTROMS = {"a": 1.0, "å": 1.0, "ang": 1.0, "angs": 1.0, "angst": 1.0, "angstrom": 1.0}
ANGSTROMS |= {"angstroms": 1.0, "ångström": 1.0, "angström": 1.0, "ångstrom": 1.0}
ANGSTROMS |= {"m": 1e10, "cm": 1e8, "mm": 1e7, "um": 1e4, "µm": 1e4, "nm": 10.0, "pm": 0.01}
ANGSTROMS |= {"meter": 1e10, "metre": 1e10, "meters": 1e10, "metres": 1e10, "nanometer": 10.0}
ANGSTROMS |= {"nanometers": 10.0, "nanometre": 10.0, "picometer": 0.01}
# Degrees in one unit of angle; without one they are degrees.
DEGREES = dict.fromkeys(("", "deg", "degree", "degrees", "°"), 1.0) | {"gon": 0.9}
DEGREES |= dict.fromkeys(("rad", "radian", "radians"), math.degrees(1.0))
DEGREES |= dict.fromkeys(("mrad", "millirad"), math.degrees(1e-3))
DEGREES |= dict.fromkeys(("mdeg", "millideg", "millidegrees"), 1e-3)
DEGREES |= dict.fromkeys(("cdeg", "centideg", "centidegrees", "0.01 deg", "1/100 deg"), 1e-2)
DEGREES |= {"arcmin": 1 / 60, "arcsec": 1 / 3600}
KILO_EV = {"ev": 1e-3, "kev": 1.0, "mev": 1e3}
_UNITS = "|".join(sorted((*ANGSTROMS, *KILO_EV), key=len, reverse=True))
_WAVELENGTH = re.compile(
    r"(?:wave[ _-]?length|lambda|λ)s?"
    r"(?P<between>(?:[^\d\n.+-]|[-.+](?!\d)|(?<=[a-zλ_ -])[12](?=[\s=:,\"'\])])){0,32}?)"
    rf"(?<![a-zλ_])(?P<number>{PLAIN})(?!\s*[=:]|[\d.,]*\d)"
    rf"[\s_]*[(\[]?(?P<unit>{_UNITS})?(?![a-zåµ])(?P<more>\s*(?:[x*×·]\s*10|[)\]]\W*\d))?",
    re.IGNORECASE,
)
_BETWEEN = re.compile(rf"(?<![a-zåµ])({_UNITS})(?![a-zåµ])", re.IGNORECASE)
USABLE_ANGSTROM = (0.05, 5.0)
SAME_LINE = 1e-3  # relative: mean and single lines of one tube differ by 0.8e-3


def number(text: str) -> float | None:
    """The number that a text is: any minus, a decimal comma, an exponent with e or d.

    Returns
    -------
    None where the text is anything else, or where a comma before exactly three digits may
    part thousands.

    Examples
    --------
    >>> number("\u22121,5e-2"), number("1,234"), number("1.5406 A")
    (-0.015, None, None)
    """
    text = text.strip().translate(MINUS)
    if not re.fullmatch(PLAIN, text) or re.fullmatch(r"[-+]?[1-9]\d{0,2},\d{3}", text):
        return None
    return float(re.sub("[dD]", "e", text).replace(",", "."))


def number_in(text: str | None) -> float | None:
    """The whole number at the beginning of a text; None if there is none."""
    found = _NUMBER.match((text or "").translate(MINUS))
    return number(found[1]) if found else None


def angstrom(value: float, unit: str) -> float | None:
    """A wavelength in angstrom from a length or a photon energy; None for another unit."""
    unit = unit.strip().lower()
    if unit in KILO_EV:
        return 1e-3 * HC_EV_ANGSTROM / (value * KILO_EV[unit]) if value > 0 else None
    return value * ANGSTROMS[unit] if unit in ANGSTROMS else None


def wavelengths_in(text: str) -> Iterator[tuple[float | None, str]]:
    """Each wavelength that a text states: in angstrom, and as it is written.

    Without a unit the number is in angstrom, unless it is the line of an anode in nanometre,
    picometre or metre, or lies where no powder pattern is recorded: then None.
    """
    for found in _WAVELENGTH.finditer(text.translate(MINUS)):
        written = " ".join(found[0].split())
        value = float(re.sub("[dD]", "e", found["number"]).replace(",", "."))
        between = _BETWEEN.findall(found["between"])
        units = {u.lower() for u in ([found["unit"]] if found["unit"] else between)}
        if not (units or re.search(r"\D", found["number"])):
            continue  # a bare whole number counts or numbers something
        if len(units) > 1 or found["more"]:  # two units, or a power of ten apart
            yield None, written
        elif units:
            yield angstrom(value, units.pop()), written
        else:
            doubtful = any(is_line(value * factor) for factor in (10.0, 0.01, 1e10, 1e7))
            low, high = USABLE_ANGSTROM
            yield (None if doubtful or not low <= value <= high else value), written


def is_line(wavelength_angstrom: float) -> bool:
    """Whether a wavelength is a K-alpha line of a common anode, or the mean of both."""
    lines = [line for ka1, ka2 in ANODES.values() for line in (ka1, ka2, (2 * ka1 + ka2) / 3)]
    return any(abs(wavelength_angstrom / line - 1.0) < SAME_LINE for line in lines)
