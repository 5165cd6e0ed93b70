"""``xtalfuse demo``: measured data that come with the dependencies, identified at once."""

from __future__ import annotations

from pathlib import Path

import typer

from xtalfuse import log
from xtalfuse.commands.identify import run
from xtalfuse.terminal import OutOption, RefineOption, opened, say, telling


def demo(out: OutOption = Path("xtalfuse-results"), refine: RefineOption = True) -> None:
    """Identify measured data that come with the dependencies."""
    from rich.text import Text

    from xtalfuse import batch
    from xtalfuse.demo import demo_jobs
    from xtalfuse.display import consoles, outcome_view
    from xtalfuse.options import make_folder

    with telling():
        known = dict(demo_jobs(out / "demo", refine))
        make_folder(out)
        opened(None)  # making it takes a while, the first time
    outcomes, stopped = run(list(known), 1)
    console = consoles()[0]
    if not log.is_quiet():
        for outcome in outcomes:
            console.print(outcome_view(outcome))
            console.print(Text(f"what is known: {known[outcome.job]}", style="dim"))
        console.print(Text("\nOpen a report in a browser:"))
    for outcome in outcomes:
        if outcome.report is not None:
            say(outcome.report.resolve())
    code = batch.exit_code(outcome.status for outcome in outcomes)
    raise typer.Exit(stopped or code)
