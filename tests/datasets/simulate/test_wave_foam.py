"""Synthetic foams: a function of seed and index, with the metal and the waves they shall have."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.datasets.simulate.wave_foam import WaveFoamSpec, wave_foam, wave_vectors

SPEC = WaveFoamSpec(size=32)


def test_volume_depends_on_seed_and_index_alone() -> None:
    first = wave_foam(3, 7, SPEC)
    wave_foam(3, 8, SPEC)
    assert np.array_equal(first, wave_foam(3, 7, SPEC))
    assert not np.array_equal(first, wave_foam(4, 7, SPEC))


def test_wave_vectors_have_one_length_and_no_opposite() -> None:
    vectors = wave_vectors(9)
    assert len(vectors) == 15
    assert (np.square(vectors).sum(axis=1) == 9).all()
    assert len(np.unique(np.concatenate([vectors, -vectors]), axis=0)) == 30
    with pytest.raises(ValueError, match="no wave fits"):
        wave_vectors(7)


def test_metal_is_as_much_as_asked_and_waves_as_long() -> None:
    volumes = [wave_foam(0, index, SPEC) for index in range(6)]
    for volume in volumes:
        assert 0.2 < volume.mean() < 0.42  # islands are left out, so it may be less than 0.28
    power = np.mean([np.abs(np.fft.fftn(v - v.mean())) ** 2 for v in volumes], axis=0)
    k = np.fft.fftfreq(32, d=1 / 32)
    squared = k[:, None, None] ** 2 + k[:, None] ** 2 + k**2
    assert power[squared == 9].sum() > 0.5 * power.sum()


def test_metal_hangs_together() -> None:
    import cc3d

    bodies = cc3d.connected_components(
        wave_foam(1, 1, SPEC), connectivity=6, periodic_boundary=True
    )
    assert bodies.max() == 1
