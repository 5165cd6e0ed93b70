"""From evidence to probability: logistic models whose few weights were fitted to known mixtures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

SHIPPED = Path(__file__).with_name("confidence.json")


@dataclass(frozen=True)
class Logistic:
    """``1 / (1 + exp(-(bias + weights . (x - mean) / scale)))``."""

    weights: np.ndarray
    bias: float
    mean: np.ndarray
    scale: np.ndarray

    def __call__(self, features: np.ndarray) -> float:
        """Probability for one vector of features."""
        z = self.bias + float(self.weights @ ((features - self.mean) / self.scale))
        return float(1.0 / (1.0 + np.exp(-np.clip(z, -30.0, 30.0))))

    def to_dict(self) -> dict[str, object]:
        """Plain values."""
        return {
            "weights": self.weights.tolist(),
            "bias": self.bias,
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
        }


def logistic_from(content: dict) -> Logistic:
    """A logistic model from its plain values."""
    return Logistic(
        np.array(content["weights"]),
        float(content["bias"]),
        np.array(content["mean"]),
        np.array(content["scale"]),
    )


@dataclass(frozen=True)
class ConfidenceModel:
    """Probability that a phase is present, and that the library lacks one."""

    phase: Logistic
    unknown: Logistic


@lru_cache(maxsize=4)
def load_calibration(path: Path) -> ConfidenceModel:
    """Calibration from a JSON file.

    Raises
    ------
    ValueError
        If the file lacks one of the two models.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    try:
        return ConfidenceModel(logistic_from(content["phase"]), logistic_from(content["unknown"]))
    except KeyError as error:
        raise ValueError(
            f"{path}: no model {error}; make it with benchmarks/calibrate.py"
        ) from None


def default_calibration() -> ConfidenceModel:
    """The calibration that ships with the package."""
    return load_calibration(SHIPPED)


def fit_logistic(
    features: np.ndarray, labels: np.ndarray, signs: np.ndarray, strength: float = 1.0
) -> Logistic:
    """Logistic regression whose weights keep the sign that physics gives them.

    Parameters
    ----------
    features : (n, k)
    labels : (n,) 0 or 1
    signs : (k,) +1, -1 or 0 (free): more support must never lower a probability
    strength : of the quadratic penalty on the weights
    """
    from scipy.optimize import minimize

    mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
    x = (features - mean) / scale

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ parameters[:-1] + parameters[-1]
        value = np.sum(np.logaddexp(0.0, z) - labels * z)
        value += 0.5 * strength * np.sum(parameters[:-1] ** 2)
        slope = 1.0 / (1.0 + np.exp(-z)) - labels
        gradient = np.append(x.T @ slope + strength * parameters[:-1], slope.sum())
        return float(value), gradient

    bounds = [(0, None) if s > 0 else (None, 0) if s < 0 else (None, None) for s in signs]
    start = np.zeros(features.shape[1] + 1)
    best = minimize(loss, start, jac=True, bounds=[*bounds, (None, None)], method="L-BFGS-B")
    return Logistic(best.x[:-1], float(best.x[-1]), mean, scale)
