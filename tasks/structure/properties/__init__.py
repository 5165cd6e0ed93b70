"""Structure -> properties. This is the list: a module here that declares ``RULES`` is on it."""

from __future__ import annotations

from xtalfuse.physics.estimate import Estimate
from xtalfuse.physics.registry import Registry
from xtalfuse.tasks.structure.properties.base import PropertyRule, Structure

PROPERTIES: Registry[PropertyRule] = Registry(
    "property",
    "xtalfuse.properties",
    rooms=("xtalfuse.tasks.structure.properties",),
    attribute="RULES",
)


def properties_of(structure: Structure) -> tuple[Estimate, ...]:
    """Every property that a structure is enough for."""
    return tuple(
        item
        for rule in PROPERTIES.values()
        if rule.applies_to(structure)
        for item in rule.compute(structure)
    )


def title_of(quantity: str) -> str:
    """What a reader calls a quantity."""
    titles = (rule.titles for rule in PROPERTIES.values())
    known = next((found[quantity] for found in titles if quantity in found), None)
    return known or quantity.replace("_", " ").capitalize()
