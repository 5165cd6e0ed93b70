"""Intervals that hold what they promise, for each set of records that a specimen may have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Conformal:
    """Largest score that is still inside, by presence pattern.

    Parameters
    ----------
    coverage : share of the truths that is inside
    whole : of all records together
    patterns : of the patterns with enough records for one of their own

    References
    ----------
    Vovk, V. et al. (2005). Algorithmic Learning in a Random World, ch. 4 (Mondrian predictors).
    """

    coverage: float
    whole: float
    patterns: Mapping[str, float]

    def __call__(self, pattern: str) -> float:
        """The score for a pattern; one that was too rare has that of all records."""
        return self.patterns.get(pattern, self.whole)


def conformal(scores: np.ndarray, patterns: Sequence[str], coverage: float) -> Conformal:
    """From scores of records that the models did not learn from.

    The level is that of one record more, so that the promise holds for few records; a pattern has
    a level of its own where its records allow a finite one.

    Parameters
    ----------
    scores : (n,) of error; NaN where there is no label
    patterns : (n) of the same records
    coverage : wanted share

    Raises
    ------
    ValueError
        If there are too few records for the wanted share.
    """
    known = np.isfinite(scores)
    names = np.array(patterns, object)
    whole = _level(scores[known], coverage)
    if not math.isfinite(whole):
        need = math.ceil(round(coverage / (1.0 - coverage), 9))
        raise ValueError(
            f"{int(known.sum())} records with a label; intervals that cover {coverage:.0%} need "
            f"{need}: add records or ask for less coverage"
        )
    own = {str(p): _level(scores[known & (names == p)], coverage) for p in sorted(set(patterns))}
    return Conformal(coverage, whole, {p: q for p, q in own.items() if math.isfinite(q)})


def _level(scores: np.ndarray, coverage: float) -> float:
    place = math.ceil(round((len(scores) + 1) * coverage, 9))
    return float(np.sort(scores)[place - 1]) if 0 < place <= len(scores) else math.inf


def difference(
    first: np.ndarray, second: np.ndarray, groups: Sequence[str], draws: int = 2000
) -> tuple[float, float, float]:
    """(mean, low, high) of first - second: 95 % interval by drawing whole groups, seed 0.

    Parameters
    ----------
    first, second : (n,) errors of the same records
    groups : (n) that stay together

    References
    ----------
    Efron, B. & Tibshirani, R. (1993). An Introduction to the Bootstrap, ch. 13 (percentiles).
    """
    _, number = np.unique(np.array(groups, str), return_inverse=True)
    count = np.bincount(number)
    total = np.bincount(number, np.asarray(first, float) - np.asarray(second, float))
    drawn = np.random.default_rng(0).integers(len(count), size=(draws, len(count)))
    means = total[drawn].sum(axis=1) / count[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(total.sum() / count.sum()), float(low), float(high)
