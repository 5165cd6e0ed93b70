"""What each number of the powder search decides: each is moved by 30 % and the search repeated.

    python -m benchmarks.tune --patterns 8               # all numbers, on 8 mixtures
    python -m benchmarks.tune --only min_gain --only own_lines --patterns 40
    python -m benchmarks.tune --json tune.json

The patterns are taken evenly from the list of mixtures with known phases, with the elements of
the recipe given and without refinement. These are the mixtures on which most of the numbers were
chosen: the table shows what a number decides, not that its value is the best one elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.mixtures import Judge, Specimen, benchmark_library, specimens
from xtalfuse.datasets.library.build import Library
from xtalfuse.loaders.safe.processes import process_pool
from xtalfuse.tasks.identify.powder.settings import DEFAULT, SearchSettings, origins

FACTORS = (0.7, 1.3)
SAME_FRACTION = 1e-3  # weight fractions nearer than this are called the same


@dataclass(frozen=True)
class Found:
    """What a search says about one mixture, held against what is in it."""

    fractions: dict[str, float]  # of each declared compound that was found
    missed: int
    false: int


@dataclass(frozen=True)
class Change:
    """What one moved number does to a set of patterns.

    Parameters
    ----------
    name, factor : of the number
    value : that it was moved to
    found, missed, false : compounds and phases over all patterns
    changed : patterns whose phases or fractions differ from those of the default
    mean_shift : of the weight fractions of compounds found both times
    """

    name: str
    factor: float
    value: Any
    found: int
    missed: int
    false: int
    changed: int
    mean_shift: float


@lru_cache(maxsize=1)
def _library(path: Path) -> tuple[Library, Judge]:
    library = Library.load(path)
    return library, Judge(library)


def search(settings: SearchSettings, specimen: Specimen, library_path: Path) -> Found:
    """Search one mixture with given settings."""
    from xtalfuse.tasks.identify.powder.measures import weight_fractions
    from xtalfuse.tasks.identify.powder.phase import analyse_pattern

    library, judge = _library(library_path)
    entries = library.select(set(specimen.elements))
    answer = analyse_pattern(specimen.measurement(), library, entries, settings=settings)
    named = [judge.compound(specimen, phase.entry) for phase in answer.phases]
    fractions: dict[str, float] = {}
    for name, fraction in zip(named, weight_fractions(answer.fit), strict=True):
        if name is not None:
            fractions[name] = fractions.get(name, 0.0) + float(fraction)
    missed = len(set(specimen.scorable) - set(fractions))
    return Found(fractions, missed, sum(name is None for name in named))


def moved(value: Any, factor: float) -> Any:
    """A setting times a factor; counts by at least one, tuples as a whole."""
    if isinstance(value, tuple):
        most = 0.99 if max(value) < 1.0 else np.inf  # shares stay shares
        return tuple(float(min(item * factor, most)) for item in value)
    if isinstance(value, int):
        step = max(1, round(value * abs(factor - 1.0)))
        return max(1, value + (step if factor > 1.0 else -step))
    return value * factor


def compare(name: str, factor: float, value: Any, now: list[Found], was: list[Found]) -> Change:
    """The change from the default to a moved number.

    Parameters
    ----------
    name, factor, value : of the number
    now, was : of each pattern, with the number moved and with the default
    """
    shifts = [
        abs(n.fractions[key] - w.fractions[key])
        for n, w in zip(now, was, strict=True)
        for key in set(n.fractions) & set(w.fractions)
    ]
    changed = [
        set(n.fractions) != set(w.fractions)
        or n.false != w.false
        or any(abs(n.fractions[k] - w.fractions[k]) > SAME_FRACTION for k in n.fractions)
        for n, w in zip(now, was, strict=True)
    ]
    return Change(
        name,
        factor,
        value,
        found=sum(len(n.fractions) for n in now),
        missed=sum(n.missed for n in now),
        false=sum(n.false for n in now),
        changed=sum(changed),
        mean_shift=float(np.mean(shifts)) if shifts else 0.0,
    )


def changes(
    names: list[str], chosen: list[Specimen], library: Path, workers: int
) -> Iterator[Change]:
    """The default first, then each number moved down and up.

    Parameters
    ----------
    names : of the numbers
    chosen : patterns to search
    library : file of the references
    workers : processes
    """
    with process_pool(workers) as pool:
        was = list(pool.map(partial(search, DEFAULT, library_path=library), chosen))
        yield compare("default", 1.0, None, was, was)
        for name in names:
            for factor in FACTORS:
                value = moved(getattr(DEFAULT, name), factor)
                if value == getattr(DEFAULT, name):
                    continue
                run = partial(search, replace(DEFAULT, **{name: value}), library_path=library)
                yield compare(name, factor, value, list(pool.map(run, chosen)), was)


def evenly(patterns: list[Specimen], count: int) -> list[Specimen]:
    """So many of the patterns, evenly spaced over the list."""
    return [patterns[i] for i in np.linspace(0, len(patterns) - 1, count).round().astype(int)]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    every = [f.name for f in fields(SearchSettings)]
    parser.add_argument("--real", type=Path, default=Path("../shared/real"))
    parser.add_argument("--library", type=Path, help="built from real/cif by default")
    parser.add_argument("--only", action="append", choices=every, help="this number")
    parser.add_argument("--patterns", type=int, default=8, help="how many mixtures")
    parser.add_argument("--json", type=Path, help="write the table here")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    library = arguments.library or benchmark_library(arguments.real)
    mixtures = [s for s in specimens(arguments.real) if len(s.weights) > 1]
    chosen = evenly(mixtures, arguments.patterns)
    names = arguments.only or every
    print("patterns: " + ", ".join(s.path.name for s in chosen))
    print(f"{'number':24s} {'factor':>6s} {'found':>5s} {'missed':>6s} {'false':>5s} "
          f"{'changed':>7s} {'mean shift':>10s}  origin")  # fmt: skip
    rows, known = [], origins(DEFAULT)
    for change in changes(names, chosen, library, arguments.workers):
        rows.append({**asdict(change), "origin": known.get(change.name, "")})
        print(
            f"{change.name:24s} {change.factor:6.1f} {change.found:5d} {change.missed:6d} "
            f"{change.false:5d} {change.changed:7d} {100 * change.mean_shift:8.2f} %  "
            f"{known.get(change.name, '')}",
            flush=True,
        )
        if arguments.json:  # as far as it got: the whole table takes hours
            arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
