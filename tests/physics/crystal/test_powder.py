"""The forward model of a powder pattern: derivatives, doublets, cells and fractions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xtalfuse.physics.crystal.cell import Crystal, Site
from xtalfuse.physics.crystal.diffraction import reflections
from xtalfuse.physics.crystal.powder import (
    SHARED,
    InstrumentState,
    PhaseModel,
    PhaseState,
    beam_on_specimen,
    phase_model,
    strain_basis,
)
from xtalfuse.physics.units import radiation

GRID = np.arange(15.0, 80.0, 0.01)
CORUNDUM = Crystal(
    (4.7589, 4.7589, 12.9919, 90, 90, 120), "R -3 c:H",
    (Site("Al", (0, 0, 0.35228)), Site("O", (0.30624, 0, 0.25))),
)  # fmt: skip
BADDELEYITE = Crystal(
    (5.1505, 5.2116, 5.3173, 90, 99.23, 90), "P 1 21/c 1",
    (Site("Zr", (0.2754, 0.0395, 0.2083)), Site("O", (0.0700, 0.3317, 0.3447)),
     Site("O", (0.4496, 0.7569, 0.4792))),
)  # fmt: skip
SILICON = Crystal((5.43102,) * 3 + (90.0,) * 3, "F d -3 m:2", (Site("Si", (0.125,) * 3),))
INSTRUMENT = InstrumentState(
    zero=0.02, displacement=-0.05, gauss_tan=0.03, gauss=0.07, asymmetry=0.02, skew=0.1,
    extra_b=0.4, spill=0.15, stretch=0.002,
)  # fmt: skip


def model_of(crystal: Crystal, lines: str = "CuKa") -> PhaseModel:
    return phase_model(crystal, reflections(crystal, 0.9), radiation(lines), (15.0, 80.0))


@pytest.fixture(scope="module")
def models() -> dict[str, PhaseModel]:
    return {"corundum": model_of(CORUNDUM), "baddeleyite": model_of(BADDELEYITE)}


def some_state(model: PhaseModel) -> PhaseState:
    rng = np.random.default_rng(1)
    return PhaseState(
        0.002 * rng.normal(size=model.n_strain),
        size=0.06,
        microstrain=0.08,
        texture=0.8,
        axis=(1, 0, 2),
        adjust=rng.uniform(0.7, 1.4, len(model.hkl)),
    )


def check(
    analytic: np.ndarray, plus: np.ndarray, minus: np.ndarray, step: float, tolerance: float = 1e-4
) -> None:
    numeric = (plus - minus) / (2 * step)
    scale = np.abs(numeric).max()
    assert scale > 0.0
    # A peak's window moves with it, so that a point of its far tail may enter or leave; the tail
    # is cut at 0.3 % of the strongest peak. Elsewhere central differences are good to 1e-5.
    off = np.abs(analytic - numeric)
    assert np.quantile(off, 0.98) < tolerance * scale
    # and no wrong factor hides behind a single high peak: the two curves are parallel
    body = off <= np.quantile(off, 0.98)
    cosine = analytic[body] @ numeric[body]
    cosine /= np.linalg.norm(analytic[body]) * np.linalg.norm(numeric[body])
    assert cosine > 1 - 10.0 * tolerance**2 - 1e-6


@pytest.mark.parametrize("name", ["corundum", "baddeleyite"])
@pytest.mark.parametrize("shared", SHARED)
def test_derivatives_to_the_instrument(models, name, shared):
    model = models[name]
    state = some_state(model)
    step = 2e-4  # of a width of 0.1: single precision leaves 3e-5, the third derivative 1e-5
    columns = model.columns(GRID, state, INSTRUMENT)
    here = getattr(INSTRUMENT, shared)
    moved = [
        model.columns(GRID, state, replace(INSTRUMENT, **{shared: here + s * step})).profile
        for s in (1, -1)
    ]
    check(columns.by_shared[:, SHARED.index(shared)], *moved, step)


@pytest.mark.parametrize("name", ["corundum", "baddeleyite"])
def test_derivatives_to_the_phase(models, name):
    model = models[name]
    state = some_state(model)
    columns = model.columns(GRID, state, INSTRUMENT)
    count = model.n_strain + 3  # strains, size, microstrain, texture
    assert columns.by_own.shape == (len(GRID), count)
    for parameter in range(count):
        step = 3e-6 if parameter < model.n_strain else 2e-4
        change = np.zeros(count)
        change[parameter] = step
        plus = model.columns(GRID, state.moved(change), INSTRUMENT).profile
        minus = model.columns(GRID, state.moved(-change), INSTRUMENT).profile
        # A strain moves peaks by many times what it changes their width, texture and
        # Lorentz-polarisation factor, which the derivative leaves out on purpose: 0.3 %.
        tolerance = 5e-3 if parameter < model.n_strain else 1e-4
        check(columns.by_own[:, parameter], plus, minus, step, tolerance)


def test_without_an_axis_there_is_no_texture_column(models):
    model = models["corundum"]
    columns = model.columns(GRID, model.start(), InstrumentState())
    assert columns.by_own.shape == (len(GRID), model.n_strain + 2)


@pytest.mark.parametrize(
    ("crystal", "free"), [(SILICON, 1), (CORUNDUM, 2), (BADDELEYITE, 4)]
)  # fmt: skip
def test_the_first_strain_stretches_every_length_alike(crystal, free):
    assert strain_basis(crystal).shape == (6, free)
    model = model_of(crystal)
    cell = np.array(model.cell(model.start(0.001)))
    # strain acts on the reciprocal metric to first order: 1e-3 squared remains
    assert cell[:3] == pytest.approx(1.001 * np.array(crystal.cell[:3]), rel=3e-6)
    assert cell[3:] == pytest.approx(crystal.cell[3:], abs=1e-6)


def test_cells_obey_their_system_whatever_the_strain():
    rng = np.random.default_rng(2)
    for crystal in (SILICON, CORUNDUM, BADDELEYITE):
        model = model_of(crystal)
        for _ in range(10):
            state = model.start().moved(rng.normal(scale=0.01, size=model.n_strain + 2))
            a, b, c, alpha, beta, gamma = model.cell(state)
            if crystal is SILICON:
                assert (a, a) == pytest.approx((b, c), rel=1e-12)
            if crystal is CORUNDUM:
                assert a == pytest.approx(b, rel=1e-12)
            assert alpha == pytest.approx(90.0, abs=1e-9)
            assert gamma == pytest.approx(120.0 if crystal is CORUNDUM else 90.0, abs=1e-9)
            if crystal is not BADDELEYITE:
                assert beta == pytest.approx(90.0, abs=1e-9)


def test_k_alpha_doublet_of_silicon_511():
    # Bragg's law for d = a / sqrt(27): 94.954 and 95.267 deg, in the ratio 2 : 1
    model = phase_model(SILICON, reflections(SILICON, 0.9), radiation("CuKa"), (90.0, 100.0))
    grid = np.arange(90.0, 100.0, 0.002)
    sharp = InstrumentState(gauss=0.05, gauss_tan=0.0, spill=0.01)
    state = PhaseState(np.zeros(1), size=1e-3, microstrain=1e-3)
    profile = model.columns(grid, state, sharp).profile
    expected = 2 * np.degrees(np.arcsin(np.array([1.5405929, 1.5444274]) * np.sqrt(27) / 10.86204))
    first, second = (
        grid[np.argmax(np.where(np.abs(grid - x) < 0.1, profile, 0.0))] for x in expected
    )
    assert (first, second) == pytest.approx(tuple(expected), abs=0.003)  # the grid is 0.002
    near = [profile[np.abs(grid - x) < 0.15].sum() for x in expected]
    # Lorentz-polarisation rises by 0.4 % between the lines
    assert near[0] / near[1] == pytest.approx(2.0, rel=0.01)


def test_one_line_makes_one_peak():
    grid = np.arange(90.0, 100.0, 0.002)
    model = phase_model(SILICON, reflections(SILICON, 0.9), radiation("CuKa1"), (90.0, 100.0))
    state = model.start(size=1e-3, microstrain=1e-3)
    profile = model.columns(grid, state, InstrumentState(gauss=0.05, gauss_tan=0.0)).profile
    assert profile[np.abs(grid - 95.267) < 0.05].max() < 0.01 * profile.max()


def test_the_strongest_peak_has_unit_area():
    model = model_of(SILICON, "CuKa1")
    bare = InstrumentState(spill=0.01)  # the whole beam on the specimen
    strength = model.seen_strength(model.start(), bare)
    assert strength.max() == pytest.approx(1.0, rel=1e-3)  # the edge of the beam is rounded
    profile = model.columns(GRID, model.start(size=0.02, microstrain=0.02), bare).profile
    first = np.abs(GRID - 28.44) < 2.0
    # tails beyond the window of 9 widths: 2 %
    assert profile[first].sum() * 0.01 == pytest.approx(1.0, abs=0.02)


def test_stretch_is_a_longer_d_in_every_reflection():
    model = model_of(CORUNDUM)
    plain = model.positions(model.start(), InstrumentState())
    stretched = model.positions(model.start(), InstrumentState(stretch=0.01))
    ratio = np.sin(np.radians(stretched) / 2) / np.sin(np.radians(plain) / 2)
    assert ratio == pytest.approx(np.full(len(ratio), 0.99))


def test_spill_is_one_at_high_angle_and_falls_as_sine_at_low_angle():
    share, slope = beam_on_specimen(np.array([0.01, 0.9]), 0.1)
    # the rounded corner of order 6 is 1e-6 away from both asymptotes at these ratios
    assert share == pytest.approx([0.1, 1.0], rel=1e-5)
    above, below = (beam_on_specimen(np.array([0.08]), 0.1 + s)[0] for s in (1e-6, -1e-6))
    numeric = (np.log(above) - np.log(below)) / 2e-6
    assert beam_on_specimen(np.array([0.08]), 0.1)[1] == pytest.approx(numeric, rel=1e-6)
    assert slope[1] == pytest.approx(0.0, abs=1e-4)


def test_groups_of_reflections_add_up_to_the_profile():
    model = model_of(CORUNDUM)
    state, instrument = some_state(model), INSTRUMENT
    group = np.arange(len(model.hkl)) % 3
    parts = model.reflection_columns(GRID, state, instrument, group, 3)
    assert parts.sum(axis=1) == pytest.approx(model.columns(GRID, state, instrument).profile)
    left_out = model.reflection_columns(GRID, state, instrument, np.full(len(group), -1), 2)
    assert not left_out.any()


def test_scale_times_weight_is_mass():
    # the same crystal described by a doubled cell must give the same pattern and the same mass
    small = Crystal((2.8665,) * 3 + (90.0,) * 3, "I m -3 m", (Site("Fe", (0, 0, 0)),))
    large = Crystal(
        (5.733,) * 3 + (90.0,) * 3, "F m -3 m",
        (Site("Fe", (0, 0, 0)), Site("Fe", (0.5, 0.5, 0.5)), Site("Fe", (0.25, 0.25, 0.25))),
    )  # fmt: skip
    first, second = model_of(small), model_of(large)
    assert large.density_g_cm3 == pytest.approx(small.density_g_cm3)
    assert second.weight == pytest.approx(first.weight, rel=1e-4)  # single precision


def test_a_range_without_reflections_is_refused():
    with pytest.raises(ValueError, match="no reflection"):
        phase_model(SILICON, reflections(SILICON, 0.9), radiation("CuKa"), (10.0, 20.0))
