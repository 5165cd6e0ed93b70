"""``xtalfuse train``: any label of a dataset, from whatever records it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xtalfuse.commands.dataset import writing
from xtalfuse.commands.dataset_parts import asked
from xtalfuse.terminal import JsonOption, print_json, progress_bar, remark, say

if TYPE_CHECKING:
    from xtalfuse.tasks.train.fit import Prepared
    from xtalfuse.tasks.train.predictor import Predictor

DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, mps or xpu.")]


@contextmanager
def answering(out: Path) -> Iterator[None]:
    """What is wrong in a configuration is told as wrong use, one line for each mistake."""
    from xtalfuse.options import UsageError

    with asked(out):
        from xtalfuse.tasks.train.config import ConfigError

        try:
            yield
        except (ConfigError, FloatingPointError) as error:
            raise UsageError(str(error)) from None


def train(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG.yaml", help="What to learn, from what.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="New folder of the model, or CONFIG.yaml.")
    ] = None,
    init: Annotated[
        Path | None, typer.Option(metavar="DATASET", help="Write a configuration for a dataset.")
    ] = None,
    target: Annotated[list[str] | None, typer.Option(help="With --init: label to learn.")] = None,
    given: Annotated[
        list[str] | None, typer.Option(help="With --init: label that is known beforehand.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Say what would be done, and its time.")] = False,
    baselines: Annotated[bool, typer.Option(help="Only the plain models, on the folds.")] = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Train a predictor of labels, or go on with one that was stopped.

    Each network is judged on the fold of records that it did not see, beside plain models of
    scikit-learn. It has a share in the answer only where that is better.

    [bold]Examples[/bold]

    xtalfuse train --init steels/ --target hardness --given processing -o hardness.yaml

    xtalfuse train hardness.yaml --dry-run

    xtalfuse train hardness.yaml -o hardness-model/
    """
    from xtalfuse.options import UsageError

    place = out or Path("train.yaml" if init else "model")
    with answering(place):
        if (init is None) == (config is None):
            raise UsageError("give CONFIG.yaml, or --init DATASET to have one written")
        if init is not None:
            _write_config(init, place, target or [], given or [])
            return
        from xtalfuse.tasks.train.config import read_config
        from xtalfuse.tasks.train.fit import prepare

        made = prepare(read_config(str(config)))
        if dry_run or baselines:
            content = _planned(made) if dry_run else _plain(made)
        else:
            content = _trained(made, place, device)
    if as_json:
        print_json(content)
    else:
        _show(content)


def _write_config(init: Path, place: Path, target: list[str], given: list[str]) -> None:
    from xtalfuse.datasets.records.dataset import Dataset
    from xtalfuse.tasks.train.init import as_yaml, first_config

    content = first_config(Dataset(init), target, given)
    text = as_yaml({**content, "dataset": str(init.absolute())})
    writing(place, lambda path: path.write_text(text, encoding="utf-8"))
    say(place)


def _planned(made: Prepared) -> dict[str, Any]:
    from xtalfuse.tasks.train.plan import plan

    return plan(made)


def _plain(made: Prepared) -> dict[str, Any]:
    """Mean loss of each baseline on unseen folds; no network is trained."""
    from xtalfuse.tasks.train.fit import unseen_losses

    return {"loss on unseen folds": unseen_losses(made)}


def _trained(made: Prepared, place: Path, device: str) -> dict[str, Any]:
    from xtalfuse.fusion.training.device import world
    from xtalfuse.tasks.train.fit import finished, fit, tidy
    from xtalfuse.tasks.train.predictor import save

    model = finished(made, place)
    if model is not None:
        remark(f"{place}: trained already; give another folder to train anew")
        return _results(model, place)
    with world(device) as here, progress_bar("training") as tell:
        model = fit(made, place, here, tell)
        if here.first:
            save(place, model)
            tidy(place)
    return _results(model, place)


def _results(model: Predictor, place: Path) -> dict[str, Any]:
    return {
        "model": str(place),
        "records": model.about["records"],
        "inputs": model.about["patterns"],
        "answers": {name: rule.by for name, rule in model.rules.items()},
        "loss on unseen folds": {
            name: found["loss"] for name, found in model.about["unseen_folds"].items()
        },
    }


def _show(content: dict[str, Any]) -> None:
    from rich.text import Text

    from xtalfuse.display import consoles, facts, shown

    table = facts()
    for name, value in content.items():
        if name == "loss on unseen folds":
            value = {f"{t}, {who}": f"{x:.4f}" for t, all_ in value.items()
                     for who, x in sorted(all_.items(), key=lambda pair: pair[1])}  # fmt: skip
        inside = value.items() if isinstance(value, dict) else ()
        lines = [f"{k}: {v}" for k, v in inside] or [str(value)]
        table.add_row(name, Text("\n".join(shown(line) for line in lines)))
    consoles()[0].print(table)
