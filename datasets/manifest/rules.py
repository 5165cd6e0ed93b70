"""What no specimen can be: checks of labels against physics and of records against labels.

A rule of your own is an object like those below, declared under the entry points
``xtalfuse.dataset_rules`` of a package.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from xtalfuse.datasets.manifest.table import Specimen, Target
from xtalfuse.loaders.record import Modality, Reason, Record
from xtalfuse.physics.registry import Registry


@dataclass(frozen=True)
class Finding:
    """What a rule has against a specimen.

    Parameters
    ----------
    target : the label that must not be used; "" where the whole record must not
    code : of the reason
    cause, remedy : what is wrong, and what to do
    path : of the one file that must not be used; the rest of the record stays
    """

    target: str
    code: Reason
    cause: str
    remedy: str
    path: str = ""


@dataclass(frozen=True)
class Rule:
    """A check of one specimen.

    Parameters
    ----------
    name, about : for lists and tables
    check : (what the manifest says, the record) -> findings
    """

    name: str
    about: str
    check: Callable[[Specimen, Record], Iterator[Finding]]


# (least, most, standard unit) that a material can have; with the record holders that set the ends.
RANGES: Mapping[str, tuple[float, float, str]] = {
    "youngs_modulus": (1e-6, 1250.0, "GPa"),  # aerogel; carbyne and diamond [111] 1.2 TPa
    "shear_modulus": (1e-6, 600.0, "GPa"),  # diamond 535
    "bulk_modulus": (1e-6, 500.0, "GPa"),  # diamond 443
    "yield_strength": (0.0, 10.0, "GPa"),  # drawn pearlite 6.4-7
    "tensile_strength": (0.0, 130.0, "GPa"),  # graphene 130
    "hardness": (1e-3, 180.0, "GPa"),  # lead 0.04; nanotwinned diamond 175-204 by indent
    "density": (1e-3, 22.7, "g/cm^3"),  # osmium 22.59
    "poisson_ratio": (-1.0, 0.5, ""),  # isotropic bodies: thermodynamic stability
    "fracture_toughness": (0.0, 500.0, "MPa*m^0.5"),
    "elongation": (0.0, 50.0, ""),  # superplastic 48.5
    "porosity": (0.0, 1.0, ""),
    "weight_fraction": (0.0, 1.0, ""),
    "grain_size": (1e-4, 1e7, "um"),
    "temperature": (0.0, 1e4, "K"),
    "band_gap": (0.0, 20.0, "eV"),
}
_SYNONYMS = {
    "e": "youngs_modulus", "young_modulus": "youngs_modulus", "elastic_modulus": "youngs_modulus",
    "g": "shear_modulus", "k": "bulk_modulus", "ys": "yield_strength", "uts": "tensile_strength",
    "ultimate_tensile_strength": "tensile_strength", "hv": "hardness",
    "vickers_hardness": "hardness", "poissons_ratio": "poisson_ratio",
}  # fmt: skip


def property_of(name: str) -> str:
    """The usual name of a label: ``"Young's modulus"`` is ``youngs_modulus``."""
    plain = re.sub(r"\W+", "_", name.replace("'", "").strip().lower()).strip("_")
    return _SYNONYMS.get(plain, plain)


def _numbers(specimen: Specimen) -> dict[str, tuple[str, float]]:
    """Usual name -> (name in the table, value) of the labels that are usable numbers."""
    return {
        property_of(name): (name, target.value)
        for name, target in specimen.targets.items()
        if target.valid and isinstance(target.value, float)
    }


def _ranges(specimen: Specimen, record: Record) -> Iterator[Finding]:
    for usual, (name, value) in _numbers(specimen).items():
        if usual not in RANGES:
            continue
        low, high, unit = RANGES[usual]
        has = specimen.targets[name].unit
        if has != unit:
            cause = f"{usual} has the unit {has or 'of a pure number'!r}, not {unit or 'none'!r}"
            yield Finding(name, Reason.LABEL, cause, "correct the unit in the name of the column")
        elif not low <= value <= high:
            cause = f"{value:g} {unit} where materials have {low:g} to {high:g}".replace("  ", " ")
            yield Finding(name, Reason.RANGE, cause, "check the number and its unit")


def _bounds(specimen: Specimen, record: Record) -> Iterator[Finding]:
    values = _numbers(specimen)
    for kind in ("bulk_modulus", "shear_modulus", "youngs_modulus"):
        short = kind.split("_", maxsplit=1)[0]
        reuss, voigt = (
            next((values[n] for n in (f"{kind}_{b}", f"{short}_{b}") if n in values), None)
            for b in ("reuss", "voigt")
        )
        if reuss and voigt and reuss[1] > voigt[1] * (1.0 + 1e-9):
            cause = f"{reuss[0]} {reuss[1]:g} is above {voigt[0]} {voigt[1]:g} (Hill 1952)"
            for name in (reuss[0], voigt[0]):
                yield Finding(name, Reason.PHYSICS, cause, "check both")
    e, g, k = (values.get(f"{n}_modulus") for n in ("youngs", "shear", "bulk"))
    nu = values.get("poisson_ratio")
    if e and g and not 0.0 < e[1] / (2.0 * g[1]) <= 1.5 * 1.02:
        cause = f"E/2G - 1 = {e[1] / (2.0 * g[1]) - 1.0:.2f} is no Poisson's ratio (-1 to 0.5)"
        for name in (e[0], g[0]):
            yield Finding(name, Reason.PHYSICS, cause, "check both")
    elif e and g and k:
        wanted = 9.0 * k[1] * g[1] / (3.0 * k[1] + g[1])
        if abs(e[1] - wanted) > 0.1 * wanted:  # Hill averages of E and of K, G differ by percents
            cause = f"E {e[1]:g} where 9KG/(3K+G) is {wanted:.4g}"
            for name in (e[0], g[0], k[0]):
                yield Finding(name, Reason.PHYSICS, cause, "check all three")
    if e and g and nu and abs(e[1] / (2.0 * g[1]) - 1.0 - nu[1]) > 0.1:
        cause = f"Poisson's ratio {nu[1]:g} where E/2G - 1 is {e[1] / (2.0 * g[1]) - 1.0:.3f}"
        yield Finding(nu[0], Reason.PHYSICS, cause, "check all three")


_STIFFNESS = re.compile(r"c_?([1-6])([1-6])$")


def _stiffness(specimen: Specimen, record: Record) -> Iterator[Finding]:
    """C11 ... C66 must be positive definite (Born 1940); cubic and hexagonal ones are completed."""
    given = {
        (int(m[1]) - 1, int(m[2]) - 1): named
        for usual, named in _numbers(specimen).items()
        if (m := _STIFFNESS.match(usual))
    }
    if not {(0, 0), (0, 1), (3, 3)} <= set(given):
        return
    c = np.zeros((6, 6))
    c11, c12, c44 = (given[key][1] for key in ((0, 0), (0, 1), (3, 3)))
    c[:3, :3] = c12
    np.fill_diagonal(c, [c11, c11, c11, c44, c44, c44])
    if {(0, 2), (2, 2)} <= set(given):  # hexagonal, unless more is said
        c[:2, 2] = c[2, :2] = given[0, 2][1]
        c[2, 2], c[5, 5] = given[2, 2][1], 0.5 * (c11 - c12)
    for (i, j), (_, value) in given.items():
        c[i, j] = c[j, i] = value
    least = float(np.linalg.eigvalsh(c).min())
    if least <= 0.0:
        cause = f"the stiffness is not positive definite: its least eigenvalue is {least:.3g}"
        for name, _ in given.values():
            yield Finding(name, Reason.PHYSICS, cause, "check the constants")


_SYSTEMS = {  # lengths that must be equal, and the angles
    "cubic": (("a", "b", "c"), {"alpha": 90.0, "beta": 90.0, "gamma": 90.0}),
    "tetragonal": (("a", "b"), {"alpha": 90.0, "beta": 90.0, "gamma": 90.0}),
    "hexagonal": (("a", "b"), {"alpha": 90.0, "beta": 90.0, "gamma": 120.0}),
    "orthorhombic": ((), {"alpha": 90.0, "beta": 90.0, "gamma": 90.0}),
    "monoclinic": ((), {"alpha": 90.0, "gamma": 90.0}),
    "triclinic": ((), {}),
}


def _cell(specimen: Specimen, record: Record) -> Iterator[Finding]:
    values = _numbers(specimen)
    system = next(
        (str(t.value).lower() for n, t in specimen.targets.items()
         if property_of(n) == "crystal_system"), None,
    )  # fmt: skip
    for length in (values[n] for n in "abc" if n in values):
        if not 1.0 <= length[1] <= 1000.0:
            cause = f"a cell length of {length[1]:g} angstrom"
            yield Finding(length[0], Reason.RANGE, cause, "check the number and its unit")
    if system not in _SYSTEMS:
        return
    equal, angles = _SYSTEMS[system]
    lengths = [values[n] for n in equal if n in values]
    if len(lengths) > 1 and max(v for _, v in lengths) > 1.001 * min(v for _, v in lengths):
        cause = f"{system}, and {' '.join(f'{n} {v:g}' for n, v in lengths)} are not equal"
        for name, _ in lengths:
            yield Finding(name, Reason.PHYSICS, cause, "correct the cell or the crystal system")
    for angle, right in angles.items():
        if angle in values and abs(values[angle][1] - right) > 0.05:
            cause = f"{system}, and {angle} is {values[angle][1]:g}, not {right:g}"
            remedy = "correct the cell or the crystal system"
            yield Finding(values[angle][0], Reason.PHYSICS, cause, remedy)


def _composition(specimen: Specimen, record: Record) -> Iterator[Finding]:
    text = specimen.about.get("composition")
    if not text:
        return
    from pymatgen.core import Composition

    try:
        amounts = Composition(text, strict=True)
        elements = {str(element) for element in amounts}
    except (ValueError, KeyError, TypeError) as error:
        cause = f"composition {text!r}: {str(error)[:100]}"
        yield Finding("", Reason.LABEL, cause, "write a formula such as Al2O3")
        return
    known = set(specimen.about.get("elements", "").split())
    if known and not elements <= known:
        cause = f"{' '.join(sorted(elements - known))} in the composition and not in the elements"
        yield Finding("", Reason.PHYSICS, cause, "correct one of the two")


LEAST_POINTS = 10  # of a powder pattern: a line alone has as many


def _points(specimen: Specimen, record: Record) -> Iterator[Finding]:
    for measurement in record.of(Modality.XRD):
        if len(measurement.values) < LEAST_POINTS:
            cause, path = f"it holds {len(measurement.values)} points", measurement.provenance.path
            yield Finding("", Reason.REFUSED, cause, "export the whole pattern", path)


def _fractions(specimen: Specimen, record: Record) -> Iterator[Finding]:
    parts = {n: t for n, t in specimen.targets.items() if _is_fraction(n, t)}
    total = math.fsum(float(t.value) for t in parts.values())
    if total > 1.005:
        cause = f"the weight fractions add up to {total:.4g}"
        for name in parts:
            yield Finding(name, Reason.PHYSICS, cause, "check the fractions and their unit")


def _is_fraction(name: str, target: Target) -> bool:
    numeric = target.valid and isinstance(target.value, float) and target.unit == ""
    return numeric and property_of(name).startswith("weight_fraction")


def _decided(specimen: Specimen, record: Record) -> Iterator[Finding]:
    if specimen.about.get("decision") == "reject":
        who, when = (specimen.about.get(f"decided_{k}", "") for k in ("by", "at"))
        cause = " ".join(filter(None, ("rejected", who and f"by {who}", when)))
        yield Finding("", Reason.DISAGREES, cause, "correct the label and decide again")


RULES: Registry[Rule] = Registry("rule", "xtalfuse.dataset_rules")
for _rule in (
    Rule("range", "labels that no material can have, or in a unit of something else", _ranges),
    Rule("bounds", "Reuss above Voigt; moduli and Poisson's ratio that contradict", _bounds),
    Rule("stiffness", "elastic constants that are not positive definite", _stiffness),
    Rule("cell", "a cell that its crystal system does not allow", _cell),
    Rule("composition", "a formula that is none, or holds other elements than are stated",
         _composition),
    Rule("points", "powder patterns of hardly any points", _points),
    Rule("decision", "specimens that a person rejected", _decided),
    Rule("fractions", "weight fractions that add up to more than one", _fractions),
):  # fmt: skip
    RULES.add(_rule.name, _rule)
