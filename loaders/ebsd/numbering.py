"""Which points of a map were indexed, and as which phase: what writers say in many ways."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from xtalfuse.loaders.reader import Number

NOT_INDEXED_ANGLE = 4.0 * np.pi - 1e-3  # EDAX writes 4 pi, as 12.56637 or 12.566
NOT_INDEXED_FIT = 180.0  # degrees, where EDAX and PyEBSDIndex found none
# What a solution has and is positive for: where it is zero beside angles of zero, there is none.
OF_SOLUTION = ("ci", "iq", "fit", "bands", "mad", "dot_product", "reliability", "index")


_SOLVED = "angles 4 pi, ci -1 or fit 180; angles 0 where ci, iq, fit, bands or mad is 0"


def numbers(
    *,
    position: tuple[str, str],
    orientation: tuple[str, str],
    phase: str,
    missing: str = _SOLVED,
    symmetry: str,
) -> tuple[Number, ...]:
    """Whence the numbers of a map come.

    Parameters
    ----------
    position : fields, and where their unit comes from
    orientation : fields, and their unit
    phase : field, and how it counts
    missing : what stands for a point that was not indexed
    symmetry : fields, and how the setting is told
    """
    return (
        Number("position", *position, "held against the declared grid; below -1e6: none"),
        Number("orientation", *orientation, "Bunge, specimen to crystal"),
        Number("phase", phase, "", "negative: none"),
        Number("not indexed", missing, ""),
        Number("symmetry", symmetry, "", "oblique angle of the cell: the unique axis"),
    )


FROM_EITHER = "0 is none, unless points of 0 are solved and the last number is not used"
EDAX_SYMMETRY = "point group of EDAX (43, 62, 20, or 100 + its place)"
OXFORD_SYMMETRY = "Laue group (1-11), and the space group, which parts 312 from 321"


def has_solution(euler: np.ndarray, quality: Mapping[str, np.ndarray]) -> np.ndarray:
    """(n,) bool: points that the instrument found an orientation at.

    None stands where all three angles are 4 pi, the confidence index is -1, the fit 180 degrees;
    and where all three are exactly 0 and one of `OF_SOLUTION`, positive at most other points, is
    0 (rows of zeros). Angles of 0 alone are an orientation.

    Parameters
    ----------
    euler : (n, 3) Bunge's angles, rad
    quality : further columns, (n,), by name
    """
    none = (euler >= NOT_INDEXED_ANGLE).all(axis=1)
    if "ci" in quality:
        none |= quality["ci"] <= -1.0
    if "fit" in quality:
        none |= quality["fit"] >= NOT_INDEXED_FIT
    zero = (euler == 0.0).all(axis=1)
    if zero.any() and not zero.all():
        for name in OF_SOLUTION:
            values = quality.get(name)
            if values is not None and (values[~zero] > 0).mean() > 0.5:
                none |= zero & (values == 0)
    return np.asarray(~none)


def numbered(
    phase: np.ndarray,
    solved: np.ndarray,
    described: Collection[int],
    sure: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """(phase of each point as one of `described`, which are indexed, warnings).

    Headers count from 0 or from 1, and points from 0 or from 1. Where the header counts from 1,
    0 is "not indexed", unless points of 0 have a solution and none has the last number: then
    they count from 0. The other way round likewise. Negative numbers are not indexed.

    Parameters
    ----------
    phase : (n,) int as in the file
    solved : (n,) bool, from `has_solution`
    described : numbers in the header
    sure : (n,) bool, points that tell how is counted; those solved if not given
    """
    first, last = min(described, default=1), max(described, default=1)
    used = set(np.unique(phase[(solved if sure is None else sure) & (phase >= 0)]).tolist())
    shift = 0
    if first == 1 and 0 in used and last not in used:
        shift = 1
    elif first == 0 and 0 not in used and last + 1 in used:
        shift = -1
    told = "phases are counted from {} in the points and from {} in the header"
    notes = (told.format(first - shift, first),) if shift and len(described) > 1 else ()
    number = phase + shift
    return number, solved & (phase >= 0) & (number >= min(first, 1)), notes


def filled_in(indexed: np.ndarray, quality: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """A warning where clean-up gave orientations to points that Oxford did not index."""
    if "error" not in quality or "bands" not in quality:
        return ()
    count = int((indexed & (quality["bands"] == 0) & (quality["error"] > 0)).sum())
    if not count:
        return ()
    return (
        f"{count} points that were not indexed carry an orientation that clean-up gave them "
        "(error set, no bands)",
    )
