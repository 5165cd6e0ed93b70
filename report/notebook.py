"""What a notebook shows of a result: a table, its most telling figure, and what to beware of."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING, Any

from xtalfuse.report.figures.pattern import panel_figure, pattern_figure
from xtalfuse.report.illustrate import illustrations
from xtalfuse.report.notation import cell_text, chance, percent
from xtalfuse.report.page import Picture, render_page
from xtalfuse.report.phases import headline as headline_of_phases
from xtalfuse.report.phases import unknown_text
from xtalfuse.report.structure import headline as headline_of_structure
from xtalfuse.report.structure import in_words, title
from xtalfuse.tasks.identify.answer import Answer
from xtalfuse.tasks.structure.result import Microstructure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@singledispatch
def plot(result: Any) -> Figure:
    """The most telling figure of a result.

    Raises
    ------
    ValueError
        If there is nothing to draw.
    """
    raise ValueError(f"{type(result).__name__}: no figure of it is known here")


@plot.register(Answer)
def _plot_answer(result: Answer) -> Figure:
    if result.curves is not None:
        return pattern_figure(result)
    if result.panels:
        return panel_figure(result.panels[0])
    raise ValueError(f"{result.specimen}: no record of it can be drawn")


@plot.register(Microstructure)
def _plot_microstructure(result: Microstructure) -> Figure:
    return illustrations(result)[0].draw()


@singledispatch
def html_of(result: Any) -> str:
    """A result as HTML for a notebook. Everything that came from outside is escaped."""
    raise TypeError(f"{type(result).__name__} is no result that can be shown")


@html_of.register(Answer)
def _html_of_answer(result: Answer) -> str:
    head = ("Phase", "Formula", "wt%", "Cell", "Confidence")
    rows = [
        (
            phase.name,
            phase.formula,
            percent(phase.weight_fraction, phase.weight_fraction_su),
            ", ".join(cell_text(phase.cell, phase.cell_su, phase.space_group_number)),
            chance(phase.confidence),
        )
        for phase in result.phases
    ]
    drawn = result.curves is not None or result.panels
    picture = Picture.of(plot(result), "what was measured, with the phases") if drawn else None
    cautions = (unknown_text(result), *result.warnings)
    return render_page(
        "notebook.html.j2", headline=headline_of_phases(result), head=head, rows=rows,
        cautions=cautions, picture=picture,
    )  # fmt: skip


@html_of.register(Microstructure)
def _html_of_microstructure(result: Microstructure) -> str:
    rows = [
        (title(item), in_words(item), item.method)
        for item in result.properties
        if isinstance(item.value, (int, float))
    ]
    first = illustrations(result)[0]
    picture = Picture.of(first.draw(), first.caption)
    head = ("Property", "Value", "Found by")
    return render_page(
        "notebook.html.j2", headline=headline_of_structure(result), head=head, rows=rows,
        cautions=result.warnings, picture=picture,
    )  # fmt: skip
