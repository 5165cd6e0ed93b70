"""The command that lists the crystals whose elastic constants are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from xtalfuse.terminal import JsonOption, print_json, telling

if TYPE_CHECKING:
    from xtalfuse.datasets.constants.elastic import ElasticRecord


def materials(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Id, name or formula; all if not given.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the materials that --phases of `xtalfuse microstructure` knows, with their moduli.

    [bold]Examples[/bold]

    xtalfuse materials

    xtalfuse materials nickel
    """
    from xtalfuse.datasets.constants.elastic import elastic_constants, elastic_records
    from xtalfuse.options import UsageError

    with telling():
        try:
            records = elastic_records() if name is None else (elastic_constants(name),)
        except ValueError as error:
            raise UsageError(str(error)) from None
    rows = [_row(record) for record in records]
    if as_json:
        print_json(rows[0] if name is not None else rows)
    else:
        _show(rows, with_source=name is not None)


def _row(record: ElasticRecord) -> dict[str, Any]:
    """What is known of one crystal; moduli are Hill's of a polycrystal without texture."""
    import numpy as np

    from xtalfuse.physics.mechanics.isotropic import isotropic_moduli

    to_voigt = np.sqrt(np.repeat([1.0, 2.0], 3))
    return {
        "id": record.id,
        "name": record.name,
        "formula": record.formula,
        "laue": record.laue,
        **{
            f"{kind}_gpa" if kind.endswith("modulus") else kind: value
            for kind, value in isotropic_moduli(record.stiffness).items()
        },
        "stiffness_voigt_gpa": (record.stiffness / np.outer(to_voigt, to_voigt)).tolist(),
        "temperature_k": record.temperature_k,
        "relative_uncertainty": record.relative_uncertainty,
        "citation": record.citation,
        "note": record.note,
    }


def _show(rows: list[dict[str, Any]], with_source: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from xtalfuse.display import consoles

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("id", no_wrap=True)
    for heading in ("name", "formula", "Laue group"):
        table.add_column(heading)
    for heading in ("E (GPa)", "K", "G"):
        table.add_column(heading, justify="right")
    for row in rows:
        moduli = (row[f"{kind}_modulus_gpa"] for kind in ("youngs", "bulk", "shear"))
        words = (row["id"], row["name"], row["formula"], row["laue"])
        table.add_row(*words, *(f"{value:.1f}" for value in moduli))
    console = consoles()[0]
    console.print(table)
    if with_source:
        for row in rows:
            console.print(Text(" ".join(filter(None, (row["citation"], row["note"])))))
