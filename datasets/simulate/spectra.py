"""Simulated spectra: core-loss edges on a power law, characteristic lines on a continuum."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from xtalfuse.loaders.record import Axis, Measurement, Modality, Provenance
from xtalfuse.physics.spectroscopy import (
    detector_fwhm_ev,
    edge_profile,
    edges,
    power_law,
    xray_lines,
)

EDS_END_EV = 20_000.0
FWHM_MN_KA_EV = 130.0


def eels_spectrum(
    atoms: Mapping[str, float], low_ev: float, high_ev: float, seed: int = 3
) -> Measurement:
    """An energy-loss spectrum with the tabulated edges of some elements, with Poisson noise.

    Parameters
    ----------
    atoms : relative number of atoms of each element
    low_ev, high_ev : recorded range, in steps of 0.5 eV
    seed : of the noise
    """
    energy = np.arange(low_ev, high_ev, 0.5)
    total = power_law(energy, 3.0, 3.0)
    for edge in edges():
        if edge.element in atoms and low_ev - 30.0 < edge.onset_ev < high_ev:
            total += atoms[edge.element] * edge_profile(edge, energy)
    return as_spectrum(Modality.EELS, energy, 3000.0 * total, "edge.msa", seed)


def eds_spectrum(counts: Mapping[str, float], seed: int = 3) -> Measurement:
    """An X-ray spectrum of 0-20 keV with the lines of some elements, with Poisson noise.

    Parameters
    ----------
    counts : in all lines of each element
    seed : of the noise
    """
    energy = np.arange(0.0, EDS_END_EV, 10.0)
    total = 40.0 * np.exp(-energy / 6000.0)
    for line in xray_lines():
        if line.element in counts and line.energy_ev < EDS_END_EV:
            sigma = float(detector_fwhm_ev(np.array(line.energy_ev), FWHM_MN_KA_EV)) / 2.3548
            peak = np.exp(-0.5 * ((energy - line.energy_ev) / sigma) ** 2)
            total += counts[line.element] * line.weight * peak / sigma
    return as_spectrum(Modality.EDS, energy, total, "lines.msa", seed)


def as_spectrum(
    modality: Modality, energy_ev: np.ndarray, mean: np.ndarray, name: str, seed: int = 3
) -> Measurement:
    """Counts drawn about a mean spectrum, as a reader would return them.

    Parameters
    ----------
    modality : EELS or EDS
    energy_ev, mean : (n,) energies, eV, and expected counts
    name : stands for the file
    seed : of the noise
    """
    counts = np.random.default_rng(seed).poisson(mean).astype(float)
    provenance = Provenance(name, "00" * 32, "simulation")
    axes = (Axis("energy", "eV", energy_ev),)
    return Measurement(modality, counts, axes, "counts", provenance)
