"""Serial sections: a folder with one orientation map for each section -> one map in 3-D."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.description import DESCRIPTIONS, read_description
from xtalfuse.loaders.ebsd import ang, ctf, osc
from xtalfuse.loaders.ebsd.hdf5 import vendors
from xtalfuse.loaders.reader import Number, Reader, ReadOptions
from xtalfuse.loaders.record import (
    Axis,
    Calibration,
    Measurement,
    Modality,
    Provenance,
    UnreadableFileError,
)
from xtalfuse.loaders.safe.checks import check_crystal_map
from xtalfuse.loaders.safe.head import FileHead, sha256_of_all
from xtalfuse.physics.grains.crystal_map import CrystalMap

_SUFFIXES = (".ang", ".ctf", ".osc", ".h5oina")
_FEWEST = 2
_SAME = "a stack needs sections measured alike; take it out of the folder"


def series_of(folder: Path) -> tuple[tuple[int, Path], ...]:
    """(number, file) of the sections of a folder, in order; nothing if it holds no series.

    Sections are maps of one suffix whose names differ in one number; a folder with two such
    series, or with a map of another name, is none.
    """
    if not folder.is_dir():
        return ()
    files = [p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in _SUFFIXES]
    series: dict[str, list[tuple[int, Path]]] = {}
    for path in files:
        match = re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem)
        if match:
            name = f"{match[1]}#{match[3]}{path.suffix}".lower()
            series.setdefault(name, []).append((int(match[2]), path))
    if len(series) != 1:
        return ()
    found = sorted(next(iter(series.values())))
    numbers = {number for number, _ in found}
    return tuple(found) if _FEWEST <= len(found) == len(numbers) == len(files) else ()


def _sections(folder: Path) -> tuple[Path, ...]:
    return tuple(path for _, path in series_of(folder))


def read(folder: Path, options: ReadOptions) -> Measurement:
    """The orientation map of all sections of a folder.

    Where no distance of sections is known, by hand or from ``specimen.yaml``, it is taken equal
    to the step in x, with a warning, and its calibration is *assumed*.

    Raises
    ------
    UnreadableFileError
        If one of the sections cannot be trusted, or they differ in phases, grid or step.
    """
    step = options.section_step_um
    return stacked(folder, series_of(folder), _described_step(folder) if step is None else step)


def _described_step(folder: Path) -> float | None:
    for name in DESCRIPTIONS:
        if (folder / name).is_file():
            return read_description(folder / name).section_step
    return None


def _section(path: Path) -> Measurement:
    """One section, by whichever reader of maps is surest of it."""
    with FileHead.of(path) as head:
        reader = max(_OF_SECTIONS, key=lambda reader: reader.sniff(head))
    found = reader.read(path, ReadOptions())
    assert isinstance(found, Measurement)  # maps are never spooled
    return found


def stacked(
    folder: Path, listed: tuple[tuple[int, Path], ...], section_step_um: float | None
) -> Measurement:
    """One measurement of all sections."""
    sections = [(number - listed[0][0], _section(path)) for number, path in listed]
    maps = [_map_of(section) for _, section in sections]
    for (_, path), found in zip(listed, maps, strict=True):
        _check_alike(path.name, found, listed[0][1].name, maps[0])
    index = [
        np.column_stack([np.full(len(found.index), place), found.index[:, 1:]])
        for (place, _), found in zip(sections, maps, strict=True)
    ]
    step_x, step_y, _ = maps[0].step
    whole = CrystalMap(
        orientation=np.concatenate([found.orientation for found in maps]),
        phase=np.concatenate([found.phase for found in maps]),
        index=np.concatenate(index),
        phases=maps[0].phases,
        grid=maps[0].grid,
        step=(step_x, step_y, section_step_um or step_x),
        quality={
            name: np.concatenate([found.quality[name] for found in maps])
            for name in maps[0].quality
            if all(name in found.quality for found in maps)
        },
    )
    first = sections[0][1]
    warnings = _warnings(listed, [section for _, section in sections])
    warnings += check_crystal_map(whole, name=folder.name)
    if section_step_um is None:
        warnings += (
            f"distance of sections not known: taken equal to the step in x, {step_x:g} um",
        )
    metadata: dict[str, Any] = {
        **first.provenance.metadata,
        "sections": len(listed),
        "section_step": "given by hand" if section_step_um else "assumed",
    }
    calibration = _calibration(first.calibration, section_step_um)
    points = np.arange(len(whole.phase), dtype=float)
    return Measurement(
        modality=Modality.EBSD,
        values=whole.orientation,
        axes=(Axis("point", "", points, calibration), first.axes[1]),
        value_unit=first.value_unit,
        provenance=Provenance(
            str(folder),
            sha256_of_all(path for _, path in listed),
            first.provenance.reader,
            metadata,
            warnings,
        ),
        crystal_map=whole,
        sampled="bulk",  # the sections go through the specimen
    )


def _map_of(section: Measurement) -> CrystalMap:
    assert section.crystal_map is not None
    return section.crystal_map


def _check_alike(name: str, found: CrystalMap, first_name: str, first: CrystalMap) -> None:
    known = [(phase.name, phase.laue) for phase in first.phases]
    if [(phase.name, phase.laue) for phase in found.phases] != known:
        raise UnreadableFileError(f"{name}: phases are not those of {first_name}; {_SAME}")
    same_step = np.allclose(found.step, first.step, rtol=0.01)
    if found.grid is not first.grid or not same_step:
        raise UnreadableFileError(f"{name}: grid or step are not those of {first_name}; {_SAME}")


def _warnings(listed: tuple[tuple[int, Path], ...], sections: list[Measurement]) -> tuple[str, ...]:
    """Warnings of the sections, each once, and of sections that are left out or differ."""
    said: dict[str, int] = {}
    for section in sections:
        for text in section.provenance.warnings:
            said[text] = said.get(text, 0) + 1
    told = tuple(f"{text} ({times} of {len(sections)} sections)" for text, times in said.items())
    absent = listed[-1][0] - listed[0][0] + 1 - len(listed)
    if absent:
        told += (f"{absent} numbers are left out in the series: these sections are empty",)
    shapes = {_map_of(section).shape for section in sections}
    if len(shapes) > 1:
        told += ("sections differ in their numbers of rows and columns",)
    return told


def _calibration(of_section: Calibration, section_step_um: float | None) -> Calibration:
    if of_section is Calibration.KNOWN and section_step_um is None:
        return Calibration.ASSUMED
    return of_section


_OF_SECTIONS: tuple[Reader, ...] = (ang.READERS, ctf.READERS, osc.READERS, *vendors.READERS)

READERS = Reader(
    "ebsd-sections",
    "a folder of maps of serial sections, in the order of the numbers in their names",
    (Modality.EBSD,),
    read,
    _SUFFIXES,
    folder=_sections,
    limits=("a folder with two series, or with a map of another name, is none",),
    numbers=(
        Number("position", "of each section; z: number in its name",
               "distance of sections by hand or in specimen.yaml; none: that of x, told",
               "numbers left out are empty sections"),
        *(
            Number(name, "of each section", "by its format")
            for name in ("orientation", "phase", "not indexed", "symmetry")
        ),
    ),
)  # fmt: skip
