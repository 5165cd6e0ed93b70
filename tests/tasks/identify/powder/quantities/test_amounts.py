"""Weight fractions as reported: microabsorption, what is uncertain, amorphous parts, limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xtalfuse.loaders.record import Record
from xtalfuse.physics.crystal.absorption import contrasts, microabsorption
from xtalfuse.tasks.identify.answer import Cell, PhaseAnswer
from xtalfuse.tasks.identify.pipeline import identify
from xtalfuse.tasks.identify.powder.fitting.state import PatternFit
from xtalfuse.tasks.identify.powder.measures import weight_fractions
from xtalfuse.tasks.identify.powder.phase import finish
from xtalfuse.tasks.identify.powder.quantities.amounts import STRUCTURE, Parts, amounts
from xtalfuse.tasks.identify.powder.quantities.asked import amorphous, parse_standard

NONE = Cell(None, None, None, None, None, None)


def phase(name: str, fraction: float, su: float = 0.0) -> PhaseAnswer:
    return PhaseAnswer(name, name, 1, name.lower(), (), fraction, su, NONE, NONE, 1.0, {})


def test_microabsorption_is_taken_off():
    """What Brindley's factor takes from a mixture, the correction gives back."""
    true, mu, density = np.array([0.6, 0.3, 0.1]), np.array([126.0, 1890.0, 300.0]), np.ones(3)
    seen = true * np.exp(-1.45 * contrasts(true, mu, density, 2.0) / 2.0)
    seen /= seen.sum()
    assert seen[1] < 0.28
    np.testing.assert_allclose(microabsorption(seen, mu, density, 2.0), true, atol=1e-5)
    np.testing.assert_allclose(microabsorption(true, mu[:1].repeat(3), density, 2.0), true)


@pytest.fixture(scope="module")
def fitted(powder, fitting):
    fitter, phases = fitting(powder({"corundum": 0.5, "zincite": 0.5}), "corundum", "zincite")
    return fitter.fit(phases, iterations=6)


def test_uncertainties_of_fractions_have_their_parts(fitted: PatternFit):
    crystals = [p.model.crystal for p in fitted.phases]
    apparent, su = weight_fractions(fitted), np.full(2, 0.001)
    fractions, parts = amounts(apparent, su, fitted, crystals)
    assert fractions.sum() == pytest.approx(1.0)
    shift = abs(fractions[0] - apparent[0])
    assert 0.002 < shift < 0.02  # zincite absorbs twice as much
    # two phases of equal share: the relative errors of both make a quarter of the root of two
    structure = 0.25 * np.sqrt(2.0) * STRUCTURE
    assert parts[0] == pytest.approx(Parts(0.001, float(np.hypot(structure, shift))), rel=0.02)
    # what another model of the same pattern says makes it less certain, never more
    _, doubted = amounts(apparent, su, fitted, crystals, np.array([0.6, 0.4]))
    assert doubted[0].model > 2.0 * parts[0].model
    assert parts[0].total > parts[0].model > parts[0].fit


def test_grains_make_fractions_less_certain(powder, fitting):
    grainy = powder({"corundum": 0.5, "zincite": 0.5}, adjust={"corundum": (3, 4.0)})
    fitter, phases = fitting(grainy, "corundum", "zincite")
    fit = finish(fitter.signal, fitter.fit(phases, iterations=6))[1]
    crystals = [p.model.crystal for p in fit.phases]
    bare = replace(
        fit,
        phases=tuple(replace(p, state=replace(p.state, adjust=None)) for p in fit.phases),
    )
    su = np.zeros(2)
    sure, unsure = (amounts(np.full(2, 0.5), su, f, crystals)[1][0].model for f in (bare, fit))
    assert unsure > 1.2 * sure


@pytest.mark.parametrize("glass", [0.0, 0.1, 0.4, 0.9])
def test_an_internal_standard_tells_the_amorphous_part(glass: float):
    seen = np.array([0.2, 0.8 * (1.0 - glass) * 0.75, 0.8 * (1.0 - glass) * 0.25])
    shares = seen / seen.sum()
    phases = [phase(n, f, 0.01 * f) for n, f in zip(("Corundum", "A", "B"), shares, strict=True)]
    said = amorphous(phases, "corundum", 0.2)
    assert said.fraction == pytest.approx(glass)
    assert said.weight_fractions == pytest.approx(
        {"a": 0.75 * (1 - glass), "b": 0.25 * (1 - glass)}
    )
    # 1 % of the standard is 1 % of everything that is not amorphous, and of the standard itself
    assert said.fraction_su == pytest.approx(0.01 * (0.2 / shares[0]) / 0.8)


@pytest.mark.parametrize("text", ["corundum", "corundum=0", "=20", "corundum=120", "corundum=x"])
def test_a_standard_must_be_a_name_with_its_share(text: str):
    with pytest.raises(ValueError, match="write corundum=20"):
        parse_standard(text)


def test_a_standard_that_is_not_seen_is_said():
    with pytest.raises(ValueError, match="not among the phases that are seen \\(A\\)"):
        amorphous([phase("A", 1.0)], "corundum", 0.2)


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_a_phase_that_is_asked_for_has_a_fraction_or_a_limit(powder, references, share: float):
    truth = {"corundum": 0.9 - share, "fluorite": 0.1, "zincite": share}
    pattern = powder({k: v for k, v in truth.items() if v})
    answer = identify(
        Record("r", "r", (pattern,)),
        references,
        elements="Al,Ca,F,O,Zn",
        refine=False,
        is_there="zincite",
        standard="fluorite=10",
    )
    asked = answer.asked
    assert asked is not None
    assert answer.amorphous is not None
    assert asked.found == (share > 0.0)
    assert share < asked.upper_limit < share + 0.05
    assert abs(asked.weight_fraction - share) < 3.0 * max(asked.weight_fraction_su, 1e-3)
    assert abs(answer.amorphous.fraction) < 3.0 * answer.amorphous.fraction_su
    assert any(text.startswith("zincite: ") for text in answer.warnings)
