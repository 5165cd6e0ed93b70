"""``xtalfuse dataset``: what is done with datasets that are built: split, test, join, hand on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from xtalfuse.commands.dataset import FolderArgument, app, writing
from xtalfuse.terminal import JsonOption, cores, print_json, progress_bar, say, telling

SeedOption = Annotated[int, typer.Option(help="Of the order of the groups.")]


@contextmanager
def asked(out: Path) -> Iterator[None]:
    """What cannot be done with a dataset, or written to `out`: one line, exit code 2."""
    from xtalfuse.batch import not_written
    from xtalfuse.options import UsageError

    with telling():
        try:
            yield
        except KeyError as error:
            raise UsageError(str(error.args[0])) from None
        except ValueError as error:
            raise UsageError(str(error)) from None
        except OSError as error:
            raise UsageError(not_written(error, out)) from None


@app.command()
def split(
    folder: FolderArgument,
    by: Annotated[
        str,
        typer.Option(
            help="What no two parts share: id, group, composition, system, prototype, "
            "source, instrument or time."
        ),
    ] = "group",
    shares: Annotated[str, typer.Option(help="Share of each part.")] = "train=0.8,test=0.2",
    name: Annotated[str | None, typer.Option(help="Of the split; by default that of --by.")] = None,
    stratify: Annotated[
        str, typer.Option(metavar="NAME", help="Label or column that all parts get alike.")
    ] = "",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Split a dataset into parts that share nothing; near duplicates stay together.

    The split is kept in the dataset, which may have many. By time, the earliest records are in
    the first part. Records of which it is not known what --by asks for are in no part.

    [bold]Examples[/bold]

    xtalfuse dataset split steels/ --by source

    xtalfuse dataset split steels/ --by system --shares train=0.7,val=0.1,test=0.2 --seed 3
    --stratify yield_strength --name systems
    """
    with asked(folder):
        from xtalfuse.datasets.records.dataset import Dataset
        from xtalfuse.datasets.splits.split import split as split_of
        from xtalfuse.datasets.splits.split import split_path, write_split

        dataset = Dataset(folder)
        split_path(dataset.folder, name or by)
        made = split_of(dataset, _shares(shares), by, seed, stratify)
        path = write_split(dataset.folder, name or by, made, dataset.build_sha256)
    if as_json:
        print_json({"name": name or by, "by": by, "seed": seed, "counts": made.counts,
                    "left_out": list(made.left_out)})  # fmt: skip
        return
    told = ", ".join(f"{part} {count}" for part, count in made.counts.items())
    if made.left_out:
        told += f"; in no part {len(made.left_out)}, whose {by} is not known"
    say(f"{path}: {told}")


def _shares(text: str) -> dict[str, float]:
    pairs = [pair.partition("=") for pair in text.split(",")]
    try:
        found = {name.strip(): float(share) for name, _, share in pairs}
    except ValueError:
        found = {}
    if not all(found) or len(found) < max(len(pairs), 2):
        raise ValueError(f"--shares {text}: write it as train=0.8,test=0.2")
    return found


