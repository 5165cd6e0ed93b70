"""What a person keeps of a microstructure: tables, graph, figures, properties, report."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

import numpy as np

from xtalfuse.datasets.sets.graphs import boundary_table, grain_table, save_graph, write_table
from xtalfuse.loaders.record import Modality
from xtalfuse.physics.estimate import Estimate, known_spread
from xtalfuse.physics.given import check_given
from xtalfuse.report.figures.pattern import png_bytes
from xtalfuse.report.illustrate import illustrations
from xtalfuse.report.notation import with_uncertainty
from xtalfuse.report.page import Picture, as_base64, render_page
from xtalfuse.report.run import PROPERTIES, one_run
from xtalfuse.tasks.structure.properties import title_of
from xtalfuse.tasks.structure.properties.elastic import modulus_along
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
    check_given(found, Microstructure, "write_microstructure", "from xtalfuse.analyse(measurement)")
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
    return f"{text}{_young(found)}."


def _young(found: Microstructure) -> str:
    """Young's modulus: along the axes where it depends on direction, else the isotropic one."""
    young = found.property_named("youngs_modulus")
    along = [found.property_named(f"youngs_modulus_{axis}") for axis in "xyz"]
    known = [item for item in along if item is not None]
    if len(known) == 3 and (young is None or _directional(found)):
        told = (f"{in_words(item)} along {item.direction}" for item in known)
        return f"; Young's modulus {', '.join(told)}"
    return "" if young is None else f"; Young's modulus {in_words(young)}, isotropic"


def _directional(found: Microstructure) -> bool:
    """Whether Young's moduli along the axes differ by more than twice what they are known to."""
    samples = None if found.stiffness is None else found.stiffness.samples
    if found.stiffness is None or samples is None:
        return False
    moduli = np.array([[modulus_along(a, c) for a in "xyz"] for c in samples])
    means = [modulus_along(axis, found.stiffness.value) for axis in "xyz"]
    pairs = ((0, 1), (0, 2), (1, 2))
    return any(
        abs(means[i] - means[j]) > 2.0 * np.std(moduli[:, i] - moduli[:, j]) for i, j in pairs
    )


def in_words(item: Estimate) -> str:
    """Value, uncertainty in brackets, unit; ``"-"`` where there is none."""
    if not isinstance(item.value, (int, float)) or not np.isfinite(item.value):
        return "-"
    unit = UNITS.get(item.unit, item.unit)
    # without an uncertainty, four digits that count
    size = abs(item.value) or 1.0
    digits = max(0, 3 - math.floor(math.log10(size)))
    su = item.uncertainty  # round-off is no uncertainty: it would call for all digits
    su = known_spread(item.value, su) if isinstance(su, (int, float)) else su
    return f"{with_uncertainty(item.value, su, digits)} {unit}".strip()


def title(item: Estimate) -> str:
    """What a reader calls it: ``"Taylor factor, along x, Copper"``."""
    along = "" if item.direction is None else f"along {item.direction}"
    if item.quantity == "youngs_modulus" and not along:
        along = "isotropic: mean over directions"
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
