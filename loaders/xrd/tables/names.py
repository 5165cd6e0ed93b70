"""What the names over the columns of a pattern say: which quantity, in which unit.

An abscissa becomes 2theta in degrees or, where that takes a wavelength, q in 1/angstrom. What
is none of them, or is named without a unit that it needs, is refused, never taken for 2theta.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from xtalfuse.loaders.xrd.quantity import ANGSTROMS, DEGREES, MINUS

_ANGLE_UNIT = re.compile(
    rf"(?<![a-z])({'|'.join(sorted(filter(None, DEGREES), key=len, reverse=True))})(?![a-z])"
)
_LENGTH = "|".join(sorted(ANGSTROMS, key=len, reverse=True))
_LENGTH_UNIT = re.compile(rf"(?<![a-zå])({_LENGTH})(?![a-zå])")
_INVERSE = re.compile(
    rf"(?:/ ?|inv\w*[ .]?|reciprocal )({_LENGTH})(?![a-zå])|(?<![a-zå])({_LENGTH}) ?\^?\(?-1"
)
TWO_THETA = re.compile(r"2 ?[-*]? ?θ|2 ?-?th\b|\bt ?th\b|\btθ|diffraction angle|scattering angle")
_ANGLE = re.compile(r"^\W*(angles?|pos(ition)?)\b")
_THETA = re.compile(r"θ|\bth\b|bragg")
_SINE = re.compile(r"sin ?\(? ?θ")
_Q = re.compile(
    r"\bq\b|\bq ?-?(value|vec|mod|abs|val)|scattering vector|momentum ?transfer|2 ?(pi|π)/d"
)
_INVERSE_D = re.compile(r"1 ?/ ?d\b|\bd ?\*|^\W*s\b|\bd ?star")
_D = re.compile(r"\bd\b|\bd ?-?(spac\w*|val\w*|hkl)|interplanar|lattice ?spacing")
_TOF = re.compile(r"time ?-?of ?-?flight|\btof\b|\bmus\b|μs\b|\b(u|micro ?)sec|[(\[]us\W")
_OTHER = re.compile(
    r"\b(omega|ω|phi|φ|chi|χ|psi|ψ|azimut\w*|time|energy|loss|m?k?ev|wave ?number|raman|channels?"
    r"|pixels?|radius|radial|r|temp\w*|λ|lambda|wave ?length|x ?rd ?mm|mm)\b"
)
_SQUARED = re.compile(r"\^ ?2|\*\* ?2|\bd ?\*2|\b(log\w*|ln|sqrt)\b")

# Names of what is not measured intensity, though "count" or "int" may stand in them.
_NOT_OBSERVED = re.compile(
    r"\b([yi]? ?(calc\w*|cal\b)|fit\w*|model|simul\w*|b(ac)?kg\w*|bck\w*|back ?ground|delta"
    r"|diff(erence)?|resid\w*|time\w*|sec(onds?)?|steps?|mon(itor)?|izero|i ?0|frame\w*|index"
    r"|image\w*|temp\w*|weights?|excluded|attenuat\w*|absorber|date|[hkl]|hkl|fwhm|d|q"
    r"|deriv\w*)\b"
)
_CORRECTED = re.compile(r"subtract|correct|remov|\bnet\b|minus|normali|\bper |/ ?s|/ ?point")
_INTENSITY = re.compile(
    r"\bint\w*|count|\bcts\b|cps|\b[yi]? ?obs\w*|signal|\b[iy]\b|imp(ulse?|\b)|photons|coups"
)
_SIGMA = re.compile(
    r"\b(err\w*|esd\w*|sig(ma)?\d?|σ|std\w*|stdev|uncert\w*|su|e|d[iy])\b|δ ?[iy]\b"
)
_VARIANCE = re.compile(r"varian|(sig(ma)?|σ|esd|err\w*|std\w*) ?\^?2")
_SCALED = re.compile(
    r"a\.? ?u\b|arb|norm|\brel|%|[x*×] ?10|10 ?\^|\bk ?(cps|counts|cts)|scaled|smooth"
)
RATE = re.compile(r"\bcps\b|co?u?n?ts? ?(/|per) ?s|c/s")
_ROOT = re.compile(r"sqrt|√|square ?root|\broot\b|\^ ?\(?(0?\.5|1/2)|\*\* ?0?\.5")
_LOG = re.compile(r"\b(log ?10|log ?e\b|log\w*|ln|lg)(?![a-z])")
_BASES: dict[str, tuple[float, ...]] = {
    "log10": (10.0,),
    "lg": (10.0,),
    "ln": (math.e,),
    "loge": (math.e,),
}


class UnclearNameError(ValueError):
    """A name that says that a column is not, or may not be, what is looked for."""


@dataclass(frozen=True)
class Abscissa:
    """A column of positions.

    Parameters
    ----------
    kind : ``"two_theta"`` or ``"q"``
    convert : (n,) values of the file -> degrees, or 1/angstrom
    """

    kind: str
    convert: Callable[[np.ndarray], np.ndarray]


def plain(name: str) -> str:
    """A name in small letters, with one spelling of theta, minus, powers and separators."""
    text = unicodedata.normalize("NFKC", name.replace("²θ", "2θ")).translate(MINUS).lower()
    text = re.sub(r"[_\s]+", " ", re.sub(r"[${}\\]", "", text))
    text = text.replace("theta", "θ").replace("two", "2").replace("degrees", "deg")
    return text.replace("centideg", "cdeg").replace("millideg", "mdeg").strip(" '\"#")


def abscissa_of(name: str) -> Abscissa | None:
    """The abscissa that a name says; None if it says nothing of one.

    Raises
    ------
    UnclearNameError
        If it names another quantity, or one whose unit is not said; with what to do.
    """
    text = plain(name)
    if _TOF.search(text):
        raise UnclearNameError("is a time of flight of neutrons; give an X-ray pattern")
    if _SINE.search(text) and ("λ" in text or "lambda" in text or "wavelength" in text):
        factor = 1.0 if re.search(r"4 ?\*? ?(π|pi)", text) else 4.0 * math.pi
        return _of_q(text, lambda x, unit: factor * x / unit)
    if TWO_THETA.search(text):
        return _of_angle(text)
    spacing = _Q.search(text) or _INVERSE_D.search(text) or _D.search(text)
    if spacing and _SQUARED.search(text):
        raise UnclearNameError("is not 2theta, q or d itself; export it against one of them")
    if _Q.search(text):
        return _of_q(text, lambda x, unit: x / unit)
    if _INVERSE_D.search(text):
        return _of_q(text, lambda x, unit: 2.0 * math.pi * x / unit)
    if _D.search(text):
        unit = _LENGTH_UNIT.search(_D.sub(" ", text, count=1))
        if unit is None:
            raise UnclearNameError("has no unit; name it 'd (angstrom)' or 'd (nm)'")
        return Abscissa("q", partial(_inverse, unit=ANGSTROMS[unit[1]]))
    if found := _OTHER.search(text):
        raise UnclearNameError(_why_not(found[1]))
    if _ANGLE.search(text):
        return _of_angle(text)
    if _THETA.search(text):
        raise UnclearNameError(
            "may be theta or, as some programs write, 2theta; name it '2theta', or double it"
        )
    return None


def _why_not(word: str) -> str:
    if word in ("energy", "ev", "kev", "mev", "loss"):
        return (
            "is an energy: an energy-dispersive pattern has to be converted to d or q with the "
            "angle of its detector first, a spectrum to be saved as .msa"
        )
    return "is not 2theta, q or d; export the pattern against 2theta"


def _of_angle(text: str) -> Abscissa:
    unit = _ANGLE_UNIT.search(text)
    factor = DEGREES[unit[1]] if unit else 1.0
    return Abscissa("two_theta", lambda x: x * factor)


def _of_q(text: str, convert: Callable[[np.ndarray, float], np.ndarray]) -> Abscissa:
    unit = _INVERSE.search(text.replace("1/d", " ").replace("/λ", " ").replace("/d", " "))
    if unit is None:
        raise UnclearNameError("has no unit; name it 'q (1/angstrom)' or 'q (1/nm)'")
    length = ANGSTROMS[unit[1] or unit[2]]
    return Abscissa("q", lambda x: convert(x, length))


def _inverse(spacing: np.ndarray, unit: float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return 2.0 * math.pi / (spacing * unit)


def is_intensity(name: str) -> bool:
    """Whether a name says that a column is measured intensity."""
    return bool(_INTENSITY.search(plain(name))) and not is_other(name)


def is_other(name: str) -> bool:
    """Whether a name says that a column is not the measured intensity."""
    text = plain(name)
    return bool(_NOT_OBSERVED.search(text)) and not _CORRECTED.search(text)


def is_sigma(name: str) -> bool:
    """Whether a name says that a column is an uncertainty or a variance."""
    return bool(_SIGMA.search(plain(name)) or _VARIANCE.search(plain(name)))


def is_variance(name: str) -> bool:
    """Whether a name says that a column is the square of an uncertainty."""
    return bool(_VARIANCE.search(plain(name)))


def declared_unit(name: str, words: str) -> str | None:
    """``"cps"``, or ``"arbitrary"`` where a name says that counts were scaled; else None."""
    text = plain(name)
    if _SCALED.search(text):
        return "arbitrary"
    return "cps" if RATE.search(f"{text}\n{plain(words)}") else None


def undone(name: str, values: np.ndarray) -> tuple[np.ndarray, str]:
    """Intensities of a column that holds their logarithm or root, and what was undone.

    Raises
    ------
    UnclearNameError
        If its base is not said and the numbers do not tell it, or something else was done.
    """
    text = plain(name)
    root, log = _ROOT.search(text), _LOG.search(text)
    if not (root or log):
        return values, ""
    if (root and log) or re.search(r"[+-] ?\d|\d ?[+-]|log ?1p|1/(?!2)", text):
        raise UnclearNameError("is not intensity itself; export the intensities")
    if root:
        if values.min() < 0:
            raise UnclearNameError("holds negative numbers; export the intensities")
        return values**2, "the square root of the intensities was undone"
    kind = log[1].replace(" ", "") if log else ""
    bases: tuple[float, ...] = _BASES.get(kind, ())
    if values.max() > 28.0:  # e^28 counts: more than any detector has seen
        raise UnclearNameError("holds no logarithms of intensities; export the intensities")
    if kind == "log":  # base 10 in most programs, e in some: whole counts tell
        bases = tuple(base for base in (10.0, math.e) if _whole(base**values))
    if len(bases) != 1:
        raise UnclearNameError("is a logarithm of unknown base; export the intensities")
    said = f"the logarithm to base {'e' if bases[0] == math.e else 10} was undone"
    return bases[0] ** values, said


def _whole(values: np.ndarray) -> bool:
    """Whether small values are whole numbers, up to the rounding of their logarithms."""
    small = values[values < 500.0]
    return small.size > 0.1 * values.size and bool(
        np.mean(np.abs(small - np.round(small)) < 0.05) > 0.9
    )
