"""What a person keeps of a microstructure: tables, graph, figures, properties, report."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

import numpy as np

from xtalfuse.datasets.sets.graphs import boundary_table, grain_table, save_graph, write_table
from xtalfuse.loaders.record import Modality
from xtalfuse.physics.estimate import Estimate
from xtalfuse.report.figures.pattern import png_bytes
from xtalfuse.report.illustrate import illustrations
from xtalfuse.report.notation import with_uncertainty
from xtalfuse.report.page import Picture, as_base64, render_page
from xtalfuse.report.run import PROPERTIES, one_run
from xtalfuse.tasks.structure.properties import title_of
from xtalfuse.tasks.structure.result import Microstructure

KINDS = {Modality.EBSD: ("grain", "grains"), Modality.CT: ("body", "bodies")}
UNITS = {"um": "µm", "1/um": "1/µm"}


def write_microstructure(
    found: Microstructure,
    folder: str | Path,
    tell: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Path:
    """Write everything about one map or volume into a folder and return the path of its report.

    The folder receives ``grains.csv``, ``boundaries.csv``, ``graph.h5``, a PNG for each figure,
    ``report.html`` (it needs no other file) and ``properties.json``, all of them or none; those
    of an earlier run go. See `xtalfuse.report.run`.

    Parameters
    ----------
    tell : is told how many of how many figures are drawn, and which comes next

    Raises
    ------
    OSError
        If the folder cannot be made or written to.
    """
    folder = Path(folder)
    with one_run(folder, PROPERTIES, found.to_dict(), found.specimen) as pending:
        aside = pending.folder
        write_table(aside / "grains.csv", grain_table(found.graph, found.grain_columns))
        write_table(aside / "boundaries.csv", boundary_table(found.graph, found.boundary_columns))
        save_graph(aside / "graph.h5", found.graph)
        pictures = []
        drawn = illustrations(found)
        for done, illustration in enumerate(drawn):
            tell(done, len(drawn), illustration.name)
            png = png_bytes(illustration.draw())
            pending.write(f"{illustration.name}.png", png)
            pictures.append(Picture(as_base64(png), illustration.caption))
        page = _page(found, pictures, pending.id)
        pending.write("report.html", page.encode("utf-8", "replace"))
    return folder / "report.html"


def headline(found: Microstructure) -> str:
    """The answer in one sentence."""
    graph = found.graph
    names = [m.phase.name for k, m in enumerate(found.materials) if (graph.phase == k).any()]
    one, many = KINDS[found.measurement.modality]
    of = " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
    text = f"{len(graph)} {one if len(graph) == 1 else many} of {of}"
    young = found.property_named("youngs_modulus")
    if young is not None:
        text += f"; Young's modulus {in_words(young)}"
    return f"{text}."


def in_words(item: Estimate) -> str:
    """Value, uncertainty in brackets, unit; ``"-"`` where there is none."""
    if not isinstance(item.value, (int, float)) or not np.isfinite(item.value):
        return "-"
    unit = UNITS.get(item.unit, item.unit)
    # without an uncertainty, four digits that count
    size = abs(item.value) or 1.0
    digits = max(0, 3 - math.floor(math.log10(size)))
    return f"{with_uncertainty(item.value, item.uncertainty, digits)} {unit}".strip()


def title(item: Estimate) -> str:
    """What a reader calls it: ``"Taylor factor, along x, Copper"``."""
    along = "" if item.direction is None else f"along {item.direction}"
    return ", ".join(filter(None, (title_of(item.quantity), along, item.phase)))


def grouped(properties: Iterable[Estimate]) -> list[list[Estimate]]:
    """Properties that follow each other and were found in one way, together."""
    return [
        list(items)
        for _, items in groupby(properties, lambda p: (p.method, p.assumptions, p.validity))
    ]


def _page(found: Microstructure, pictures: list[Picture], run: str) -> str:
    stiffness = found.property_named("stiffness_voigt")
    return render_page(
        "structure.html.j2",
        specimen=found.specimen,
        headline=headline(found),
        warnings=found.warnings,
        files=found.files,
        seconds=found.seconds,
        version=found.version,
        run=run,
        groups=grouped([item for item in found.properties if item is not stiffness]),
        stiffness=stiffness,
        materials=found.materials,
        pictures=pictures,
        title=title,
        in_words=in_words,
    )
