"""Units of labels: what people write, and the one that a dataset keeps."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

# What a unit is converted to, by its dimension; anything else keeps the unit it has.
STANDARD = (
    "GPa", "g/cm^3", "eV", "K", "W/(m*K)", "J/m^2", "MPa*m^0.5", "1/K", "S/m", "angstrom^3",
)  # fmt: skip
LENGTHS = ("angstrom", "um")  # of cells, to the nanometre; of grains and voxels
_POWER = re.compile(r"(?<=[a-zA-Z])(-?\d)")  # cm3, m-2
HV_GPA = 9.80665e-3  # Vickers hardness, kgf/mm^2; ISO 6507-1
_PURE = {"": 1.0, "1": 1.0, "%": 1e-2, "wt%": 1e-2, "at%": 1e-2, "ppm": 1e-6}


class UnitError(ValueError):
    """A unit that is not known; `remedy` says what to write."""

    remedy = "write it as MPa, g/cm^3, angstrom, HV or %"


@cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry(cache_folder=None)


@cache
def _factor(unit: str) -> tuple[Any, str]:
    """(pint's unit, standard unit that it goes to)."""
    registry = _registry()
    try:
        text = unit.replace("Å", "angstrom").replace("µ", "u").replace("°", "deg")
        known = registry.Unit(_POWER.sub(r"^\1", text))
    except Exception as error:
        raise UnitError(f"the unit {unit!r} is not known ({error})") from None
    if known.dimensionality == registry.Unit("m").dimensionality:
        return known, LENGTHS[registry.Quantity(1.0, known).to("nm").magnitude > 1.0 + 1e-9]
    for standard in STANDARD:
        if registry.Unit(standard).dimensionality == known.dimensionality:
            return known, standard
    return known, unit


def to_standard(value: float, unit: str) -> tuple[float, str]:
    """(value, unit) in the unit that all records of a dataset have.

    Parameters
    ----------
    value, unit : ``450, "MPa"`` becomes ``0.45, "GPa"``; ``120, "HV"`` becomes hardness in GPa

    Raises
    ------
    UnitError
        If the unit is not known.

    Examples
    --------
    >>> to_standard(450.0, "MPa")
    (0.45, 'GPa')
    """
    unit = unit.strip()
    if unit in _PURE:
        return value * _PURE[unit], ""
    if unit.upper() == "HV":
        return value * HV_GPA, "GPa"
    known, standard = _factor(unit)
    if standard == unit:
        return value, unit
    converted = _registry().Quantity(value, known).to(standard).magnitude
    return float(f"{converted:.12g}"), standard  # 450 MPa is 0.45 GPa, and not 0.45000000000000007
