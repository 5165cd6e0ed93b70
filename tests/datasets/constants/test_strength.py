"""Hall-Petch constants and what is said with them."""

from __future__ import annotations

import pytest

from xtalfuse.datasets.constants.elastic import elastic_constants, elastic_records
from xtalfuse.datasets.constants.strength import (
    hall_petch_constants,
    hall_petch_records,
    slip_family,
    yield_by_hall_petch,
)
from xtalfuse.physics.mechanics.plasticity import hall_petch


def test_metals_are_crystals_of_the_elastic_table() -> None:
    ids = {record.id for record in elastic_records()}
    assert {record.phase for record in hall_petch_records()} <= ids
    assert len(hall_petch_records()) >= 12


@pytest.mark.parametrize("record", hall_petch_records(), ids=lambda record: record.name)
def test_constants_are_plausible(record) -> None:
    """bcc and hexagonal metals have steep slopes, pure fcc metals flat ones (Armstrong 1970)."""
    assert 5.0 < record.friction_stress_mpa < 700.0
    assert 30.0 < record.slope_mpa_um05 < 2000.0
    if record.phase in ("aluminium", "copper", "silver"):
        assert record.slope_mpa_um05 < 200.0
    assert record.definition == "mean lineal intercept"
    assert record.citation


def test_yield_of_mild_steel() -> None:
    steel = hall_petch_constants("mild steel")
    found = yield_by_hall_petch(steel, 25.0)
    assert found.value == pytest.approx(hall_petch(25.0, 70.6, 740.0))
    assert found.uncertainty == pytest.approx(35.9, abs=0.1)  # 0.4 x 70.6 and 0.15 x 148
    assert not any("extrapolated" in text for text in found.assumptions)


def test_outside_the_grain_sizes_measured_it_says_so() -> None:
    found = yield_by_hall_petch(hall_petch_constants("Cu"), 0.5)
    assert any("extrapolated: 0.5 um is outside" in text for text in found.assumptions)


def test_iron_is_the_pure_metal_and_polymorphs_are_told_apart() -> None:
    assert hall_petch_constants("iron").friction_stress_mpa == 47.1
    with pytest.raises(ValueError, match="space group 225"):
        hall_petch_constants("Fe", space_group=225)
    with pytest.raises(ValueError, match="no Hall-Petch constants of 'MgO'"):
        hall_petch_constants("MgO")
    with pytest.raises(ValueError, match="greater than 0"):
        yield_by_hall_petch(hall_petch_constants("Cu"), 0.0)


@pytest.mark.parametrize(
    ("phase", "family"),
    [("copper", "fcc"), ("austenite", "fcc"), ("iron_alpha", "bcc_pencil"), ("zinc", "hcp"),
     ("titanium_aluminide_ti3al", None), ("nickel_aluminide_nial", None), ("periclase", None),
     ("graphite", None), ("tin_beta", None)],
)  # fmt: skip
def test_only_metals_and_solid_solutions_have_a_family_of_slip(phase, family) -> None:
    assert slip_family(elastic_constants(phase)) == family
