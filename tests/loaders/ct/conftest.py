"""One small volume of grey values, and what it means to have read it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from xtalfuse.loaders.record import Calibration, Measurement, Modality

SHAPE = (12, 20, 30)  # z, y, x: no two alike, so that a transposition shows


@pytest.fixture(scope="module")
def grey() -> np.ndarray:
    return np.random.default_rng(0).integers(10, 4000, SHAPE).astype(np.uint16)


def _same(measurement: Measurement, values: np.ndarray, step: tuple | None = None) -> None:
    """The volume is these values on axes z, y, x of this step (um), or of pixels."""
    assert measurement.modality is Modality.CT
    np.testing.assert_array_equal(measurement.values, values)
    assert [a.name for a in measurement.axes] == ["z", "y", "x"]
    assert {a.unit for a in measurement.axes} == {"px" if step is None else "um"}
    for axis, length, size in zip(measurement.axes, values.shape, step or (1, 1, 1), strict=True):
        assert len(axis.values) == length
        np.testing.assert_allclose(np.diff(axis.values), size, rtol=1e-5)
    unknown = measurement.calibration is Calibration.UNKNOWN
    assert unknown is (step is None)


@pytest.fixture
def same() -> Callable[..., None]:
    """Asserts that a volume is these values on axes of this step."""
    return _same
