"""``xtalfuse evaluate`` and ``predict``: what a trained model is worth, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xtalfuse.commands.dataset import writing
from xtalfuse.commands.dataset_parts import show_rows
from xtalfuse.commands.learn.train import answering
from xtalfuse.terminal import JsonOption, print_json, progress_bar, remark, say

ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of the model.")]


def evaluate(
    model: ModelArgument,
    dataset: Annotated[
        Path | None, typer.Argument(help="Another dataset; by default that of the training.")
    ] = None,
    part: Annotated[str | None, typer.Option(help="Of the split; all others by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge a model on records that it never saw, beside plain models, and say which to use.

    [bold]Example[/bold]

    xtalfuse evaluate hardness-model/
    """
    with answering(model):
        from xtalfuse.datasets.records.dataset import Dataset
        from xtalfuse.tasks.train.evaluate import as_rows, unlearned
        from xtalfuse.tasks.train.evaluate import evaluate as judged
        from xtalfuse.tasks.train.predictor import load

        trained = load(model)
        given = Dataset(dataset) if dataset else unlearned(trained, part)
        found = judged(trained, given)
    if as_json:
        print_json([each.to_dict() for each in found])
        return
    for each in found:
        show_rows(as_rows(each))
        say(each.conclusion)


def predict(
    model: ModelArgument,
    records: Annotated[
        list[Path], typer.Argument(help="Datasets, manifests, files or folders of specimens.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="FILE.csv, .parquet or .json.")] = Path(
        "predictions.csv"
    ),
    contributions: Annotated[
        bool, typer.Option(help="Also each answer without each of the inputs.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Predict labels with intervals, and say which records are unlike all of the training.

    [bold]Example[/bold]

    xtalfuse predict hardness-model/ new-alloys/ -o hardness.csv
    """
    with answering(out):
        from xtalfuse.tasks.train.predict import predict as said_of
        from xtalfuse.tasks.train.predict import table_writer
        from xtalfuse.tasks.train.predictor import load

        write = table_writer(out)
        trained = load(model)
        with progress_bar("predicting") as tell:
            table = said_of(
                trained, records, contributions=contributions,
                tell=lambda done, of: tell(done, of, ""),
            )  # fmt: skip
        if not as_json:
            writing(out, lambda path: write(table, path))
    if as_json:
        print_json(table.to_dict("records"))
        return
    unlike = int(table["unlike_training"].sum())
    say(out)
    if unlike:
        remark(f"{unlike} of {len(table)} records are unlike the training; see never_trained_on")
