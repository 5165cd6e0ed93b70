"""Groups are given to parts whole, as shares and strata ask."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.datasets.splits.partition import joined, partition

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
KEYS = [f"g{k % 40}" for k in range(200)]


def test_no_group_is_cut_and_each_part_gets_its_share():
    for seed in range(20):
        parts = partition(KEYS, SHARES, seed)
        assert len({(key, part) for key, part in zip(KEYS, parts, strict=True)}) == 40
        counts = np.bincount(parts, minlength=3) / 200
        np.testing.assert_allclose(
            counts, [0.7, 0.1, 0.2], atol=0.5 * 5 / 200 + 1e-9
        )  # half a group


def test_the_order_of_the_members_changes_nothing():
    shuffled = np.random.default_rng(1).permutation(200)
    parts = partition(KEYS, SHARES, 3)
    again = partition([KEYS[k] for k in shuffled], SHARES, 3)
    np.testing.assert_array_equal(parts[shuffled], again)
    assert (parts != partition(KEYS, SHARES, 4)).any()


@pytest.mark.parametrize("rare", [0.1, 0.5])
def test_every_part_gets_its_share_of_every_class(rare: float):
    keys = [f"{k:03d}" for k in range(300)]
    strata = list((np.arange(300) < 300 * rare).astype(int))
    for seed in range(5):
        parts = partition(keys, SHARES, seed, strata=strata)
        for part, share in enumerate(SHARES.values()):
            inside = np.array(strata)[parts == part]
            assert abs(inside.sum() - share * 300 * rare) <= 1.0
            assert abs(len(inside) - share * 300) <= 1.0
    assert (parts != partition(keys, SHARES, 0, strata=strata)).any()


def test_too_few_groups_are_told():
    with pytest.raises(ValueError, match="too few for a part 'test'"):
        partition(["a", "b"], SHARES)
    with pytest.raises(ValueError, match="add up to 1"):
        partition(["a", "b"], {"x": 0.5, "y": 0.4})


def test_what_shares_anything_is_joined_through_others():
    numbers = joined(["a", "a", "b", "c", "", ""], ["", "x", "x", "", "y", ""])
    assert len({*numbers[:3]}) == 1
    assert len({*numbers}) == 4
