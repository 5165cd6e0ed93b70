"""Which element a CIF site holds, and what is assumed of its thermal motion."""

from __future__ import annotations

import re

import gemmi

# Typical B = 8 pi^2 <u^2> at 295 K, angstrom^2, for sites whose file gives none: light and
# weakly bound atoms move more. Means of what inorganic refinements report; metals after
# Peng, L.-M. et al. (1996). Acta Cryst. A52, 456.
DEFAULT_B: dict[str, float] = {
    **dict.fromkeys(["H", "D"], 2.0),
    **dict.fromkeys(["He", "Ne", "Ar", "Kr", "Xe"], 2.5),
    **dict.fromkeys(["Li", "Na"], 1.0),
    **dict.fromkeys(["K", "Rb", "Cs", "Tl"], 1.5),
    **dict.fromkeys(["B", "C", "Si", "Al", "Be", "Mg", "P"], 0.5),
    **dict.fromkeys(["N", "O", "F"], 0.8),
    **dict.fromkeys(["S", "Se", "Te"], 0.8),
    **dict.fromkeys(["Cl", "Br", "I"], 1.2),
    **dict.fromkeys(["Ca", "Sr", "Ba", "Ag", "Cd", "Hg", "Pb", "Bi", "Sn", "In", "Sb", "As"], 0.8),
    **dict.fromkeys(["W", "Re", "Os", "Ir", "Mo", "Ta", "Ru"], 0.3),
}

_WATER = re.compile(r"^(W|OW|WAT|WATER|H2O|OH)[\d_'*]*[A-Za-z]?\d*$", re.IGNORECASE)


def element_of(type_symbol: str, label: str, formula: str = "") -> str:
    """Element symbol of a site, from ``Al3+``, ``O2-``, ``D``, ``Fe1A``, ``OW`` or ``CA1``.

    The formula of the file decides where a label can be read in two ways.

    Parameters
    ----------
    type_symbol, label : of the site, as the file writes them
    formula : of the file, empty where it has none

    Raises
    ------
    ValueError
        If no element can be read, or two can and the formula does not decide.
    """
    within = set(re.findall(r"[A-Z][a-z]?", formula))
    for text in (type_symbol.strip(), label.strip()):
        if text in ("", "?", "."):
            continue
        found = _readings(text, exact=text == type_symbol.strip())
        chosen = found & within or found
        if len(chosen) == 1:
            element = next(iter(chosen))
            return "H" if element in ("D", "T") else element
        if len(chosen) > 1:
            raise ValueError(
                f"site {text!r} may be {' or '.join(sorted(chosen))}; "
                "add _atom_site_type_symbol to the file"
            )
    raise ValueError(
        f"site {label or type_symbol!r} names no element; write its _atom_site_type_symbol"
    )


def _readings(text: str, exact: bool) -> set[str]:
    """Elements that a label may stand for."""
    if _WATER.match(text) and not (exact and _is_element(text)):
        return {"O", "W"} if re.match(r"[wW][^a-zA-Z]*$", text) else {"O"}
    letters = re.match(r"[A-Za-z]+", text)
    if letters is None:
        return set()
    word = letters.group()
    two, one = word[:2].capitalize(), word[:1].upper()
    if exact and len(word) <= 2:
        return {word.capitalize()} if _is_element(word.capitalize()) else set()
    if len(word) > 1 and word[1].islower():
        return {two} if _is_element(two) else {one} if _is_element(one) else set()
    return {symbol for symbol in (two, one) if _is_element(symbol)}


def _is_element(symbol: str) -> bool:
    return symbol in ("D", "T") or 0 < gemmi.Element(symbol).atomic_number < 100


def formula_amounts(formula: str) -> dict[str, float]:
    """``"Al2 O3"`` -> {"Al": 2, "O": 3}; empty where it cannot be read."""
    amounts: dict[str, float] = {}
    for symbol, amount in re.findall(r"([A-Z][a-z]?)\s*(\d*\.?\d*)", formula):
        key = "H" if symbol == "D" else symbol
        amounts[key] = amounts.get(key, 0.0) + float(amount or 1.0)
    return amounts
