"""Write a training set: ``python -m xtalfuse.datasets.sets NAME --out DIR --count N``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from xtalfuse.datasets.sets import SAMPLE_SETS
from xtalfuse.datasets.sets.base import generate
from xtalfuse.physics.registry import UnknownNameError


def main(arguments: Sequence[str] | None = None) -> None:
    """Generate a set from the command line, with a progress bar."""
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    kinds = ", ".join(SAMPLE_SETS)
    parser = argparse.ArgumentParser(
        "python -m xtalfuse.datasets.sets", description="Generate a set of labelled samples."
    )
    parser.add_argument("name", help=f"kind of set: {kinds}")
    parser.add_argument("--out", type=Path, required=True, help="folder of the set")
    parser.add_argument("--count", type=int, default=400, help="samples of each group")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard", type=int, default=25, help="samples of one file")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("name", nargs="?", default="")
    name = first.parse_known_args(arguments)[0].name
    if not name:
        parser.parse_args(arguments)  # help, or what is missing
    try:
        kind = SAMPLE_SETS[name]
    except UnknownNameError as error:
        parser.error(str(error))
    kind.add_arguments(parser)
    given = parser.parse_args(arguments)
    recipes = kind.recipes(given)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task(kind.name, total=given.count * len(recipes))
        generate(
            kind,
            given.out,
            recipes,
            given.count,
            shard_size=given.shard,
            jobs=given.jobs,
            progress=lambda samples: bar.advance(task, samples),
        )


if __name__ == "__main__":
    main()
