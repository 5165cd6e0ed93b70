"""The command that prints the form of what a task writes."""

from __future__ import annotations

from typing import Annotated

import typer

from xtalfuse.terminal import print_json, telling


def schema(
    task: Annotated[str, typer.Argument(metavar="TASK", help="identify or microstructure.")],
) -> None:
    """Print the JSON Schema of what a task writes.

    [bold]Examples[/bold]

    xtalfuse schema identify > result.schema.json

    xtalfuse schema microstructure
    """
    from xtalfuse.options import UsageError
    from xtalfuse.physics.registry import UnknownNameError
    from xtalfuse.tasks import TASKS

    with telling():
        try:
            result = TASKS[task].result
        except UnknownNameError as error:
            raise UsageError(str(error)) from None
    print_json(result.schema())
