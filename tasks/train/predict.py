"""What a trained model says of records that have no label."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xtalfuse.datasets.records.build import INDEX, build
from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.encoders.tokens.base import Item
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.tasks.train.config import ConfigError
from xtalfuse.tasks.train.examples import items_of, pattern_of
from xtalfuse.tasks.train.predictor import Predictor

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

TABLES = (".csv", ".jsonl", ".parquet")
CHUNK = 256  # records whose tokens are in memory at once


def predict(
    model: Predictor,
    places: Sequence[Path],
    *,
    contributions: bool = False,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> pd.DataFrame:
    """A row for each record: answers with intervals, and how far each is from training.

    Parameters
    ----------
    places : datasets, manifests (with the columns that the model knows as labels), and files or
        folders of specimens
    contributions : also how much each answer changes without each input

    Raises
    ------
    ConfigError
        If a column of the model is in none of the records of a dataset; UnreadableFileError if a
        place cannot be read.
    """
    import pandas as pd

    with ExitStack() as stack:
        items = [item for place in places for item in _items(model, place, stack)]
        rows: list[dict[str, Any]] = []
        for start in range(0, len(items), CHUNK):
            rows += _said(model, items[start : start + CHUNK], contributions)
            tell(len(rows), len(items))
    return pd.DataFrame(rows)


def _items(model: Predictor, place: Path, stack: ExitStack) -> list[Item]:
    """The specimens of a dataset, of a manifest, or of a file or folder of an instrument."""
    columns = model.config.columns
    if place.suffix.lower() in TABLES and _is_manifest(place):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        build(place, folder / "asked")
        place = folder / "asked"
    if (place / INDEX).is_file():
        dataset = Dataset(place)
        return items_of(dataset, [name for name in columns if name in dataset.labels])
    from xtalfuse.loaders.specimen import load_specimen

    record = load_specimen(place)
    why = "; ".join(f"{f.path}: {f.reason}" for f in record.files if not f.used)
    if not record.measurements:
        raise UnreadableFileError(f"{place}: nothing to predict from ({why})")
    if why:
        logger.warning("%s", why)
    return [Item(record.specimen, lambda: record.measurements)]


def _is_manifest(place: Path) -> bool:
    """Whether a table has a row for each specimen; else it is the file of an instrument."""
    if place.suffix.lower() != ".csv":
        return True
    head = place.read_text(encoding="utf-8-sig", errors="replace").partition("\n")[0]
    return "id" in [name.strip().strip('"') for name in head.split(",")]


def _said(model: Predictor, items: Sequence[Item], contributions: bool) -> list[dict[str, Any]]:
    """Rows of the table for some specimens."""
    from xtalfuse.tasks.train.baselines import matrix

    encoded = [model.encode(item) for item in items]
    inputs = list(model.network.inputs)
    lesser = {
        name: [k for k, row in enumerate(encoded) if name in row and len(row) > 1]
        for name in (inputs if contributions else ())
    }
    asked = list(encoded)
    for name, places in lesser.items():
        asked += [{n: t for n, t in encoded[k].items() if n != name} for k in places]
    answers = model.say(asked)
    far = model.distance.of(
        model.features, matrix(encoded, model.network.inputs), model.network.inputs
    )
    rows: list[dict[str, Any]] = []
    for k, item in enumerate(items):
        row: dict[str, Any] = {"id": item.id}
        for head in model.heads:
            row |= _answer(head, answers[head.name], k)
        unseen = model.unseen(item)
        pattern = pattern_of(encoded[k])
        if pattern not in model.about["patterns"]:
            unseen.append(f"only {pattern}")
        row |= {
            "inputs": pattern,
            "distance": float(far[k]),
            "unlike_training": bool(unseen) or not far[k] <= 1.0,
            "never_trained_on": "; ".join(unseen),
        }
        rows.append(row)
    at = len(items)
    for name, places in lesser.items():
        for k in places:
            for head in model.heads:
                value = answers[head.name].value
                rows[k][f"{head.name}.without_{name}"] = float(value[at])
            at += 1
    return rows


def _answer(head: Any, said: Any, k: int) -> dict[str, Any]:
    """Cells of one target."""
    if head.kind == "class":
        names = said.classes[k]
        return {
            head.name: names[0],
            f"{head.name}.probability": float(said.value[k]),
            f"{head.name}.classes": "; ".join(names),
        }
    named = f"{head.name}[{head.unit}]"
    return {
        named: float(said.value[k]),
        f"{named}.low": float(said.low[k]),
        f"{named}.high": float(said.high[k]),
    }


def table_writer(place: Path) -> Callable[[pd.DataFrame, Path], Any]:
    """What writes a table in the format that its name asks for.

    Raises
    ------
    ConfigError
        If the name has no known ending.
    """
    kinds: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
        ".csv": lambda table, path: table.to_csv(path, index=False),
        ".parquet": lambda table, path: table.to_parquet(path, index=False),
        ".json": lambda table, path: table.to_json(path, orient="records", indent=1),
    }
    if place.suffix.lower() in kinds:
        return kinds[place.suffix.lower()]
    raise ConfigError(f"{place}: a table is .csv, .parquet or .json; give it one of these endings")
