"""Groups that are given to parts whole: the one way in which anything here is split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def partition(
    keys: Sequence[str],
    shares: Mapping[str, float],
    seed: int = 0,
    *,
    strata: Sequence[int] | None = None,
    order: Sequence[str] | None = None,
) -> np.ndarray:
    """The part of each member; members with one key fall into one part.

    Groups are put in a random order that depends on their keys and the seed alone, and given to
    the parts one after the other as their shares of the members ask.

    Parameters
    ----------
    keys : of the members
    shares : share of each part; they add up to 1
    seed : of the order
    strata : class of each member: groups of one class (the commonest of their members) are put
        one behind the other, and each goes to the part that lacks most, so that every part gets
        its share of every class
    order : of the groups, instead of a random one

    Returns
    -------
    (n,) place of the part among the shares

    Raises
    ------
    ValueError
        If the shares do not add up to 1, or a part would be left without a group.
    """
    if min(shares.values(), default=0.0) <= 0.0 or abs(sum(shares.values()) - 1.0) > 1e-9:
        raise ValueError(f"shares {dict(shares)} must be positive and add up to 1")
    members: dict[str, list[int]] = {}
    for number, key in enumerate(keys):
        members.setdefault(key, []).append(number)
    names = sorted(members)
    if order is None:
        order = [names[k] for k in np.random.default_rng(seed).permutation(len(names))]
    wanted = np.array(list(shares.values()))
    if strata is None:
        sizes = np.cumsum([len(members[name]) for name in order])
        middle = (sizes - 0.5 * np.diff(sizes, prepend=0)) / max(len(keys), 1)
        chosen = np.minimum(np.searchsorted(np.cumsum(wanted), middle), len(wanted) - 1)
    else:
        inside = {name: [strata[n] for n in members[name]] for name in names}
        class_of = {name: max(sorted(set(c)), key=c.count) for name, c in inside.items()}
        order = sorted(order, key=class_of.__getitem__)
        chosen = _filled([len(members[name]) for name in order], wanted)
    for k, part in enumerate(shares):
        if not (chosen == k).any():
            raise ValueError(
                f"{len(names)} groups are too few for a part {part!r} of {shares[part]:g}; "
                "add groups or give it a larger share"
            )
    parts = np.empty(len(keys), int)
    for name, part_of in zip(order, chosen, strict=True):
        parts[members[name]] = part_of
    return parts


def _filled(sizes: Sequence[int], wanted: np.ndarray) -> np.ndarray:
    """The part that lacks most when each group comes."""
    parts, filled = [], np.zeros(len(wanted))
    for size in sizes:
        lack = wanted * (filled.sum() + size) - filled
        parts.append(int(np.argmax(lack)))
        filled[parts[-1]] += size
    return np.array(parts, int)


def joined(*columns: Sequence[str]) -> np.ndarray:
    """(n,) numbers of the sets of members that share a value of any column, directly or by others.

    Parameters
    ----------
    columns : a value for each member; "" is shared with nobody
    """
    count = len(columns[0])
    shared = [(row, (which, value)) for which, column in enumerate(columns)
              for row, value in enumerate(column) if value]  # fmt: skip
    places = {value: count + k for k, value in enumerate(dict.fromkeys(v for _, v in shared))}
    edges = [(row, places[value]) for row, value in shared]
    return connected(count + len(places), np.array(edges, int).reshape(-1, 2))[:count]


def connected(count: int, edges: np.ndarray) -> np.ndarray:
    """(count,) number of the component of each node of a graph with (m, 2) edges."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(edges)), tuple(edges.T)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1])
