"""Elements from spectra: promises on simulated spectra, and on real ones where they are."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.datasets.simulate.spectra import eds_spectrum, eels_spectrum
from xtalfuse.encoders.spectrum.eels_templates import prior_probability
from xtalfuse.encoders.spectrum.elements import (
    element_evidence,
    summed_spectrum,
)
from xtalfuse.loaders.record import Axis, Beam, Measurement, Modality, Provenance


def measurement(energy, values, modality=Modality.EELS, unit="eV", axes=None):
    axes = axes or (Axis("energy", unit, energy),)
    provenance = Provenance("simulated.msa", "", "simulated")
    beam = Beam("electron", energy_kev=200.0)
    return Measurement(modality, values, axes, "counts", provenance, beam)


def eels(atoms: dict[str, float], low: float, high: float, offset: float = 0.0) -> Measurement:
    made = eels_spectrum(atoms, low, high, seed=7)
    return measurement(made.axis("energy") + offset, made.values)


def eds(counts: dict[str, float], offset: float = 0.0) -> Measurement:
    made = eds_spectrum(counts)
    return measurement(made.axis("energy") + offset, made.values, Modality.EDS)


@pytest.mark.parametrize("offset", [-10.0, 0.0, 10.0])
def test_elements_and_offset_are_found_together(offset):
    evidence = element_evidence(eels({"Ti": 1.0, "O": 3.0}, 400.0, 640.0, offset))
    assert evidence.present() == {"Ti", "O"}
    # Chemical shifts of some 2 eV cannot be told from an offset of the axis.
    assert evidence.offset_ev == pytest.approx(offset, abs=3.0)
    assert evidence.offset_su_ev > 0.5


def test_a_narrow_window_is_enough_for_one_edge():
    evidence = element_evidence(eels({"Mn": 1.0}, 632.0, 672.0, 6.0))
    assert evidence.present() == {"Mn"}


def test_a_background_of_three_decades_hides_no_edge_at_its_low_end():
    evidence = element_evidence(eels({"Ta": 2.0, "O": 5.0}, 150.0, 3150.0))
    assert evidence.present() == {"Ta", "O"}


def test_channels_that_fall_at_the_end_of_the_range_are_no_edge():
    made = eels({"La": 1.0, "O": 3.0}, 430.0, 934.5)
    energy = made.axis("energy")
    fallen = made.values * np.where(energy > 931.0, 1.0 - 0.06 * (energy - 931.0), 1.0)
    evidence = element_evidence(measurement(energy, fallen))
    assert evidence.present() == {"La", "O"}
    assert evidence.curve.energy[-1] < 931.0 + 2.0


def test_what_the_range_cannot_show_is_absent_and_not_unlikely():
    evidence = element_evidence(eels({"O": 1.0}, 500.0, 620.0))
    assert "Fe" not in evidence.elements
    assert "Al" not in evidence.elements
    assert "not testable" in evidence.statement("Fe")


def test_an_unseen_element_keeps_more_doubt_than_a_seen_one():
    evidence = element_evidence(eels({"Mn": 1.0, "O": 2.0}, 500.0, 800.0))
    iron = evidence.elements["Fe"]
    assert iron.probability < 0.05
    assert iron.detection_limit > 0.0
    assert -iron.log_likelihood_ratio < evidence.elements["Mn"].log_likelihood_ratio


def test_noise_without_an_edge_shows_nothing():
    evidence = element_evidence(eels({}, 400.0, 700.0))
    assert evidence.present() == frozenset()
    assert "no core edge seen" in evidence.warnings


def test_a_low_loss_spectrum_says_that_it_has_no_core_edge():
    energy = np.arange(-5.0, 40.0, 0.1)
    values = 1e5 * np.exp(-0.5 * (energy / 0.5) ** 2) + 100.0 / (1.0 + ((energy - 15) / 2) ** 2)
    evidence = element_evidence(measurement(energy, values))
    assert evidence.elements == {}
    assert any("no core edge in range" in warning for warning in evidence.warnings)


def low_loss(seed: int) -> Measurement:
    """Zero loss, plasmon and its tail up to 300 eV: no edge anywhere."""
    energy = np.arange(-5.0, 300.0, 0.25)
    mean = 2e6 * np.exp(-0.5 * (energy / 0.5) ** 2) + 1e5 / (1.0 + ((energy - 15.0) / 3.0) ** 2)
    mean += 4e4 * np.exp(-np.maximum(energy, 0.0) / 30.0) * (energy > 3.0)
    return measurement(energy, np.random.default_rng(seed).poisson(mean).astype(float))


def featureless(kind: str, seed: int) -> Measurement:
    rng = np.random.default_rng(seed)
    if kind == "low loss":
        return low_loss(seed)
    if kind == "core loss":
        energy = np.arange(100.0, 2000.0)
        return measurement(energy, rng.poisson(3e5 * (energy / 100.0) ** -3).astype(float))
    energy = np.arange(0.0, 20_000.0, 10.0)
    mean = 40.0 * np.exp(-energy / 6000.0)
    return measurement(energy, rng.poisson(mean).astype(float), Modality.EDS)


@pytest.mark.parametrize("kind", ["low loss", "core loss", "EDS"])
@pytest.mark.parametrize("seed", range(3))
def test_a_spectrum_without_a_feature_makes_no_element_likelier(kind, seed):
    evidence = element_evidence(featureless(kind, seed))
    assert len(evidence.elements) > 40
    for symbol, finding in evidence.elements.items():
        # noise may look a little like an edge; the rarest are those that nothing may raise
        assert finding.log_likelihood_ratio < 0.5, symbol
        odds = np.log(prior_probability(symbol)) - np.log1p(-prior_probability(symbol))
        said = np.log(finding.probability) - np.log1p(-finding.probability)
        assert said - odds == pytest.approx(finding.log_likelihood_ratio, abs=1e-9)


def test_a_grid_and_a_film_without_a_specimen_say_nothing():
    evidence = element_evidence(eds({"Cu": 5e4, "C": 2e4}))
    assert {"Cu", "C"} <= {e for e, f in evidence.elements.items() if f.artefact}
    silent = [f for f in evidence.elements.values() if not f.features]
    assert len(silent) > 70
    assert all(f.log_likelihood_ratio == pytest.approx(0.0, abs=1e-9) for f in silent)
    assert all(f.detection_limit is None for f in silent)
    # beside a specimen what is not seen is missing
    beside = element_evidence(eds({"Cu": 5e4, "C": 2e4, "Ti": 4e4, "O": 3e4}))
    assert beside.elements["Au"].log_likelihood_ratio < -1.0


def test_units_and_scale_do_not_matter():
    plain = eels({"Ti": 1.0, "O": 3.0}, 400.0, 640.0)
    energy = plain.axis("energy")
    first = element_evidence(plain)
    for other in (
        measurement(energy / 1000.0, plain.values, unit="keV"),
        measurement(energy, plain.values * 1e-6),
        measurement(energy[::-1], plain.values[::-1]),
    ):
        assert element_evidence(other).present() == first.present()


def test_a_spectrum_image_is_summed_over_its_positions():
    plain = eels({"O": 1.0}, 500.0, 620.0)
    energy = plain.axis("energy")
    cube = np.broadcast_to(plain.values / 6.0, (2, 3, energy.size))
    axes = (
        Axis("y", "nm", np.arange(2.0)),
        Axis("x", "nm", np.arange(3.0)),
        Axis("energy", "eV", energy),
    )
    image = measurement(energy, cube, axes=axes)
    assert summed_spectrum(image)[1] == pytest.approx(plain.values)


def test_nan_channels_are_left_out():
    plain = eels({"O": 1.0}, 500.0, 620.0)
    values = plain.values.copy()
    values[::17] = np.nan
    assert element_evidence(measurement(plain.axis("energy"), values)).present() == {"O"}


@pytest.mark.parametrize("modality", [Modality.EELS, Modality.EDS])
@pytest.mark.parametrize("level", [0.0, 5.0])
def test_a_flat_record_shows_nothing(modality, level):
    energy = np.repeat(np.arange(400.0, 520.0), 2)  # every channel written twice
    evidence = element_evidence(measurement(energy, np.full(energy.size, level), modality))
    assert evidence.present() == frozenset()
    assert evidence.warnings


def test_other_records_are_refused_with_the_reason():
    plain = eels({"O": 1.0}, 500.0, 620.0)
    image = measurement(plain.axis("energy"), plain.values, Modality.IMAGE)
    with pytest.raises(ValueError, match=r"simulated\.msa.*EELS or EDS"):
        element_evidence(image)
    short = measurement(np.arange(5.0) + 500.0, np.ones(5))
    with pytest.raises(ValueError, match="5 finite channels"):
        element_evidence(short)


@pytest.mark.parametrize("offset", [-10.0, 10.0])
def test_eds_finds_elements_and_leaves_the_grid_out(offset):
    evidence = element_evidence(eds({"Fe": 9e3, "Ni": 7e3, "O": 4e3, "Cu": 5e3}, offset))
    assert evidence.present() == {"Fe", "Ni", "O"}
    assert any(text.startswith("Cu") for text in evidence.artefacts)
    assert evidence.elements["Cu"].artefact
    # A tenth of the line width.
    assert evidence.offset_ev == pytest.approx(offset, abs=6.0)


def test_an_overlapped_line_does_not_make_an_element():
    # V K-alpha (4952 eV) lies under Ti K-beta (4932 eV).
    evidence = element_evidence(eds({"Ti": 3e4, "O": 1e4}))
    assert evidence.present() == {"Ti", "O"}


@pytest.mark.parametrize(
    ("heavy", "line", "share", "neighbour"),
    [
        ("Pt", 2128.0, 0.15, "Zr"),
        ("Au", 2205.0, 0.15, "Hg"),
        ("W", 1775.0, 0.15, "Si"),
        ("Ba", 4466.0, 0.15, "Ti"),
        ("Mo", 2293.0, 0.15, "S"),
        ("Th", 2323.0, 0.03, "S"),  # M4-N2, which tables leave out
    ],
)
def test_a_line_brighter_than_in_its_table_is_no_other_element(heavy, line, share, neighbour):
    # Tables of L and M lines differ by a third and more of what a line has of its family.
    made = eds_spectrum({heavy: 3e4, "O": 1e4})
    energy = made.axis("energy")
    more = share * 3e5 * np.exp(-0.5 * ((energy - line) / 42.0) ** 2) / 42.0 / 2.5
    evidence = element_evidence(measurement(energy, made.values + np.round(more), Modality.EDS))
    assert heavy in evidence.present()
    assert neighbour not in evidence.present()


def test_the_curve_follows_the_data():
    curve = element_evidence(eels({"Ti": 1.0, "O": 3.0}, 400.0, 640.0)).curve
    misfit = np.abs(curve.model - curve.observed).mean() / np.ptp(curve.observed)
    assert misfit < 0.03  # templates describe edges to about 2 % of their height
    assert np.all(curve.background < curve.observed.max())
    assert {name for name, _ in curve.markers["Ti"]} >= {"Ti L2,3"}


@pytest.mark.parametrize(
    ("file", "truth"),
    [
        ("tem/sto/EELS_STO.dm3", {"Ti", "O"}),
        ("tem/sto/EDS-STO.emd", {"Sr", "Ti", "O"}),
        ("tem/eelsdb/12_test_3/data.msa", {"O"}),
        ("tem/eelsdb/04_la0-7sr0-3mno3srtio3-001-heterostructure/data.msa", {"Mn"}),
    ],
)
def test_measured_spectra(real, file, truth):
    from xtalfuse.loaders import load

    assert element_evidence(load(real / file)).present() == truth


@pytest.mark.parametrize(
    ("counts", "soft", "absent"),
    [
        ({"O": 3e4, "Si": 3e4}, ("V", 513.0), "V"),
        ({"Si": 4e4, "O": 2e4}, ("Ca", 341.0), "Ca"),
        ({"Na": 2e4, "Al": 2e4}, ("Tb", 1240.0), "Tb"),
        ({"Mg": 3e4, "O": 3e4}, ("As", 1282.0), "As"),
        ({"Al": 4e4}, ("Br", 1481.0), "Br"),
        ({"Fe": 4e4, "O": 2e4}, ("Mn", 637.0), "Mn"),
    ],
)
def test_a_soft_line_whose_hard_ones_are_missing_is_not_of_that_element(counts, soft, absent):
    made = eds_spectrum(counts)
    energy = made.axis("energy")
    _, place = soft
    bump = 2000.0 * np.exp(-0.5 * ((energy - place) / 35.0) ** 2) / 35.0 * 10.0
    spectrum = measurement(energy, made.values + np.round(bump), Modality.EDS)
    evidence = element_evidence(spectrum)
    assert absent not in evidence.present()
    assert evidence.present() & set(counts)


def test_a_possible_element_is_one_that_the_spectrum_made_likelier():
    evidence = element_evidence(eds({"Fe": 2e4, "O": 1e4}))
    assert not evidence.possible() & evidence.present()
    assert all(evidence.elements[e].log_likelihood_ratio > 0 for e in evidence.possible())
