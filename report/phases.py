"""What a person keeps of an answer: report, figure, table and ``result.json``."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.datasets.sets.graphs import harmless
from xtalfuse.physics.given import check_given
from xtalfuse.report.evidence import TITLES, describe, evidence_rows, modalities
from xtalfuse.report.figures.pattern import (
    least_variance,
    panel_figure,
    pattern_figure,
    phase_colour,
    png_bytes,
)
from xtalfuse.report.notation import (
    cell_text,
    chance,
    percent,
    space_group_symbol,
    with_uncertainty,
)
from xtalfuse.report.page import Picture, as_base64, file_name, finite, render_page
from xtalfuse.report.run import RESULT, one_run
from xtalfuse.tasks.identify.answer import LIKELY_UNKNOWN, Answer, Curves, PhaseAnswer

CELL = ("a", "b", "c", "alpha", "beta", "gamma")


def write_report(answer: Answer, folder: str | Path) -> Path:
    """Write everything about one specimen into a folder and return the path of its report.

    The folder receives ``report.html`` (it needs no other file), ``pattern.png`` where there
    is a powder pattern, ``phases.csv`` and ``result.json``, all of them or none; those of an
    earlier run go. See `xtalfuse.report.run`.

    Raises
    ------
    OSError
        If the folder cannot be made or written to.
    """
    check_given(answer, Answer, "write_report", "from xtalfuse.identify(record)")
    folder = Path(folder)
    with one_run(folder, RESULT, answer.to_dict(), source_of(answer)) as pending:
        picture = None
        if answer.curves is not None:
            png = png_bytes(pattern_figure(answer))
            pending.write("pattern.png", png)
            picture = Picture(as_base64(png), "powder pattern with its phases")
        pending.write("phases.csv", phases_csv(answer).encode("utf-8", "replace"))
        html = render(answer, picture, pending.id)
        pending.write("report.html", html.encode("utf-8", "replace"))
    return folder / "report.html"


def source_of(answer: Answer) -> str:
    """Name of the file or folder that an answer is about."""
    if len(answer.files) == 1:
        name = file_name(answer.files[0].path)
        if Path(name).stem == answer.specimen:
            return name
    return answer.specimen


def phases_csv(answer: Answer) -> str:
    """One line per phase, for a spreadsheet; empty where not known."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = [name for parameter in CELL for name in (parameter, f"{parameter}_su")]
    head = ("name", "formula", "space_group_number", "entry", "equivalents")
    weight = ("weight_fraction", "weight_fraction_su", "fraction_of")
    writer.writerow((*head, *weight, *columns, "confidence"))
    for phase in answer.phases:
        cell = [
            value
            for name in CELL
            for value in (getattr(phase.cell, name), getattr(phase.cell_su, name))
        ]
        share = finite([phase.weight_fraction, phase.weight_fraction_su])
        names = (phase.name, phase.formula, phase.space_group_number, phase.entry)
        words = (harmless(word) for word in (*names, " ".join(phase.equivalents)))
        writer.writerow((*words, *share, answer.fractions_of, *finite(cell), phase.confidence))
    return buffer.getvalue()


def without_diffraction(answer: Answer) -> bool:
    """Whether nothing was there that could have told phases: no pattern, no usable rings."""
    return not answer.phases and answer.fit.get("r_wp") is None


def headline(answer: Answer) -> str:
    """The answer in one sentence."""
    unknown = answer.unknown.probability
    if without_diffraction(answer):
        likely = ", ".join(name for name, p, _ in element_rows(answer.elements, 0.5) if p)
        told = f"{likely}; which" if likely else "Which"
        return f"{told} phases there are cannot be told from these records."
    if answer.crystalline is False:
        return "Nothing crystalline is seen."
    if not answer.phases:
        return "Unknown: no phase of the library explains what was measured."
    names = []
    for phase in answer.phases:
        share = percent(phase.weight_fraction, phase.weight_fraction_su)
        name = phase.name if phase.confidence >= 0.5 else f"perhaps {phase.name}"
        names.append(name if share == "-" else f"{name} {share} wt%")
    text = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    if unknown >= LIKELY_UNKNOWN:
        of = " (of what is explained)" if "wt%" in text else ""
        return f"{text}{of}; and something that the library does not hold."
    return f"{text}."


def unknown_text(answer: Answer) -> str:
    """What is not explained, in words."""
    unknown = answer.unknown
    if without_diffraction(answer):
        return "Phases: no diffraction record could be used."
    if answer.crystalline is False:
        return (
            "No diffraction line stands out of the background: no phase is seen, and none missing."
        )
    curves = answer.curves
    share = None if curves is None else curves.unexplained_share(unknown.unexplained_peaks)
    parts = [f"Probability that the library lacks a phase: {chance(unknown.probability)}."]
    count = len(unknown.unexplained_peaks)
    if count:
        peaks = "1 peak has" if count == 1 else f"{count} peaks have"
        parts.append(f"{peaks} no explanation.")
    if share is not None and share > 0:
        parts.append(f"{about(share)} of the pattern's intensity is not explained.")
    return " ".join(parts)


def about(fraction: float) -> str:
    """A rough percentage in words: ``"About 3 %"``, ``"Less than 0.1 %"``."""
    if fraction < 0.001:
        return "Less than 0.1 %"
    return f"About {100 * fraction:.{1 if fraction < 0.01 else 0}f} %"


def formula_html(formula: str) -> str:
    """The formula with its numbers as subscripts; everything else is escaped."""
    from markupsafe import Markup, escape

    parts = re.split(r"(\d+(?:\.\d+)?)", formula)
    marked = [f"<sub>{part}</sub>" if i % 2 else str(escape(part)) for i, part in enumerate(parts)]
    return Markup("".join(marked))


