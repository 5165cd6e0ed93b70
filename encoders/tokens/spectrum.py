"""EELS and EDS spectra: windows of equal width in ln E, each placed with the offset it may have."""

from __future__ import annotations

import numpy as np

from xtalfuse.encoders.tokens.base import Item, Settings, TokenEncoder, Tokens, joined
from xtalfuse.loaders.record import Measurement, Modality

BINS = 24  # of a window
WINDOW = 0.15  # of ln E: an edge and what follows it, or the lines of an EDS series
EV = {Modality.EELS: (50.0, 3000.0), Modality.EDS: (100.0, 20000.0)}
# Zero of the energy scale, eV: energy losses of instruments are off by -8.5 to +7, a detector by
# half a channel of 10.
OFFSET_EV = {Modality.EELS: 4.0, Modality.EDS: 5.0}
TO_EV = {"eV": 1.0, "keV": 1000.0, "meV": 1e-3}


def encode_of(modality: Modality) -> TokenEncoder:
    """The input of one kind of spectrum."""
    edges = np.arange(np.log(EV[modality][0]), np.log(EV[modality][1]), WINDOW)

    def encode(item: Item, settings: Settings) -> Tokens | None:
        parts = [spectrum_tokens(m, edges) for m in item.of(modality)]
        return joined([part for part in parts if part is not None])

    about = f"{modality.upper()} spectra: shapes in windows of ln E, with an unknown offset"
    return TokenEncoder(str(modality), about, encode, modalities=frozenset({modality}))


def spectrum_tokens(measurement: Measurement, edges: np.ndarray) -> Tokens | None:
    """Tokens of the windows that a spectrum covers; those of a map are of its sum.

    The content is the logarithm of the intensity without its mean and slope in the window: a gain
    changes nothing, and the power law under energy losses is gone.

    Raises
    ------
    ValueError
        If the energies have no unit.
    """
    axis = next((a for a in measurement.axes if a.name == "energy"), None)
    if axis is None or axis.unit not in TO_EV:
        raise ValueError(f"{measurement.provenance.path}: no energies in eV; state them beside it")
    energy = np.asarray(axis.values, float) * TO_EV[axis.unit]
    along = measurement.axes.index(axis)
    others = tuple(k for k in range(np.ndim(measurement.values)) if k != along)
    counts = np.asarray(measurement.values, float).sum(axis=others)
    modality = measurement.modality
    bins = np.arange(BINS) / (BINS - 1) - 0.5
    content, place, plain = [], [], np.zeros((len(edges), 4))
    total = max(float(counts[energy > 0.0].clip(0.0).sum()), 1e-300)
    for k, start in enumerate(edges):
        grid = np.exp(start + (bins + 0.5) * WINDOW)
        if grid[0] < energy[0] or grid[-1] > energy[-1]:
            continue
        part = np.maximum(np.interp(grid, energy, counts), 0.0)
        floor = 1e-3 * float(part.mean()) + 1e-12 * total
        logarithm = np.log(part + floor)
        slope = float(bins @ logarithm / (bins @ bins))
        shape = logarithm - logarithm.mean() - slope * bins
        share = np.log(part.mean() * WINDOW / total * BINS + 1e-6) / 5.0
        content.append([share, np.tanh(slope), *shape])
        middle = float(np.exp(start + 0.5 * WINDOW))
        place.append([np.log(middle), OFFSET_EV[modality] / middle])
        plain[k] = 1.0, share, np.tanh(slope), shape.std()
    if not content:
        return None
    return Tokens(*(np.asarray(a, np.float32) for a in (content, place, plain.ravel())))


TOKENS = (encode_of(Modality.EELS), encode_of(Modality.EDS))
