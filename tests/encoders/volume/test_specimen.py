"""What lies outside a specimen is no pore, and pores at its faces are not outside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from xtalfuse.datasets.simulate.ct import as_measurement
from xtalfuse.encoders.volume.segment import segment_volume
from xtalfuse.encoders.volume.specimen import convex_hull, field_of_view, in_air, largest_box
from xtalfuse.loaders.record import Measurement

N = 40
Z, Y, X = np.indices((N, N, N)) - (N - 1) / 2


def porous(share: float, seed: int = 0, width: float = 1.5) -> np.ndarray:
    """Solid with a share of pores."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(N, N, N)), width, mode="wrap")
    return noise > np.quantile(noise, share)


def grey(solid: np.ndarray, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1000, solid.shape)
    return np.clip(np.where(solid, 30000, 8000) + noise, 1, None).astype(np.uint16)


def volume(values: np.ndarray) -> Measurement:
    """As a reader gives it: whole numbers of 32 bits are labels here."""
    made = as_measurement(values.transpose(2, 1, 0), 1.0)
    return replace(made, value_unit="label") if values.dtype == np.int32 else made


BODIES = {
    "cylinder along z": np.hypot(Y, X) < 14,
    "tilted cylinder": np.hypot(Y, X - 0.4 * Z) < 11,
    "ball": Z**2 + Y**2 + X**2 < 17**2,
    "box": (np.abs(Z) < 15) & (np.abs(Y) < 12) & (np.abs(X) < 16),
    "cut cylinder": (np.hypot(Y, X) < 17) & (Z < 9),
    "half of the volume": X < 0.5,
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("share", [0.0, 0.15, 0.5])
def test_air_around_a_specimen_is_found(body: str, share: float) -> None:
    solid = porous(share) & BODIES[body]
    found = in_air(solid)
    assert found is not None
    inside = BODIES[body]
    assert (found & ~inside).sum() == 0  # the hull of what is inside is inside
    assert found.sum() > (0.9 if share else 0.99) * inside.sum()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("width", [1.0, 2.5, 4.0])
def test_a_foam_that_fills_the_volume_is_whole(share: float, width: float) -> None:
    assert all(in_air(porous(share, seed, width)) is None for seed in range(3))


@pytest.mark.parametrize("outside", [0, 777])
def test_beyond_the_field_of_view_is_one_value(outside: int) -> None:
    field = np.hypot(Y, X) < 19.5
    values = np.where(field, grey(porous(0.15)), outside).astype(np.uint16)
    found = field_of_view(values)
    assert found is not None
    assert np.array_equal(found, convex_hull(field))
    assert field_of_view(grey(porous(0.15))) is None
    clipped = np.where(porous(0.5), 200, 0).astype(np.uint8)  # pores are 0, at corners too
    assert field_of_view(clipped) is None


@pytest.mark.parametrize("kind", ["air", "field", "both"])
def test_porosity_is_that_of_the_specimen(kind: str) -> None:
    body, field = np.hypot(Y, X) < 13, np.hypot(Y, X) < 19.5
    solid = porous(0.15, 3, 3.0) & (body if kind != "field" else field)
    values = grey(solid)
    if kind != "air":
        values = np.where(field, values, 0).astype(np.uint16)
    specimen = field if kind == "field" else body
    truth = 1.0 - solid[specimen].mean()
    found = segment_volume(volume(values))
    assert [phase.name for phase in found.phases] == ["pore", "phase 1"]
    assert found.fractions[0] == pytest.approx(truth, abs=0.02)
    assert found.porosity().total == pytest.approx(found.fractions[0])
    assert 0.0 < found.porosity().open <= found.porosity().total
    assert found.inside is not None
    assert found.inside[tuple(np.argwhere(found.labels >= 0).T)].all()
    masked = segment_volume(volume(values), specimen=specimen)
    assert masked.fractions[0] == pytest.approx(truth, abs=0.02)
    whole = segment_volume(volume(values), specimen="whole", phases=2)
    assert whole.inside is None
    assert found.specific_surface(0) == pytest.approx(masked.specific_surface(0), rel=0.1)


@pytest.mark.parametrize("specimen", ["half", np.ones((2, 2, 2)), np.zeros((N, N, N))])
def test_a_specimen_that_is_none_is_refused(specimen: object) -> None:
    with pytest.raises(ValueError, match="specimen"):
        segment_volume(volume(grey(porous(0.1))), specimen=specimen)  # type: ignore[arg-type]


def test_the_largest_box_of_a_cylinder() -> None:
    box = largest_box(np.hypot(Y, X) < 15)
    sides = [part.stop - part.start for part in box]
    assert sides[0] == N
    assert sides[1] * sides[2] >= 0.9 * 2 * 15**2  # the square in the circle


@pytest.mark.parametrize("around", [0, 1])
def test_ids_of_grains_are_no_phases(around: int) -> None:
    ids = 1 - around + np.kron(np.arange(8).reshape(2, 2, 2), np.ones((8, 8, 8), int))
    found = segment_volume(volume(ids.astype(np.int32)))
    assert len(found) == 8
    assert len(found.pore_phases) == around
    assert len(found.phases) == 1 + around


def test_few_labels_are_grains_where_each_is_one_body() -> None:
    quarters = 1 + np.kron(np.arange(4).reshape(1, 2, 2), np.ones((16, 8, 8), int))
    found = segment_volume(volume(quarters.astype(np.int32)))
    assert (len(found.phases), len(found)) == (1, 4)
    assert "numbers of 4 grains" in found.notes[0]
    told = segment_volume(volume(quarters.astype(np.int32)), phases=4)
    assert len(told.phases) == 4
    scattered = np.random.default_rng(0).integers(1, 4, (16, 16, 16)).astype(np.int32)
    found = segment_volume(volume(scattered))
    assert len(found.phases) == 3
    assert not found.pore_phases  # nothing says that the lowest label is empty