def element_rows(
    elements: dict[str, Any], least: float = 0.05
) -> list[tuple[str, float | None, str]]:
    """(element, probability, in words), likeliest first; those below `least` are left out.

    The probability is None where there is none.
    """
    rows: list[tuple[str, float | None, str]] = []
    for name, value in elements.items():
        probability = value.get("probability") if isinstance(value, dict) else value
        if isinstance(probability, bool) or not isinstance(probability, (int, float)):
            probability = None
        rest = value
        if isinstance(value, dict):
            rest = {key: item for key, item in value.items() if key != "probability"}
            if set(rest) == {"sources"}:
                rest = rest["sources"]
        rows.append((name, probability, "" if rest in ({}, probability) else describe(rest)))
    kept = [row for row in rows if row[1] is None or row[1] >= least]
    return sorted(kept, key=lambda row: -2.0 if row[1] is None else -row[1])


def uncertain_rows(answer: Answer) -> list[tuple[str, str, tuple[float, ...]]]:
    """(phase, number, (total, by fit, by model, by instrument)); fractions in wt%."""
    rows = []
    for phase in answer.phases:
        for number, said in phase.uncertainty.items():
            unit = 100.0 if number == "weight_fraction" else 1.0
            parts = [unit * said[name] for name in ("fit", "model", "instrument")]
            label = "wt%" if number == "weight_fraction" else number
            rows.append((phase.name, label, (math.hypot(*parts), *parts)))
    return [row for row in rows if row[2][0] > 0.0]


def crystallites_text(phase: PhaseAnswer) -> str:
    """Size and microstrain of a phase in words; empty where its lines tell neither."""
    widths = phase.crystallites
    if widths is None or (widths.size_nm is None and widths.microstrain is None):
        return ""
    said = []
    if widths.size_nm is not None:
        said.append(f"crystallites of {with_uncertainty(widths.size_nm, widths.size_nm_su)} nm")
    if widths.microstrain is not None:
        strain, su = 100.0 * widths.microstrain, 100.0 * (widths.microstrain_su or 0.0)
        said.append(f"microstrain {with_uncertainty(strain, su)} %")
    note = "; apparent: the width of the instrument is in it" if widths.apparent else ""
    return f"{phase.name}: {', '.join(said)}{note}."


def missing_lines(curves: Curves | None) -> int:
    """Number of reflections that the answer expects and the pattern does not show."""
    return 0 if curves is None else sum(len(lines) for lines in curves.missing_deg.values())


def render(answer: Answer, picture: Picture | None, run: str = "") -> str:
    """The report as HTML, with the id of its run. Everything that came from outside is escaped.

    The only script that may run is the viewer of the pattern, known to the page by its hash.
    """
    from markupsafe import Markup

    script = files("xtalfuse.report").joinpath("viewer.js").read_text(encoding="utf-8")
    return render_page(
        "phases.html.j2",
        specimen=answer.specimen,
        warnings=answer.warnings,
        files=answer.files,
        seconds=answer.seconds,
        version=answer.version,
        run=run,
        answer=answer,
        notes=answer.notes,
        group=answer.group if answer.group != answer.specimen else "",
        headline=headline(answer),
        unknown_text=unknown_text(answer),
        likely_unknown=answer.unknown.probability >= LIKELY_UNKNOWN,
        picture=picture,
        panels=[Picture.of(panel_figure(panel), panel.title) for panel in answer.panels],
        uncertain=uncertain_rows(answer),
        crystallites=[text for phase in answer.phases if (text := crystallites_text(phase))],
        modalities=modalities(answer.phases),
        elements=element_rows(answer.elements),
        elements_in_all=len(answer.elements),
        missing_lines=missing_lines(answer.curves),
        curves=Markup(curves_json(answer)),
        script=Markup(script),
        script_hash=f"sha256-{as_base64(hashlib.sha256(script.encode()).digest())}",
        evidence=evidence_rows(answer),
        evidence_titles=TITLES,
        formula=formula_html,
        percent=percent,
        cell_text=cell_text,
        colour=phase_colour,
        symbol=space_group_symbol,
    )


def curves_json(answer: Answer) -> str:
    """What ``viewer.js`` draws: arrays as base64 of 32-bit floats; empty without a pattern.

    No ``<`` is left in it, so that no name can end the element it stands in.
    """
    curves = answer.curves
    if curves is None:
        return ""
    phases = []
    for index, phase in enumerate(answer.phases):
        share = percent(phase.weight_fraction, phase.weight_fraction_su)
        phases.append(
            {
                "label": phase.name if share == "-" else f"{phase.name} {share} wt%",
                "colour": phase_colour(index),
                "profile": _floats(curves.contributions.get(phase.entry, ())),
                "ticks": _floats(curves.ticks_deg.get(phase.entry, ())),
                "missing": _floats(curves.missing_deg.get(phase.entry, ())),
            }
        )
    content = {
        "x": _floats(curves.two_theta_deg),
        "observed": _floats(curves.observed),
        "calculated": _floats(curves.calculated),
        "background": _floats(curves.background),
        "least": least_variance(curves.observed),
        "wavelength": curves.wavelength_angstrom,
        "phases": phases,
        "unexplained": [
            (peak.two_theta_deg, peak.d_angstrom)
            for peak in sorted(answer.unknown.unexplained_peaks, key=lambda p: -p.significance)
            if peak.two_theta_deg is not None
        ],
    }
    return json.dumps(finite(content), allow_nan=False).replace("<", "\\u003c")


def _floats(values: Any) -> str:
    return as_base64(np.asarray(values, "<f4").tobytes())
