"""The laws of the house that hold for every encoder in the list: add one, and it is under them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

from xtalfuse.datasets.simulate.ct import ScanSpec, as_measurement, balls, scan
from xtalfuse.datasets.simulate.spectra import eds_spectrum, eels_spectrum
from xtalfuse.encoders import ENCODERS
from xtalfuse.encoders.base import Encoder
from xtalfuse.loaders.record import Axis, Beam, Measurement, Modality, Provenance
from xtalfuse.physics.crystal.ring_pattern import RingScene, ring_image
from xtalfuse.physics.grains.crystal_map import CrystalMap, GridKind, MapPhase
from xtalfuse.physics.units import radiation


def measurement(modality: Modality, values: np.ndarray, name: str, *axes: Axis) -> Measurement:
    provenance = Provenance(name, "00" * 32, "simulation")
    return Measurement(modality, values, axes, "counts", provenance)


def _pattern() -> Measurement:
    angle = np.arange(15.0, 75.0, 0.03)
    mean = 100.0 + sum(5000.0 * np.exp(-0.5 * ((angle - x) / 0.06) ** 2) for x in (30, 44, 61))
    counts = np.random.default_rng(0).poisson(mean).astype(float)
    plain = measurement(Modality.XRD, counts, "p.xy", Axis("two_theta", "deg", angle))
    return replace(plain, beam=Beam("x-ray", radiation("CuKa")))


def _rings() -> Measurement:
    image = ring_image(np.array([45.0, 64.0, 78.0]), np.array([1.0, 0.6, 0.8]), RingScene())
    axes = [Axis(n, "px", np.arange(float(k))) for n, k in zip("yx", image.shape, strict=True)]
    return measurement(Modality.DIFFRACTION, image, "rings.dm3", *axes)


def _map() -> Measurement:
    """Two grains, 20 degrees apart."""
    index = np.indices((1, 12, 20)).reshape(3, -1).T
    half = np.radians(20.0 * (index[:, 2] >= 10)) / 2.0
    turned = np.stack([np.cos(half), 0 * half, 0 * half, np.sin(half)], axis=1)
    nickel = MapPhase("nickel", "m-3m")
    points = CrystalMap(
        turned, np.zeros(240, int), index, (nickel,), GridKind.SQUARE, (1.0, 1.0, 0.0)
    )
    axes = (Axis("point", "", np.arange(240.0)), Axis("component", "", np.arange(4.0)))
    return replace(measurement(Modality.EBSD, turned, "map.ang", *axes), crystal_map=points)


# For each modality a record that has something to say.
SPEAKING: dict[Modality, Callable[[], Measurement]] = {
    Modality.XRD: _pattern,
    Modality.EELS: lambda: eels_spectrum({"Mn": 1.0}, 620.0, 690.0),
    Modality.EDS: lambda: eds_spectrum({"Fe": 50_000, "O": 40_000}),
    Modality.DIFFRACTION: _rings,
    Modality.EBSD: _map,
    Modality.CT: lambda: as_measurement(
        scan((balls(0, 0, (32, 32, 32))[0] >= 0).astype(int), ScanSpec(grey=(60.0, 180.0)))
    ),
}
CASES = [(name, modality) for name in ENCODERS for modality in sorted(ENCODERS[name].modalities)]
every_encoder = pytest.mark.parametrize(("name", "modality"), CASES)


def flat(value: Any) -> list[Any]:
    """Everything that an encoder says, to any depth, as comparable plain values."""
    if is_dataclass(value):
        return [x for f in fields(value) for x in flat(getattr(value, f.name))]
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.shape, value.tobytes()]
    if isinstance(value, dict):
        return [x for pair in value.items() for part in pair for x in flat(part)]
    if isinstance(value, (tuple, list)):
        return [x for part in value for x in flat(part)]
    return [repr(value)]


def emptied(given: Measurement) -> Measurement:
    last = replace(given.axes[-1], values=given.axes[-1].values[:0])
    return replace(given, values=given.values[..., :0], axes=(*given.axes[:-1], last))


def without_numbers(given: Measurement) -> Measurement:
    points = given.crystal_map
    if points is not None:
        points = replace(points, phase=np.full_like(points.phase, -1))
    return replace(given, values=np.full(given.values.shape, np.nan), crystal_map=points)


def unpointed(given: Measurement) -> Measurement:
    """What a map is when it is empty; other records as `emptied`."""
    return emptied(given) if given.crystal_map is None else without_numbers(given)


def test_every_modality_that_an_encoder_reads_has_its_record():
    assert {modality for _, modality in CASES} == set(SPEAKING)


@every_encoder
def test_law_4_another_modality_is_refused(name, modality):
    other = next(m for m in Modality if m not in ENCODERS[name].modalities)
    given = replace(SPEAKING[modality](), modality=other)
    with pytest.raises(ValueError, match=rf"^{given.provenance.path}: {other}.*{name}.*reads"):
        ENCODERS[name].encode(given)


@every_encoder
def test_law_7_the_same_bits_twice_and_the_measurement_unchanged(name, modality):
    given = SPEAKING[modality]()
    given.values.setflags(write=False)
    kept = given.values.copy()
    first = flat(ENCODERS[name].encode(given))
    assert first == flat(ENCODERS[name].encode(given))
    assert np.array_equal(given.values, kept)


@every_encoder
@pytest.mark.parametrize("damage", [unpointed, without_numbers])
def test_law_8_an_array_without_a_number_is_refused(name, modality, damage):
    given = damage(SPEAKING[modality]())
    with pytest.raises(ValueError, match=rf"^{given.provenance.path}: ."):
        ENCODERS[name].encode(given)


# What a record says whatever the unit of its intensity. X-ray spectra are left out: their
# statistics rest on counts.
SAYS: dict[Modality, Callable[[Any], Any]] = {
    Modality.XRD: lambda signal: signal.peaks.two_theta_deg[signal.peaks.significance > 20.0],
    Modality.EELS: lambda evidence: sorted(evidence.present()),
    Modality.DIFFRACTION: lambda profile: profile.ratios,
    Modality.CT: lambda found: found.label_phase,
}


@pytest.mark.parametrize(("name", "modality"), [case for case in CASES if case[1] in SAYS])
@pytest.mark.parametrize("scale", [1e-3, 64.0])
def test_law_4_the_unit_of_the_intensity_does_not_matter(name, modality, scale):
    given = SPEAKING[modality]()
    other = replace(given, values=given.values * scale, value_unit="arbitrary")
    first, second = (SAYS[modality](ENCODERS[name].encode(each)) for each in (given, other))
    assert len(first)
    if modality is Modality.EELS:
        assert first == second
    else:  # noise is measured anew: a tenth of a step, a thousandth of a radius
        assert second == pytest.approx(first, rel=1e-3, abs=3e-3)


def test_the_laws_are_not_vacuous():
    """Encoders that break each law are caught by what the suite looks at."""
    given = SPEAKING[Modality.XRD]()
    random = np.random.default_rng()
    assert flat(random.normal(size=3)) != flat(random.normal(size=3))
    given.values.setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        given.values[...] = 0.0
    careless = Encoder[Any]("careless", "", frozenset({Modality.XRD}), "numpy:asarray")
    assert careless.encode(without_numbers(given)) is not None  # passes as data: law 8 fails


def test_the_list_imports_no_network_and_no_spectroscopy():
    heavy = "{'torch', 'exspy', 'hyperspy', 'scipy', 'matplotlib'}"
    code = (
        f"import sys, xtalfuse.encoders as e; list(e.ENCODERS); print({heavy} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
