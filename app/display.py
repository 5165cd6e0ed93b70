"""What the terminal shows: an answer, a file, a phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from xtalfuse.map_view import map_rows

if TYPE_CHECKING:
    import numpy as np

    from xtalfuse.batch import Outcome
    from xtalfuse.datasets.library.build import Entry
    from xtalfuse.loaders.record import Measurement
    from xtalfuse.tasks.identify.answer import Answer

BLOCKS = " ▁▂▃▄▅▆▇█"
WIDEST_LIST = 6  # unexplained peaks and look-alikes that a terminal shows; the report has all


def shown(text: object) -> str:
    """Text from outside, safe to print: control characters could steer the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def facts() -> Table:
    """A table to be filled with names and what is known under them."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    return table


def _unbroken(text: str, style: str) -> Text:
    """A line that is never wrapped: a path must stay one that can be copied."""
    return Text(text, style=style, no_wrap=True, overflow="ignore")


def _heading(text: str) -> Text:
    return _unbroken(f"\n{text}", "bold")


def outcome_view(outcome: Outcome) -> RenderableType:
    """One specimen: its answer, or why there is none."""
    answer = outcome.answer
    name = shown(answer.specimen if answer else outcome.job.path)
    lines: list[RenderableType] = [_heading(name)]
    if answer is None:
        lines.append(Text(shown(outcome.error), style="red"))
        return Group(*lines)
    none = "nothing crystalline is seen" if answer.crystalline is False else "unknown"
    lines.append(_phases_table(answer) if answer.phases else Text(none, "bold red"))
    lines += [Text(line) for line in (*_element_lines(answer), *_unknown_lines(answer))]
    lines += [Text(f"warning: {shown(text)}", style="yellow") for text in answer.warnings]
    lines += [
        Text(f"not used: {shown(file.path)}: {shown(file.reason)}", style="yellow")
        for file in answer.files
        if not file.used
    ]
    lines.append(_unbroken(f"report: {shown(outcome.report)}", "dim"))
    return Group(*lines)


def _phases_table(answer: Answer) -> Table:
    from xtalfuse.report.notation import cell_text, chance, percent

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("phase", "formula", "space group"):
        table.add_column(heading)
    explained = answer.fractions_of == "explained"
    table.add_column("wt% of explained" if explained else "wt%", justify="right")
    table.add_column("cell", no_wrap=True)
    table.add_column("confidence", justify="right")
    for phase in answer.phases:
        name = Text(shown(phase.name), style="bold")
        if phase.equivalents:
            others = ", ".join(shown(entry) for entry in phase.equivalents[:WIDEST_LIST])
            more = len(phase.equivalents) - WIDEST_LIST
            name.append(f"\nor {others}{f' and {more} more' if more > 0 else ''}", style="dim")
        table.add_row(
            name,
            shown(phase.formula),
            str(phase.space_group_number),
            percent(phase.weight_fraction, phase.weight_fraction_su),
            "\n".join(cell_text(phase.cell, phase.cell_su, phase.space_group_number)),
            Text(chance(phase.confidence), style=_trust(phase.confidence)),
        )
    return table


def _trust(probability: float) -> str:
    return "green" if probability >= 0.9 else "yellow" if probability >= 0.5 else "red"


def _element_lines(answer: Answer) -> list[str]:
    """The elements that spectra show, where there are any."""
    from xtalfuse.report.notation import chance
    from xtalfuse.report.phases import element_rows

    likely = [
        f"{shown(name)} {chance(probability)}"
        for name, probability, source in element_rows(answer.elements, least=0.5)
        if probability is not None and source != "given"
    ]
    return [f"elements: {', '.join(likely)}"] if likely else []


def _unknown_lines(answer: Answer) -> list[str]:
    from xtalfuse.report.notation import chance
    from xtalfuse.report.phases import without_diffraction

    if without_diffraction(answer) or answer.crystalline is False:
        return []
    peaks = answer.unknown.unexplained_peaks
    lines = [f"a phase that the library lacks: {chance(answer.unknown.probability)}"]
    if peaks:
        strongest = sorted(peaks, key=lambda peak: -peak.relative_intensity)[:WIDEST_LIST]
        listed = ", ".join(
            f"{peak.d_angstrom:.3f} Å ({100 * peak.relative_intensity:.1f} %)" for peak in strongest
        )
        count = "1 unexplained peak" if len(peaks) == 1 else f"{len(peaks)} unexplained peaks"
        lines.append(f"{count}, strongest: {listed}")
    return lines


def sparkline(values: np.ndarray, width: int = 72) -> str:
    """The course of a curve in one line of text: the maximum of each of `width` stretches."""
    import numpy as np

    finite = np.where(np.isfinite(values), values, np.nan)
    parts = np.array_split(finite, min(width, len(finite)))
    tops = np.array([np.nanmax(part) if np.isfinite(part).any() else 0.0 for part in parts])
    span = float(tops.max() - tops.min()) or 1.0
    levels = np.sqrt((tops - tops.min()) / span) * (len(BLOCKS) - 1)
    return "".join(BLOCKS[round(level)] for level in levels)


def measurement_view(measurement: Measurement) -> RenderableType:
    """What a file holds and how far it can be trusted."""
    import numpy as np

    source = measurement.provenance
    table = facts()

    def row(name: str, text: str, style: str = "") -> None:
        table.add_row(name, Text(shown(text), style=style))

    row("holds", KINDS.get(str(measurement.modality), str(measurement.modality)))
    row("reader", source.reader)
    values = np.asarray(measurement.values)
    if measurement.crystal_map is not None:
        for name, said in map_rows(measurement.crystal_map):
            row(name, said)
    else:
        for axis in measurement.axes:
            row(axis.name, _axis_text(axis.name, axis.unit, np.asarray(axis.values)))
        row("values", _range_text(values, measurement.value_unit))
    if measurement.radiation is not None:
        lines = ", ".join(f"{w:.6g} Å" for w in measurement.radiation.wavelengths_angstrom)
        row("radiation", f"{measurement.radiation.name} ({lines})")
    calibration = str(measurement.calibration)
    row("calibration", calibration, "green" if calibration == "known" else "yellow")
    row("sha256", source.sha256)
    for key, value in source.metadata.items():
        row(key, value if len(str(value)) < 200 else f"{str(value)[:200]}…", "dim")
    parts: list[RenderableType] = [_heading(shown(source.path)), table]
    if values.ndim == 1 and len(values):
        parts.append(Text(sparkline(np.nan_to_num(values.real.astype(float))), style="cyan"))
    if values.ndim == 3 and str(measurement.modality) == "ct":
        parts.append(Text(f"how often each value occurs: {_histogram(values)}", style="cyan"))
    parts += [Text(f"warning: {shown(text)}", style="yellow") for text in source.warnings]
    parts.append(_verdict(measurement))
    return Group(*parts)


def _range_text(values: np.ndarray, unit: str) -> str:
    import numpy as np

    # picture by picture: a volume may be larger than memory
    parts = values if values.ndim > 2 else values[None]
    lowest = min(float(np.nanmin(part.real)) for part in parts)
    highest = max(float(np.nanmax(part.real)) for part in parts)
    return f"{lowest:.6g} to {highest:.6g} {unit}"


def _histogram(values: np.ndarray) -> str:
    """How often the values of some slices occur, from the lowest to the highest."""
    import numpy as np

    some = np.stack([values[i] for i in np.linspace(0, len(values) - 1, 16).astype(int)])
    return sparkline(np.histogram(some, 48)[0].astype(float), 48)


KINDS = {
    "xrd": "powder X-ray diffraction pattern", "eels": "electron energy-loss spectrum",
    "eds": "X-ray emission spectrum", "diffraction": "electron diffraction pattern",
    "image": "real-space image", "ebsd": "map of crystal orientations",
    "ct": "volume of grey values or labels", "other": "something that nothing here uses yet",
}  # fmt: skip


def _axis_text(name: str, unit: str, values: np.ndarray) -> str:
    if len(values) < 2:
        return f"{len(values)} point"
    step = (values[-1] - values[0]) / (len(values) - 1)
    return f"{values[0]:.6g} to {values[-1]:.6g} {unit}, {len(values)} points, step {step:.4g}"


def doubts(measurement: Measurement) -> list[str]:
    """What speaks against trusting a measurement."""
    found = list(measurement.provenance.warnings)
    if str(measurement.calibration) != "known":
        found.insert(0, f"the calibration is {measurement.calibration}")
    return found


def _verdict(measurement: Measurement) -> Text:
    said = doubts(measurement)
    count = len(measurement.provenance.warnings)
    if count:  # they stand above, whole
        said[-count:] = ["see the warnings" if count > 1 else "see the warning"]
    if said:
        return Text(f"Read with care: {'; '.join(said)}.", style="bold yellow")
    return Text("Nothing speaks against trusting it.", style="bold green")


def entry_view(entry: Entry, equivalents: tuple[str, ...], lines: list[tuple]) -> RenderableType:
    """A phase of the library: structure, source and strongest lines."""
    crystal = entry.crystal
    table = facts()
    names = ("a", "b", "c", "alpha", "beta", "gamma")
    cell = ", ".join(f"{name} {value:g}" for name, value in zip(names, crystal.cell, strict=True))
    for name, text in (
        ("id", entry.id),
        ("formula", entry.formula),
        ("space group", f"{crystal.space_group} ({crystal.space_group_number})"),
        ("cell", cell),
        ("density", f"{crystal.density_g_cm3:.3f} g/cm³"),
        ("look-alikes", ", ".join(equivalents) or "none in this library"),
        ("source", entry.source),
        ("citation", entry.citation),
    ):
        table.add_row(name, Text(shown(text)))
    sites = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("site", "x", "y", "z", "occupancy", "B (Å²)"):
        sites.add_column(heading, justify="left" if heading == "site" else "right")
    for site in crystal.sites:
        numbers = [f"{x:.5f}" for x in site.position]
        sites.add_row(shown(site.species), *numbers, f"{site.occupancy:g}", f"{site.b_iso:.2f}")
    peaks = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("h k l", "d (Å)", "2θ (Cu Kα)", "I"):
        peaks.add_column(heading, justify="right")
    for hkl, d, two_theta, intensity in lines:
        angle = f"{two_theta:.3f}" if two_theta == two_theta else "-"
        peaks.add_row(" ".join(map(str, hkl)), f"{d:.4f}", angle, f"{intensity:.1f}")
    return Group(
        _heading(shown(entry.name)),
        table,
        Text(""),
        sites,
        Text("\nstrongest lines", style="dim"),
        peaks,
    )


def consoles() -> tuple[Console, Console]:
    """(answers on stdout, everything else on stderr)."""
    return Console(highlight=False), Console(stderr=True, highlight=False)
