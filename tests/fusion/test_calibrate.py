"""Logistic confidence: signs that physics gives, and probabilities that hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xtalfuse.fusion.calibrate import (
    default_calibration,
    fit_logistic,
    load_calibration,
    logistic_from,
)
from xtalfuse.tasks.identify.powder.support import FEATURES, PhaseEvidence

GOOD = PhaseEvidence(
    gain=5000.0, margin=2000.0, strain=0.3, support=1.0, lines=20, broadening=0.2, height=0.8,
    candidates=500, unexplained=0.01, misfit=1.2,
)  # fmt: skip


def draw(n: int = 4000, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels, and the probabilities that the labels were drawn from."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)) * [1.0, 5.0] + [0.0, 20.0]
    p = 1.0 / (1.0 + np.exp(-(1.5 * x[:, 0] - 0.2 * (x[:, 1] - 20.0))))
    return x, (rng.random(n) < p).astype(float), p


def test_the_fit_recovers_the_probabilities_that_made_the_data():
    x, labels, true = draw()
    model = fit_logistic(x, labels, np.array([1, -1]))
    found = np.array([model(row) for row in x[:500]])
    # weights of 4000 draws have an su of 0.05, probabilities of 0.01; the penalty adds less
    assert np.abs(found - true[:500]).max() < 0.04


def test_of_those_called_probable_as_many_are_right():
    x, labels, _ = draw()
    model = fit_logistic(x[:2000], labels[:2000], np.array([1, -1]))
    found = np.array([model(row) for row in x[2000:]])
    for low, high in ((0.0, 0.2), (0.4, 0.6), (0.8, 1.0)):
        inside = (found >= low) & (found < high)
        # some 300 in a bin: su of a share is 0.03
        assert labels[2000:][inside].mean() == pytest.approx(found[inside].mean(), abs=0.09)


@pytest.mark.parametrize("signs", [(1, 1), (-1, -1), (-1, 1)])
def test_a_weight_never_takes_the_wrong_sign(signs):
    x, labels, _ = draw()
    weights = fit_logistic(x, labels, np.array(signs)).weights
    assert np.all(weights * np.array(signs) >= 0.0)


def test_a_constant_feature_does_no_harm():
    x, labels, _ = draw(500)
    x = np.column_stack([x, np.full(500, 3.0)])
    model = fit_logistic(x, labels, np.array([1, -1, 0]))
    assert np.isfinite(model(x[0]))


def test_a_model_survives_being_written(tmp_path: Path):
    x, labels, _ = draw(500)
    model = fit_logistic(x, labels, np.array([1, -1]))
    again = logistic_from(json.loads(json.dumps(model.to_dict())))
    assert again(x[0]) == model(x[0])
    path = tmp_path / "confidence.json"
    path.write_text(json.dumps({"phase": model.to_dict(), "unknown": model.to_dict()}))
    assert load_calibration(path).unknown(x[1]) == model(x[1])


def test_half_a_calibration_is_refused_with_a_remedy(tmp_path: Path):
    path = tmp_path / "half.json"
    x, labels, _ = draw(100)
    path.write_text(json.dumps({"phase": fit_logistic(x, labels, np.zeros(2)).to_dict()}))
    with pytest.raises(ValueError, match=r"no model 'unknown'; make it with benchmarks"):
        load_calibration(path)


def test_the_shipped_calibration_fits_the_features():
    calibration = default_calibration()
    assert len(calibration.phase.weights) == len(FEATURES) == len(GOOD.features())
    assert len(calibration.unknown.weights) == 6
    assert 0.5 < calibration.phase(GOOD.features()) < 1.0


BETTER_AND_WORSE = {
    "margin": (1e4, 1.0), "strain": (0.0, 5.0), "support": (1.0, 0.1), "lines": (30, 1),
    "candidates": (10, 5000), "gain": (1e5, 10.0), "unexplained": (1e-3, 0.5),
}  # fmt: skip


@pytest.mark.parametrize("name", BETTER_AND_WORSE)
def test_better_evidence_raises_the_shipped_confidence(name):
    better, worse = BETTER_AND_WORSE[name]
    confidence = default_calibration().phase
    high = confidence(replace(GOOD, **{name: better}).features())
    low = confidence(replace(GOOD, **{name: worse}).features())
    assert high > low


def test_all_evidence_that_is_weighed_was_tried():
    weights = dict(zip(FEATURES, default_calibration().phase.weights, strict=True))
    assert {name for name, weight in weights.items() if weight} == set(BETTER_AND_WORSE)


def test_more_that_is_unexplained_raises_the_shipped_unknown():
    unknown = default_calibration().unknown
    # height and number of unexplained peaks, unexplained area, misfit, doubtful phases, least
    # probable accepted phase
    quiet = np.array([-3.0, 0.0, -4.0, 0.0, -3.0, 1.0])
    for index, worse in enumerate([-0.5, 3.0, -0.5, 3.0, -0.3, 0.5]):
        loud = quiet.copy()
        loud[index] = worse
        assert unknown(loud) > unknown(quiet)


def test_extreme_features_stay_probabilities():
    phase = default_calibration().phase
    for value in (-1e9, 1e9):
        assert 0.0 <= phase(np.full(len(FEATURES), value)) <= 1.0
