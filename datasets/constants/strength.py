"""Hall-Petch constants of metals: a small table, with what each number is good for."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from math import hypot, sqrt
from pathlib import Path

from xtalfuse.datasets.constants.elastic import ElasticRecord, elastic_constants
from xtalfuse.physics.estimate import Estimate

TABLE = Path(__file__).parent / "hall_petch.toml"
FAMILY_OF = {225: "fcc", 229: "bcc_pencil", 194: "hcp"}  # space groups of A1, A2 and A3


@dataclass(frozen=True)
class HallPetchRecord:
    """Hall-Petch constants of one metal.

    Parameters
    ----------
    phase : id of the crystal in the table of elastic constants
    name : the metal and its condition
    friction_stress_mpa, slope_mpa_um05 : sigma_0, MPa, and k, MPa um^0.5
    uncertainty : relative, of the two: by how much measurements of this metal differ
    grain_size_um : from and to, where the constants were measured
    definition : of the grain size
    citation : where they are from
    """

    phase: str
    name: str
    friction_stress_mpa: float
    slope_mpa_um05: float
    uncertainty: tuple[float, float]
    grain_size_um: tuple[float, float]
    definition: str
    citation: str


@lru_cache(maxsize=1)
def hall_petch_records() -> tuple[HallPetchRecord, ...]:
    """All metals of the table."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    rows = [{**table["defaults"], **row} for row in table["metal"]]
    return tuple(
        HallPetchRecord(
            phase=row["phase"],
            name=row["name"],
            friction_stress_mpa=float(row["friction_stress_mpa"]),
            slope_mpa_um05=float(row["slope_mpa_um05"]),
            uncertainty=(float(row["uncertainty"][0]), float(row["uncertainty"][1])),
            grain_size_um=(float(row["grain_size_um"][0]), float(row["grain_size_um"][1])),
            definition=row["definition"],
            citation=row["citation"],
        )
        for row in rows
    )


def hall_petch_constants(
    query: str, *, laue: str | None = None, space_group: int | None = None
) -> HallPetchRecord:
    """The constants of a metal; of several conditions of one metal, the purest.

    Parameters
    ----------
    query : name in this table (``"Mild steel"``), or whatever names the crystal in
        :func:`xtalfuse.datasets.constants.elastic.elastic_constants`
    laue, space_group : tell polymorphs apart

    Raises
    ------
    ValueError
        If there are none, or the crystal is not known.
    """
    records = hall_petch_records()
    named = [r for r in records if r.name.casefold() == query.casefold()]
    if not named:
        phase = elastic_constants(query, laue=laue, space_group=space_group).id
        named = [r for r in records if r.phase == phase]
    if not named:
        known = ", ".join(r.name for r in records)
        raise ValueError(
            f"no Hall-Petch constants of {query!r}; give sigma_0 and k of your own. There are "
            f"those of {known}"
        )
    return named[0]


def yield_by_hall_petch(record: HallPetchRecord, grain_size_um: float) -> Estimate:
    """Yield stress of a grain size, with the spread of the constants and what is assumed.

    Parameters
    ----------
    record : constants of the metal
    grain_size_um : by the definition of the record, the mean lineal intercept as a rule

    Raises
    ------
    ValueError
        If the grain size is not greater than zero.
    """
    if not grain_size_um > 0.0:
        raise ValueError(f"a grain size must be greater than 0 um, found {grain_size_um}")
    slope = record.slope_mpa_um05 / sqrt(grain_size_um)
    friction = record.friction_stress_mpa
    spread = hypot(record.uncertainty[0] * friction, record.uncertainty[1] * slope)
    assumptions = [
        f"constants of {record.name}, annealed, at room temperature",
        f"grain size is the {record.definition}",
    ]
    low, high = record.grain_size_um
    if not low <= grain_size_um <= high:
        assumptions.append(
            f"extrapolated: {grain_size_um:g} um is outside the {low:g} to {high:g} um measured"
        )
    return Estimate(
        "yield_stress",
        friction + slope,
        spread,
        "MPa",
        f"sigma_0 + k / sqrt(d), {record.citation}",
        tuple(assumptions),
        "an empirical law of annealed metal: alloying, cold work and precipitates are not in",
    )


def slip_family(record: ElasticRecord) -> str | None:
    """The family of slip systems that a metal is known for; None where there is no simple one.

    ``"fcc"``, ``"bcc_pencil"`` or ``"hcp"`` of
    :func:`xtalfuse.physics.mechanics.slip.slip_systems`, of metals and their solid solutions.
    Ordered alloys, salts and ceramics have systems of their own. The critical
    stresses of the modes of a hexagonal metal differ, and must be given.
    """
    import gemmi

    symbols = re.findall(r"[A-Z][a-z]?", record.formula)
    ordered = len(symbols) > 1 and "." not in record.formula  # whole numbers: Ti3Al
    if ordered or not all(gemmi.Element(symbol).is_metal for symbol in symbols):
        return None
    return FAMILY_OF.get(record.space_group)
