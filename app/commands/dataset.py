"""``xtalfuse dataset``: mixed instrument files become one clean dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xtalfuse.terminal import (
    JsonOption,
    LibraryOption,
    cores,
    opened,
    print_json,
    progress_bar,
    remark,
    say,
    telling,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from xtalfuse.datasets.records.build import BuildReport

app = typer.Typer(
    help="Datasets: many records of any instrument, built, checked, split, read.",
    no_args_is_help=True,
)
FolderArgument = Annotated[Path, typer.Argument(metavar="DATASET", help="Folder of the dataset.")]
MOST_LISTED = 20


@app.command()
def template(
    data: Annotated[Path, typer.Argument(help="Folder of the files, a table, or metadata.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The manifest to write.")] = Path(
        "manifest.csv"
    ),
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="COL=NAME[UNIT]", help="Of a table: column of a label."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="COL=NAME", help="Of a table: column of the manifest's NAME."),
    ] = None,
    of_id: Annotated[str | None, typer.Option("--id", help="Of a table: column of the id.")] = None,
    composition: Annotated[str | None, typer.Option(help="Column of the composition.")] = None,
    source: Annotated[str | None, typer.Option(help="Column of the DOI or laboratory.")] = None,
    folders: Annotated[
        bool, typer.Option("--folders", help="Each folder with files is one specimen.")
    ] = False,
) -> None:
    """Write a manifest of a folder, or of a table without files, to be completed by hand.

    A row stands for each specimen; of a table without --id each row is one. Archives of NOMAD
    (JSON) and datasets with Croissant metadata beside their files are read, too.

    [bold]Examples[/bold]

    xtalfuse dataset template measurements/ -o manifest.csv

    xtalfuse dataset template alloys.csv --composition formula --target "YS=yield_strength[MPa]"
    """
    import csv

    from xtalfuse.datasets.manifest.archives import archive_rows, described_rows
    from xtalfuse.datasets.manifest.template import template as rows_of

    with telling():
        named = {"id": of_id, "composition": composition, "source": source}
        columns = {name: given for name, given in named.items() if given}
        columns |= _named(column, "--column")
        root, start = data if data.is_dir() else data.parent, out.absolute().parent
        rows = archive_rows(data) if data.is_dir() and not folders else []
        if rows:
            remark(f"{len(rows)} archives of NOMAD; what they do not name is in no row")
        elif data.is_dir():
            rows, left_out = rows_of(data, whole=folders)
            listed = ", ".join(f"{n} {ending}" for ending, n in left_out.most_common())
            if listed:
                remark(f"not of an instrument, and left out: {listed}")
        else:
            rows = described_rows(data, columns, _named(target, "--target"))
        inside = root.resolve().is_relative_to(start.resolve())
        for row in (row for row in rows if inside and "path" in row):
            row["path"] = (root.resolve().relative_to(start.resolve()) / row["path"]).as_posix()
        names = list(dict.fromkeys(name for row in rows for name in row))
        writing(out, lambda place: _write_rows(csv, place, names, rows))
    if not inside and "path" in names:
        remark(f"its paths start from {root}: build it with --root {root}")
    say(out)


def _named(pairs: list[str] | None, option: str) -> dict[str, str]:
    """NAME -> COL of options COL=NAME; a column may hold '='."""
    from xtalfuse.options import UsageError

    found = {}
    for pair in pairs or ():
        column, _, name = pair.rpartition("=")
        if not (column and name):
            raise UsageError(f"{option} {pair}: write it as 'COLUMN=NAME'")
        found[name.strip()] = column.strip()
    return found


def _write_rows(csv: Any, place: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    with place.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def writing(out: Path, write: Any) -> None:
    """Write a file whole or not at all; a full disk is told in one line."""
    from xtalfuse.batch import not_written
    from xtalfuse.datasets.sets.atomic import replacing
    from xtalfuse.options import UsageError

    try:
        with replacing(out) as temporary:
            write(temporary)
    except OSError as error:
        raise UsageError(not_written(error, out)) from None


OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder of the dataset.")]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Processes.")]
DaskOption = Annotated[str | None, typer.Option(help="Address of a Dask scheduler.")]
ShardOption = Annotated[
    str | None, typer.Option(metavar="I/N", help="Of an array job, part I of N, from 1.")
]


@app.command()
def build(
    manifest: Annotated[Path, typer.Argument(help="CSV, Excel, JSON lines or Parquet.")],
    out: OutOption,
    root: Annotated[
        Path | None, typer.Option(help="Folder that paths start from; that of the manifest.")
    ] = None,
    workers: WorkersOption = None,
    dask: DaskOption = None,
    shard: ShardOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build a dataset; one that was stopped goes on where it was.

    What is refused stands in a table with its reason and never stops the build.

    [bold]Examples[/bold]

    xtalfuse dataset build manifest.csv -o steels/

    xtalfuse dataset build manifest.csv -o steels/ --shard $SLURM_ARRAY_TASK_ID/16
    """

    def made(**options: Any) -> BuildReport:
        from xtalfuse.datasets.records.build import build as build_dataset

        return build_dataset(manifest, out, root=root, **options)

    _build(made, out, workers, dask, shard, as_json)


