"""How far a specimen is from everything that a model was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

NEAREST = 5
REFERENCES = 4000  # training records that are compared with; chosen by chance where there are more
BEYOND = 0.99  # of the training records are nearer to those of other groups
FLOOR = 0.25  # of the largest deviation of an input: what hardly varies does not count for more


@dataclass(frozen=True)
class Distance:
    """Per input, what distances are measured in.

    Parameters
    ----------
    scale : input -> unit of each number of its summary
    far : input -> distance beyond which few training records are from all other groups
    """

    scale: Mapping[str, Sequence[float]]
    far: Mapping[str, float]

    def of(
        self, features: np.ndarray, asked: np.ndarray, inputs: Mapping[str, tuple[int, int]]
    ) -> np.ndarray:
        """(m,) distance over `far`, of the input that is farthest; above 1 is unlike training.

        A specimen without any input has no distance: NaN.

        Parameters
        ----------
        features, asked : (n, P) of the training records and (m, P); NaN where an input is absent
        """
        found = np.full(len(asked), np.nan)
        for name, columns in slices(inputs).items():
            there = np.isfinite(asked[:, columns]).all(axis=1)
            if name in self.far and there.any():
                scale = np.asarray(self.scale[name])
                near = _nearest(features[:, columns] / scale, asked[there][:, columns] / scale)
                found[there] = np.fmax(found[there], near / self.far[name])
        return found


def slices(inputs: Mapping[str, tuple[int, int]]) -> dict[str, slice]:
    """Input -> its columns in a matrix of summaries."""
    ends = list(accumulate(summary for _, summary in inputs.values()))
    return {
        name: slice(end - summary, end)
        for (name, (_, summary)), end in zip(inputs.items(), ends, strict=True)
    }


def measured(
    features: np.ndarray, groups: Sequence[str], inputs: Mapping[str, tuple[int, int]]
) -> Distance:
    """From the distances of training records to those of other groups."""
    names = np.array(groups, str)
    scales, far = {}, {}
    for name, columns in slices(inputs).items():
        there = np.isfinite(features[:, columns]).all(axis=1)
        part = features[there][:, columns]
        if len(set(names[there])) < 2:
            continue
        spread = part.std(axis=0)
        scale = np.maximum(spread, FLOOR * max(float(spread.max()), 1e-6))
        near = _nearest(part / scale, part / scale, names[there], names[there])
        scales[name] = [float(s) for s in scale]
        far[name] = max(float(np.quantile(near, BEYOND)), 1e-6)
    return Distance(scales, far)


def _nearest(
    features: np.ndarray, asked: np.ndarray, of: np.ndarray | None = None,
    asked_of: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """(m,) mean distance to the nearest records, those of the same group left out."""
    from scipy.spatial.distance import cdist

    there = np.isfinite(features).all(axis=1)
    chosen = np.flatnonzero(there)
    if len(chosen) > REFERENCES:
        chosen = np.sort(np.random.default_rng(0).choice(chosen, REFERENCES, replace=False))
    found = []
    for start in range(0, len(asked), 512):
        apart = cdist(asked[start : start + 512], features[chosen])
        if of is not None and asked_of is not None:
            apart[asked_of[start : start + 512, None] == of[chosen]] = np.inf
        closest = np.sort(apart, axis=1)[:, :NEAREST]
        counted = np.isfinite(closest)
        sums = np.where(counted, closest, 0.0).sum(axis=1)
        found.append(sums / np.maximum(counted.sum(axis=1), 1))
    return np.concatenate(found)
