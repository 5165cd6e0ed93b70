"""Numbers as a publication writes them: a value with its standard uncertainty in brackets."""

from __future__ import annotations

import math

from xtalfuse.tasks.identify.answer import Cell

NOT_OBSERVABLE = "not observable"


def with_uncertainty(value: float | None, su: float | None, digits: int = 4) -> str:
    """Value and standard uncertainty in bracket notation, ``5.4309(2)``.

    The uncertainty is rounded so that its digits lie between 2 and 19, and the value to the
    same decimal place.

    Parameters
    ----------
    value : the number, or None where it is not observable
    su : its standard uncertainty in the same unit; None, zero or not finite where not known
    digits : decimals of a value without a standard uncertainty

    References
    ----------
    Schwarzenbach, D. et al. (1989). Acta Cryst. A45, 63 (statistical descriptors, IUCr).
    IUCr, Notes for authors: the rule of 19.
    """
    if value is None or not math.isfinite(value):
        return NOT_OBSERVABLE
    if su is None or not math.isfinite(su) or su <= 0:
        return f"{value:.{digits}f}"
    decimals = 1 - math.floor(math.log10(su))  # two digits of the uncertainty
    if round(su * 10.0**decimals) > 19:
        decimals -= 1
    last = round(su * 10.0**decimals)
    if decimals >= 0:
        return f"{value:.{decimals}f}({last})"
    return f"{round(value, decimals):.0f}({last * 10**-decimals})"


def percent(fraction: float | None, su: float | None = None, digits: int = 1) -> str:
    """A fraction in percent, ``30.8(4)``; ``"-"`` where it is not known."""
    if fraction is None or not math.isfinite(fraction):
        return "-"
    return with_uncertainty(100 * fraction, None if su is None else 100 * su, digits)


def chance(probability: float) -> str:
    """A probability in whole percent; never a certainty, which no measurement gives."""
    rounded = round(100 * probability)
    return "> 99 %" if rounded >= 100 else "< 1 %" if rounded <= 0 else f"{rounded} %"


def free_parameters(space_group_number: int, cell: Cell) -> tuple[str, ...]:
    """Names of the cell parameters that the crystal system leaves free.

    The metric of `cell` tells rhombohedral from hexagonal axes of a trigonal group and which
    axis of a monoclinic one is unique.
    """
    if space_group_number <= 2:
        return ("a", "b", "c", "alpha", "beta", "gamma")
    if space_group_number <= 15:
        angles = {"alpha": cell.alpha, "beta": cell.beta, "gamma": cell.gamma}
        oblique = [name for name, angle in angles.items() if angle is not None and angle != 90.0]
        return ("a", "b", "c", oblique[0] if len(oblique) == 1 else "beta")
    if space_group_number <= 74:
        return ("a", "b", "c")
    if space_group_number >= 195:
        return ("a",)
    rhombohedral = 143 <= space_group_number <= 167 and cell.alpha not in (None, 90.0)
    return ("a", "alpha") if rhombohedral else ("a", "c")


SYMBOLS = {"alpha": "α", "beta": "β", "gamma": "γ"}


def cell_text(cell: Cell, cell_su: Cell, space_group_number: int) -> tuple[str, ...]:
    """The free cell parameters as text: ``("a = 4.7591(2) Å", "c = 12.993(1) Å")``."""
    lines = []
    for name in free_parameters(space_group_number, cell):
        value = with_uncertainty(getattr(cell, name), getattr(cell_su, name))
        symbol = SYMBOLS.get(name, name)
        unit = "°" if name in SYMBOLS else " Å"
        lines.append(
            f"{symbol} {value}" if value == NOT_OBSERVABLE else f"{symbol} = {value}{unit}"
        )
    return tuple(lines)


def space_group_symbol(number: int) -> str:
    """Hermann-Mauguin symbol of the reference setting, ``"R -3 c"``; ``"?"`` if there is none."""
    import gemmi

    group = gemmi.find_spacegroup_by_number(number) if 1 <= number <= 230 else None
    return group.hm if group else "?"
