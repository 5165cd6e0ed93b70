"""Labels that no material can have are told; those that it can have are not."""

from __future__ import annotations

import pytest

from xtalfuse.datasets.manifest.rules import RULES
from xtalfuse.datasets.manifest.table import Specimen, Target
from xtalfuse.loaders.record import Record

GPA = "GPa"


def found(about: dict[str, str] | None = None, **targets: tuple[float, str] | str) -> set[str]:
    """Names of the labels that some rule has something against; "" for the specimen."""
    labels = {
        name: Target(value) if isinstance(value, str) else Target(*value)
        for name, value in targets.items()
    }
    specimen = Specimen("s", "s", (), labels, about or {})
    record = Record("s", "s", ())
    return {finding.target for rule in RULES.values() for finding in rule.check(specimen, record)}


# Published: steel; copper, Simmons & Wang 1971; alpha titanium, Fisher & Renken 1964;
# magnesia; an auxetic foam, Lakes 1987
@pytest.mark.parametrize(
    "labels",
    [
        {"youngs_modulus": (210.0, GPA), "shear_modulus": (81.0, GPA), "poisson_ratio": (0.29, "")},
        {"C11": (168.4, GPA), "C12": (121.4, GPA), "C44": (75.4, GPA)},
        {"C11": (162.4, GPA), "C12": (92.0, GPA), "C13": (69.0, GPA), "C33": (180.7, GPA),
         "C44": (46.7, GPA)},
        {"bulk_reuss": (160.0, GPA), "bulk_voigt": (160.0, GPA)},
        {"a": (2.95, "angstrom"), "b": (2.95, "angstrom"), "c": (4.68, "angstrom"),
         "gamma": (120.0, "degree"), "crystal_system": "hexagonal"},
        {"Vickers hardness": (9.5, GPA), "density": (3.58, "g/cm^3")},
        {"poisson_ratio": (-0.7, ""), "youngs_modulus": (7.2e-5, GPA)},
        {"weight_fraction a": (0.3, ""), "weight_fraction b": (0.7, "")},
    ],
)  # fmt: skip
def test_what_materials_have_is_let_through(labels):
    assert found(**labels) == set()


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"youngs_modulus": (210_000.0, GPA)}, {"youngs_modulus"}),
        ({"hardness": (3.0, "g/cm^3")}, {"hardness"}),
        ({"Poisson's ratio": (0.51, "")}, {"Poisson's ratio"}),
        ({"bulk_reuss": (161.0, GPA), "bulk_voigt": (160.0, GPA)}, {"bulk_reuss", "bulk_voigt"}),
        ({"C11": (100.0, GPA), "C12": (101.0, GPA), "C44": (30.0, GPA)}, {"C11", "C12", "C44"}),
        ({"youngs_modulus": (210.0, GPA), "shear_modulus": (81.0, GPA),
          "bulk_modulus": (16.0, GPA)}, {"youngs_modulus", "shear_modulus", "bulk_modulus"}),
        ({"a": (4.0, "angstrom"), "c": (4.1, "angstrom"), "crystal_system": "cubic"}, {"a", "c"}),
        ({"a": (0.4, "angstrom")}, {"a"}),
        ({"gamma": (90.0, "degree"), "crystal_system": "hexagonal"}, {"gamma"}),
        ({"weight_fraction a": (0.5, ""), "weight_fraction b": (0.7, "")},
         {"weight_fraction a", "weight_fraction b"}),
    ],
)  # fmt: skip
def test_what_no_material_has_is_told(labels, told):
    assert found(**labels) == told


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"composition": "Al2O3", "elements": "Al O Cr"}, set()),
        ({"composition": "Fe0.7Ni0.3"}, set()),
        ({"composition": "Zz2O3"}, {""}),
        ({"composition": "about 3"}, {""}),
        ({"composition": "Al2O3", "elements": "Fe O"}, {""}),
    ],
)
def test_a_formula_is_one(about, told):
    assert found(about) == told