@app.command()
def simulate(
    recipe: Annotated[Path, typer.Argument(help="What to simulate, YAML.")],
    out: OutOption,
    workers: WorkersOption = None,
    dask: DaskOption = None,
    shard: ShardOption = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate a dataset: patterns, spectra, rings, maps, volumes, specimens, polycrystals.

    Each record depends on the seed and its number alone. A run that was stopped goes on where it
    was.

    [bold]Example[/bold]

    xtalfuse dataset simulate recipe.yaml -o simulated/
    """

    def made(**options: Any) -> BuildReport:
        from xtalfuse.datasets.sets.recipe import simulate as simulated

        return simulated(recipe, out, **options)

    _build(made, out, workers, dask, shard, as_json)


def _build(
    make: Callable[..., BuildReport],
    out: Path,
    workers: int | None,
    dask: str | None,
    shard: str | None,
    as_json: bool,
) -> None:
    from xtalfuse.batch import not_written
    from xtalfuse.options import UsageError

    with telling():
        from xtalfuse.datasets.manifest.table import ManifestError
        from xtalfuse.datasets.records.cluster import executor_of

        try:
            with executor_of(dask) as executor, progress_bar("building") as tell:
                report = make(
                    workers=workers or cores(),
                    executor=executor,
                    part=_part(shard),
                    progress=lambda done, of: tell(done, of, ""),
                )
        except ManifestError as error:
            raise UsageError(str(error)) from None
        except OSError as error:
            raise UsageError(not_written(error, out)) from None
    if as_json:
        from dataclasses import asdict

        print_json({**asdict(report), "out": str(report.out)})
    else:
        _show_build(report)
    raise typer.Exit(3 if report.refused else 0)


def _part(text: str | None) -> tuple[int, int]:
    from xtalfuse.options import UsageError

    if text is None:
        return 1, 1
    number, _, of = text.partition("/")
    if not (number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of)):
        raise UsageError(f"--shard {text}: write it as 3/16, from 1/16 to 16/16")
    return int(number), int(of)


def _show_build(report: BuildReport) -> None:
    text = f"{report.records} records, {report.refused} specimens refused"
    if not report.complete:
        text = f"{report.made} shards made; the other parts are not there yet"
    say(f"{report.out}: {text}")
    if report.complete and report.reasons:
        listed = ", ".join(f"{n} {code}" for code, n in report.reasons.items())
        say(
            f"not used, or with a doubt: {listed}; see xtalfuse dataset info {report.out} --refused"
        )


@app.command()
def info(
    folder: FolderArgument,
    refused: Annotated[bool, typer.Option(help="List what is not used, with reason.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page of it, too.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a dataset holds.

    [bold]Example[/bold]

    xtalfuse dataset info steels/ --refused --html steels.html
    """
    with telling():
        from xtalfuse.datasets.records.dataset import Dataset
        from xtalfuse.datasets.records.summary import summary

        dataset = Dataset(folder)
        content = summary(dataset)
        rows = dataset.refused.to_dict("records") if refused else []
        if html is not None:
            from xtalfuse.report.dataset import dataset_page

            page = dataset_page(dataset).encode()
            writing(html, lambda place: place.write_bytes(page))
    if as_json:
        print_json({**content, "refusals": rows} if refused else content)
        return
    from rich.text import Text

    from xtalfuse.display import consoles, facts, shown

    table = facts()
    for name, value in content.items():
        inside = [f"{k}: {v}" for k, v in value.items()] if isinstance(value, dict) else []
        more = len(inside) - MOST_LISTED
        listed = [*inside[:MOST_LISTED], f"and {more} more: --json or --html"]
        text = "\n".join(listed if more > 0 else inside) if inside else str(value)
        table.add_row(name, Text(shown(text) if not inside else text))
    consoles()[0].print(table)
    for row in rows:
        where = " ".join(filter(None, (row["id"], row["path"], row["target"])))
        say(f"{where}: {row['code']}: {row['cause']}; {row['remedy']}")


@app.command()
def verify(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Compare every file of a dataset with its sha256; exit code 4 where one bit differs.

    [bold]Example[/bold]

    xtalfuse dataset verify steels/
    """
    from xtalfuse.terminal import complain

    with telling():
        from xtalfuse.datasets.records.dataset import Dataset

        dataset = Dataset(folder)
        with progress_bar("verifying") as tell:
            faults = dataset.verify(lambda done, of: tell(done, of, ""))
    if as_json:
        print_json({"records": len(dataset), "faults": faults})
    for fault in faults if not as_json else ():
        complain(fault)
    if not faults and not as_json:
        say(f"{folder}: {len(dataset)} records, every file as it was built")
    raise typer.Exit(4 if faults else 0)


@app.command()
def check(
    folder: FolderArgument,
    library: LibraryOption = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write.")] = Path(
        "curation.html"
    ),
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Identify every pattern, and list the labels that it contradicts, the surest first.

    On the page a person keeps or rejects each with one key.

    [bold]Example[/bold]

    xtalfuse dataset check steels/ -o curation.html
    """
    with telling():
        from xtalfuse.datasets.records.dataset import Dataset
        from xtalfuse.report.curation import curation_page
        from xtalfuse.tasks.curate import check as check_labels

        dataset = Dataset(folder)
        references = None if library is None else opened(library)
        with progress_bar("identifying") as tell:
            doubts = check_labels(
                dataset, references, jobs=jobs or cores(), progress=lambda n, of: tell(n, of, "")
            )
        page = curation_page(dataset.built["name"], doubts).encode()
        writing(out, lambda place: place.write_bytes(page))
    if as_json:
        print_json([doubt.to_dict() for doubt in doubts])
    else:
        say(out)


@app.command()
def decide(
    manifest: Annotated[Path, typer.Argument(help="The manifest that the dataset was built from.")],
    decisions: Annotated[Path, typer.Argument(help="decisions.json, as the page saved it.")],
    by: Annotated[str, typer.Option(help="Who decided.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The new manifest, CSV.")],
) -> None:
    """Put decisions of `check` into a manifest, with name and time; the next build follows them.

    [bold]Example[/bold]

    xtalfuse dataset decide manifest.csv decisions.json --by Ada -o decided.csv
    """
    import csv
    import json

    from xtalfuse.options import UsageError

    with telling():
        from xtalfuse.datasets.manifest.table import with_decisions

        try:
            columns, rows = with_decisions(manifest, json.loads(decisions.read_text("utf-8")), by)
        except (OSError, ValueError, AttributeError) as error:
            raise UsageError(f"{decisions.name}: {error}") from None
        writing(out, lambda place: _write_rows(csv, place, columns, rows))
    say(out)
