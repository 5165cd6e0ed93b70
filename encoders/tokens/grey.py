"""Images and volumes: crops of several sizes, each placed at the logarithm of its size."""

from __future__ import annotations

import numpy as np

from xtalfuse.encoders.tokens.base import NOWHERE, Item, Settings, TokenEncoder, Tokens, joined
from xtalfuse.loaders.record import Calibration, Measurement, Modality

QUANTILES = np.linspace(0.02, 0.98, 12)
WAVES = 10  # bins of the power spectrum, logarithmic, to the finest wave that pixels show
SHARES = (1.0, 0.5, 0.25)  # of the edge of the picture
PIXELS = {2: 128, 3: 48}  # a crop is averaged down to this edge at most
LEAST = 8  # pixels of an edge
TO_NM = {"nm": 1.0, "um": 1e3, "mm": 1e6, "angstrom": 0.1, "m": 1e9}


def encode_of(name: str, modality: Modality, dimensions: int) -> TokenEncoder:
    """The input of images or of volumes."""

    def encode(item: Item, settings: Settings) -> Tokens | None:
        parts = [grey_tokens(m, dimensions) for m in item.of(modality)]
        return joined([part for part in parts if part is not None])

    about = "crops of several sizes: grey values, waves, and how large the crop is"
    return TokenEncoder(name, f"{name}s: {about}", encode, modalities=frozenset({modality}))


def grey_tokens(measurement: Measurement, dimensions: int) -> Tokens | None:
    """Tokens of crops in the middle and the corners; of a stack, of its first picture.

    Quantiles of the grey values and a power spectrum by the length of the wave alone: a turned or
    a shifted picture, another brightness or contrast gives the same.
    """
    values = np.asarray(measurement.values)
    while values.ndim > dimensions:
        values = values[0]
    if values.ndim < dimensions or min(values.shape) < LEAST:
        return None
    values = values.astype(np.float32)
    low, middle, high = np.quantile(values[np.isfinite(values)], [0.1, 0.5, 0.9])
    values = np.nan_to_num(values - middle) / max(float(high - low), 1e-12)
    axes = measurement.axes[-dimensions:]
    sizes = [float(abs(a.values[1] - a.values[0])) * TO_NM.get(a.unit, np.nan) for a in axes]
    known = measurement.calibration is not Calibration.UNKNOWN and np.isfinite(sizes).all()
    content, place = [], []
    for share in SHARES:
        edge = max(LEAST, int(share * min(values.shape)))
        rooms = [n - edge for n in values.shape]
        starts = {tuple(r // 2 for r in rooms), tuple(0 for _ in rooms), tuple(rooms)}
        for start in sorted(starts):
            crop = values[tuple(slice(s, s + edge) for s in start)]
            content.append(_described(crop))
            length = np.log(edge * np.exp(np.mean(np.log(sizes)))) if known else 0.0
            place.append([length, 0.05 if known else NOWHERE])
    rows = np.asarray(content)
    plain = np.concatenate([rows.mean(axis=0), rows.std(axis=0)])
    return Tokens(*(np.asarray(a, np.float32) for a in (rows, place, plain)))


def _described(crop: np.ndarray) -> np.ndarray:
    """(22,) quantiles, and the logarithm of the share of the variance in each band of waves."""
    step = -(-min(crop.shape) // PIXELS[crop.ndim])
    if step > 1:
        whole = tuple(slice(0, n // step * step) for n in crop.shape)
        parts = [each for n in crop[whole].shape for each in (n // step, step)]
        crop = crop[whole].reshape(parts).mean(axis=tuple(range(1, 2 * crop.ndim, 2)))
    quantiles = np.quantile(crop, QUANTILES)
    window = np.hanning(crop.shape[0])
    tapered = crop - crop.mean()
    for axis in range(crop.ndim):
        shape = [-1 if k == axis else 1 for k in range(crop.ndim)]
        tapered = tapered * window.reshape(shape)
    power = np.abs(np.fft.fftn(tapered)) ** 2
    waves = np.linalg.norm(np.meshgrid(*[np.fft.fftfreq(n) for n in crop.shape], indexing="ij"),
                           axis=0)  # fmt: skip
    bands = np.geomspace(1.0 / crop.shape[0], 0.5, WAVES + 1)
    bands[0] = 1e-9
    band = np.digitize(waves.ravel(), bands) - 1
    inside = (band >= 0) & (band < WAVES)
    sums = np.bincount(band[inside], power.ravel()[inside], minlength=WAVES)
    shares = sums / max(float(sums.sum()), 1e-12)
    return np.concatenate([np.clip(quantiles, -4.0, 4.0), np.log(shares + 1e-5) / 3.0])


TOKENS = (encode_of("image", Modality.IMAGE, 2), encode_of("volume", Modality.CT, 3))
