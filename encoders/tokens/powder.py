"""Powder patterns: a token for each line, placed at its ln|g|, where a strain is a translation."""

from __future__ import annotations

import numpy as np

from xtalfuse.datasets.records.codec import POWDER_G, on_common_axis
from xtalfuse.datasets.splits.alike import fingerprint
from xtalfuse.encoders.tokens.base import Item, Settings, TokenEncoder, Tokens, joined
from xtalfuse.loaders.record import Modality

LINES = 64  # the strongest; mixtures of three phases show fewer within the range of a tube
HALF = 16  # points on either side of a line: 1.4 % of |g|, a few widths
COARSE = 16  # windows of the smooth part, where amorphous humps are
LN_G = np.log(POWDER_G)
STEP = float(LN_G[1] - LN_G[0])
BACKGROUND = 0.05  # of |g|: the background is what is lowest within it
NOISE = 4.0  # deviations that a line stands above its surroundings


def encode(item: Item, settings: Settings) -> Tokens | None:
    """The lines and the smooth part of each pattern that has a wavelength."""
    profiles = [on_common_axis(m) for m in item.of(Modality.XRD)]
    return joined([pattern_tokens(p) for p in profiles if p is not None])


def pattern_tokens(profile: np.ndarray) -> Tokens:
    """Tokens of a pattern on `POWDER_G`; not a number where nothing was measured.

    The content of a line is its profile around the exact top and its height: nothing in it says
    where it is, so that a strained cell changes places alone, all by the same amount.
    """
    from scipy.ndimage import minimum_filter1d, uniform_filter1d
    from scipy.signal import find_peaks

    seen = np.isfinite(profile)
    filled = np.where(seen, profile, np.nanmin(profile)).astype(float)
    width = round(BACKGROUND / STEP)
    smooth = uniform_filter1d(minimum_filter1d(filled, width), width)
    net = np.sqrt(np.maximum(filled - smooth, 0.0))  # strong lines do not drown weak ones
    noise = 1.4826 * float(np.median(np.abs(np.diff(net[seen])))) / np.sqrt(2.0)
    tops, found = find_peaks(net, prominence=max(NOISE * noise, 0.02), distance=4)
    tops = np.sort(tops[np.argsort(-found["prominences"], kind="stable")[:LINES]])
    tops = tops[(tops >= 1) & (tops < len(net) - 1)]
    a, b, c = net[tops - 1], net[tops], net[tops + 1]
    bend = np.where(a - 2.0 * b + c < 0.0, a - 2.0 * b + c, -1.0)
    exact = tops + np.clip(0.5 * (a - c) / bend, -0.5, 0.5)  # top of a parabola
    around = exact[:, None] + np.arange(-HALF, HALF + 1)
    shape = np.interp(around, np.arange(len(net)), net) / np.maximum(b, 1e-9)[:, None]
    coarse = np.array([
        [np.mean(s[ok]) if ok.any() else 0.0, ok.mean()]
        for s, ok in zip(np.split(smooth, COARSE), np.split(seen, COARSE), strict=True)
    ])  # fmt: skip
    windows = np.split(LN_G, COARSE)
    content = np.zeros((len(tops) + COARSE, 2 * HALF + 4))
    content[: len(tops), 0] = 1.0
    content[: len(tops), 1] = b
    content[: len(tops), 3:] = shape
    content[len(tops) :, 1:3] = coarse
    place = np.concatenate([
        np.stack([np.interp(exact, np.arange(len(net)), LN_G), np.full(len(tops), STEP / 2)], 1),
        [[w.mean(), np.ptp(w) / np.sqrt(12.0)] for w in windows],
    ])  # fmt: skip
    return Tokens(content.astype(np.float32), place.astype(np.float32), 4.0 * fingerprint(profile))


def unseen(item: Item, settings: Settings) -> list[str]:
    """Patterns that cannot be used; a wavelength is never guessed."""
    lacking = [m.provenance.path for m in item.of(Modality.XRD) if m.radiation is None]
    return [f"{path}: no wavelength, not used; state it in a manifest" for path in lacking]


TOKENS = TokenEncoder(
    "powder", "powder patterns: lines at their ln|g|, shapes, heights, the smooth part", encode,
    unseen=unseen,
    jitter=2e-3,  # cells of solid solutions and temperatures differ by some tenths of a percent
    modalities=frozenset({Modality.XRD}),
)  # fmt: skip