@app.command()
def leakage(
    folder: FolderArgument,
    label: Annotated[str, typer.Option(help="Numeric label that is predicted.")],
    by: Annotated[
        list[str] | None, typer.Option(help="As of split; by default all that have sets enough.")
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL", help="Label known beforehand, as the temperature of a test."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=2, help="Cuts of each kind.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Test a quick baseline on random parts and on whole sets of records.

    What a random split promises and a split by source does not keep is leakage. Beside it stands
    what no model can pass, because replicates scatter. The report is kept for the card.

    [bold]Example[/bold]

    xtalfuse dataset leakage steels/ --label yield_strength --by source --given temperature
    """
    with asked(folder):
        from xtalfuse.datasets.records.card import noise_of, write_leakage
        from xtalfuse.datasets.records.dataset import Dataset
        from xtalfuse.datasets.splits.leakage import SHARED_TEXT, as_rows
        from xtalfuse.datasets.splits.leakage import leakage as tested

        dataset = Dataset(folder)
        with progress_bar("testing") as tell:
            report = tested(
                dataset, label, by or (), given or (), seeds, cores(),
                lambda done, of: tell(done, of, ""),
            )  # fmt: skip
        write_leakage(dataset, report)
    if as_json:
        from dataclasses import asdict

        print_json({**asdict(report), "conclusion": report.conclusion})
        return
    show_rows(as_rows(report))
    say(SHARED_TEXT)
    say(f"{report.label} of {report.records} records, from {report.features}. {noise_of(report)}")
    say(report.conclusion)


def show_rows(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from xtalfuse.display import consoles, shown

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(str(value))) for value in row.values()))
    consoles()[0].print(table)


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="DATASET...", help="Two or more.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder.")],
    as_json: JsonOption = False,
) -> None:
    """Join datasets into a new one; their files are linked, not copied, where that is possible.

    [bold]Example[/bold]

    xtalfuse dataset merge steels/ titanium/ -o metals/
    """
    with asked(out):
        from xtalfuse.datasets.records.merge import merge as merged

        dataset = merged(folders, out)
    refused = dataset.built["refused"]
    if as_json:
        print_json({"out": str(dataset.folder), "records": len(dataset), "refused": refused})
    else:
        say(f"{out}: {len(dataset)} records, {refused} specimens refused")


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Dataset.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Dataset.")],
    as_json: JsonOption = False,
) -> None:
    """Tell two builds apart, record by record, with the reason of what is refused since.

    [bold]Example[/bold]

    xtalfuse dataset diff steels-1/ steels-2/
    """
    with telling():
        from dataclasses import asdict

        from xtalfuse.datasets.records.dataset import Dataset
        from xtalfuse.datasets.records.merge import diff as changes_of

        changes = changes_of(Dataset(old), Dataset(new))
    if as_json:
        print_json([asdict(change) for change in changes])
    elif not changes:
        say("the same records")
    else:
        show_rows([asdict(change) for change in changes])


@app.command()
def export(
    folder: FolderArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="FILE.parquet or FILE.csv.")],
) -> None:
    """Write the table of the records: labels that may be used, and the part in each split.

    [bold]Example[/bold]

    xtalfuse dataset export steels/ -o steels.csv
    """
    from xtalfuse.options import UsageError

    with telling():
        if out.suffix.lower() not in (".parquet", ".csv"):
            raise UsageError(f"{out}: a table is .parquet or .csv; give it one of these endings")
        from xtalfuse.datasets.records.dataset import Dataset
        from xtalfuse.datasets.records.merge import export_table

        table = export_table(Dataset(folder))
        write = table.to_csv if out.suffix.lower() == ".csv" else table.to_parquet
        writing(out, lambda place: write(place, index=False))
    say(out)


@app.command()
def card(
    folder: FolderArgument,
    description: Annotated[str, typer.Option(help="What it is, in a sentence.")] = "",
    url: Annotated[str, typer.Option(help="Where it is published.")] = "",
    creator: Annotated[str, typer.Option(help="Who made it.")] = "",
    licence: Annotated[str, typer.Option(help="Of the whole, where records do not say.")] = "",
    cite: Annotated[str, typer.Option(help="How to cite it.")] = "",
) -> None:
    """Write README.md and croissant.json into a dataset: what it holds and what it can teach.

    [bold]Example[/bold]

    xtalfuse dataset card steels/ --creator "A. Smith" --licence CC-BY-4.0
    """
    given = {"description": description, "url": url, "creator": creator, "licence": licence,
             "cite": cite}  # fmt: skip
    with asked(folder):
        from xtalfuse.datasets.records.card import write_card
        from xtalfuse.datasets.records.dataset import Dataset

        places = write_card(Dataset(folder), {k: v for k, v in given.items() if v})
    for place in places:
        say(place)
