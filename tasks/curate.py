"""Labels that the measurement contradicts: what identify finds, against what the table says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.loaders.record import Modality
from xtalfuse.loaders.safe.processes import process_pool

if TYPE_CHECKING:
    from xtalfuse.datasets.library.build import Library
    from xtalfuse.tasks.identify.answer import Answer

LEAST_SHARE = 0.05  # weight fraction above which a phase that is not declared is one too many


@dataclass(frozen=True)
class Doubt:
    """A record whose declared phases and whose pattern do not agree.

    Parameters
    ----------
    id : of the record
    declared, found : names of the phases
    missing : declared ones that are not found; ones that the library lacks are never among them
    unexpected : found ones that are not declared
    certainty : probability that the label is wrong: that all that was found is there, and that
        nothing else is; both are calibrated confidences of identify
    answer : of identify
    """

    id: str
    declared: tuple[str, ...]
    found: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    certainty: float
    answer: Answer

    def to_dict(self) -> dict[str, Any]:
        """All but the answer, as plain JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "answer"}


def check(
    dataset: Dataset,
    library: Library | None = None,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> list[Doubt]:
    """The records whose pattern contradicts the column ``phases``, the surest first.

    Parameters
    ----------
    library : references to look among; the built-in ones by default
    jobs : processes
    progress : told (records looked at, records in all)
    """
    patterns = dataset.table["modalities"].str.split().map(lambda has: "xrd" in has)
    numbers = np.flatnonzero(patterns & (dataset.table["phases"] != "")).tolist()
    doubts = []
    for done, doubt in enumerate(_looked(dataset, library, numbers, jobs), 1):
        if doubt is not None:
            doubts.append(doubt)
        progress(done, len(numbers))
    return sorted(doubts, key=lambda d: (-d.certainty, d.id))


def _looked(
    dataset: Dataset, library: Library | None, numbers: Sequence[int], jobs: int
) -> Iterator[Doubt | None]:
    if jobs <= 1:
        yield from (_look(dataset, library, number) for number in numbers)
        return
    with process_pool(jobs) as pool:
        for task in as_completed([pool.submit(_look, dataset, library, n) for n in numbers]):
            yield task.result()


def _look(dataset: Dataset, library: Library | None, number: int) -> Doubt | None:
    from xtalfuse.datasets.library.build import builtin
    from xtalfuse.tasks.identify.pipeline import identify

    record = dataset[number]
    library = builtin() if library is None else library
    patterns = tuple(m for m in record.measurements if m.modality is Modality.XRD)
    answer = identify(replace(record, measurements=patterns), library, refine=False)
    said = re.split(r"[;\n]", str(dataset.table["phases"].iloc[number]))
    declared = [part.strip() for part in said if part.strip()]
    return contradiction(record.specimen, declared, answer, library)


def contradiction(
    name: str, declared: Sequence[str], answer: Answer, library: Library
) -> Doubt | None:
    """What speaks against the declared phases of one record; None where nothing does.

    Parameters
    ----------
    declared : names or formulas: ``"rutile"``, ``"TiO2"``, or the id of a library entry
    """
    entries = {entry.id: entry for entry in library.entries}
    called = {
        entry.id: {_plain(entry.id), _plain(entry.name), _plain(entry.formula)}
        for entry in library.entries
    }
    known = set().union(*called.values())
    groups = [
        set().union(*(called[e] for e in (p.entry, *p.equivalents) if e in entries)) | {
            _plain(p.name), _plain(p.formula)}
        for p in answer.phases
    ]  # fmt: skip
    wanted = [_plain(text) for text in declared]
    missing = [
        text
        for text, plain in zip(declared, wanted, strict=True)
        if plain in known and not any(plain in group for group in groups)
    ]
    unexpected = [
        phase
        for phase, group in zip(answer.phases, groups, strict=True)
        if not group & set(wanted) and (phase.weight_fraction or 1.0) >= LEAST_SHARE
    ]
    if all(plain not in known for plain in wanted):
        unexpected = []  # the library cannot judge what it does not hold
    if not (missing or unexpected) or not answer.phases:
        return None
    all_there = min(p.confidence for p in answer.phases)
    certainty = all_there * (1.0 - answer.unknown.probability) if missing else min(
        p.confidence for p in unexpected)  # fmt: skip
    return Doubt(
        name,
        tuple(declared),
        tuple(p.name for p in answer.phases),
        tuple(missing),
        tuple(p.name for p in unexpected),
        certainty,
        answer,
    )


def _plain(text: str) -> str:
    """A name without case, blanks and signs: ``"alpha-Al2 O3"`` is ``alphaal2o3``."""
    return re.sub(r"[^a-z0-9.]", "", text.lower())
