"""A record comes back from arrays and JSON as it was, whatever its instrument."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from xtalfuse.datasets.records.codec import pack_record, unpack_record
from xtalfuse.loaders.record import (
    Axis,
    Beam,
    Calibration,
    FileReport,
    Instrument,
    Measurement,
    Modality,
    Provenance,
    Reason,
    Record,
)
from xtalfuse.physics.grains.crystal_map import CrystalMap, GridKind, MapPhase
from xtalfuse.physics.units import radiation

SOURCE = Provenance("a.xy", "ab" * 32, "rietx", {"title": "array:x", "n": [1, {"k": None}]}, ("w",))


def pattern() -> Measurement:
    axis = Axis("two_theta", "deg", np.linspace(20.0, 30.0, 50))
    return Measurement(
        Modality.XRD, np.arange(50.0), (axis,), "counts", SOURCE, Beam("x-ray", radiation("CuKa")),
        sigma=np.ones(50), instrument=Instrument("Graphite", True), sampled="bulk",
    )  # fmt: skip


def orientation_map() -> Measurement:
    index = np.argwhere(np.ones((1, 3, 4), bool))
    turned = np.tile([1.0, 0.0, 0.0, 0.0], (12, 1))
    points = CrystalMap(
        turned, np.arange(12) % 2 - 1, index,
        (MapPhase("Ni", "m-3m", (3.5, 3.5, 3.5, 90.0, 90.0, 90.0)), MapPhase("", None, pore=True)),
        GridKind.HEXAGONAL, (0.5, 0.4, 0.0), {"Band Contrast / a.u.": np.arange(12.0)},
    )  # fmt: skip
    axes = (Axis("point", "", np.arange(12.0), Calibration.ASSUMED), Axis("c", "", np.arange(4.0)))
    return Measurement(Modality.EBSD, turned, axes, "", SOURCE, crystal_map=points)


def volume() -> Measurement:
    axes = tuple(Axis(n, "um", np.arange(3.0)) for n in "zyx")
    labels = np.arange(27, dtype=np.uint16).reshape(3, 3, 3)
    return Measurement(Modality.CT, labels, axes, "label", SOURCE)


def same(found: object, given: object) -> None:
    assert type(found) is type(given)
    if isinstance(given, np.ndarray):
        assert found.dtype == given.dtype
        np.testing.assert_array_equal(found, given)
    elif is_dataclass(given):
        for field in fields(given):
            same(getattr(found, field.name), getattr(given, field.name))
    elif isinstance(given, (tuple, list)):
        assert len(found) == len(given)
        for one, other in zip(found, given, strict=True):
            same(one, other)
    elif isinstance(given, dict):
        assert list(found) == list(given)
        for key in given:
            same(found[key], given[key])
    else:
        assert found == given


@pytest.mark.parametrize("make", [pattern, orientation_map, volume])
def test_a_record_comes_back(make):
    files = (FileReport("a.xy", None, None, None, False, "why", Reason.DAMAGED),)
    given = Record("s", "g", (make(), make()), files, ("Al", "O"), notes="n")
    content, arrays = pack_record(given, "0000")
    assert not [name for name in arrays if "/" in name]
    same(unpack_record(json.loads(json.dumps(content)), arrays), given)
