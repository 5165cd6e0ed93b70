"""What a dataset says of itself: a card for people, Croissant metadata for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xtalfuse.datasets.records.build import INDEX
from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.datasets.records.shard import SHARDS
from xtalfuse.datasets.records.store import StoreError
from xtalfuse.datasets.records.summary import summary
from xtalfuse.datasets.sets.atomic import replacing
from xtalfuse.datasets.splits.leakage import SHARED_TEXT, Leakage, Tested, as_rows
from xtalfuse.datasets.splits.split import read_split, stored_splits

CARD, CROISSANT, LEAKAGE = "README.md", "croissant.json", "leakage.json"
_UNKNOWN = "not stated"
# The names of Croissant 1.0, http://mlcommons.org/croissant/1.0, appendix 1.
_CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        name: f"cr:{name}"
        for name in (
            "citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty",
            "fileObject", "fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key",
            "md5", "parentField", "path", "recordSet", "references", "regex", "repeated",
            "replace", "samplingRate", "separator", "source", "subField", "transform",
        )
    },
}  # fmt: skip


def write_card(dataset: Dataset, about: Mapping[str, str] | None = None) -> tuple[Path, Path]:
    """Write ``README.md`` and ``croissant.json`` into the folder of a dataset.

    Parameters
    ----------
    about : ``description``, ``url``, ``creator``, ``licence`` and ``cite``, which the dataset does
        not know of itself

    Returns
    -------
    Their places.
    """
    content = json.dumps(croissant(dataset, about or {}), indent=1, ensure_ascii=False) + "\n"
    texts = {CARD: card(dataset, about or {}), CROISSANT: content}
    for name, text in texts.items():
        with replacing(dataset.folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return dataset.folder / CARD, dataset.folder / CROISSANT


def card(dataset: Dataset, about: Mapping[str, str]) -> str:
    """The card as Markdown."""
    found = summary(dataset)
    lines = [f"# {found['name']}", "", about.get("description", _described(dataset)), ""]
    lines += _listed("Of it", {
        "records": found["records"], "groups": found["groups"],
        "refused specimens": found["refused"], "records with a near duplicate":
        found["near duplicates"], "licences": ", ".join(_licences(dataset, about)),
    })  # fmt: skip
    lines += _listed("What exists together", found["modalities"])
    lines += _listed("Labels", found["labels"])
    lines += _listed("Refusals by reason", found["reasons"])
    lines += _listed("Splits", dict(_splits(dataset)))
    lines += ["## What may be concluded", ""]
    reports = read_leakage(dataset)
    lines += [SHARED_TEXT if reports else "Not tested; `xtalfuse dataset leakage` tests it.", ""]
    for name, report in reports.items():
        lines.append(f"**{name}** from {report.features}, {report.records} records:")
        lines += [f"{report.conclusion}. {noise_of(report)}", "", *_table(as_rows(report)), ""]
    lines += _listed("Built with", found["built with"])
    return "\n".join(lines)


def _described(dataset: Dataset) -> str:
    return (
        f"{len(dataset)} records of {len(set(dataset.groups))} groups of specimens, each with its "
        "files, labels in standard units and the reasons against using any of them."
    )


def noise_of(report: Leakage) -> str:
    """What replicates say, as a sentence."""
    if not report.replicates:
        return "No two records have the same features."
    return (
        f"{report.replicates} records have replicates, which scatter by {report.noise:.3g} "
        f"{report.unit}: no model of these features passes R2 {max(report.best_r2, 0.0):.2f}."
    )


def _licences(dataset: Dataset, about: Mapping[str, str]) -> list[str]:
    stated = sorted({str(text) for text in dataset.table["licence"] if text})
    unknown = int((dataset.table["licence"] == "").sum())
    if about.get("licence"):
        return [about["licence"]]
    return [*stated, *([f"{_UNKNOWN} for {unknown} records"] if unknown else [])]


def _splits(dataset: Dataset) -> Iterator[tuple[str, str]]:
    for name in stored_splits(dataset.folder):
        try:
            made = read_split(dataset.folder, name, dataset.build_sha256)
        except StoreError:
            continue
        yield (
            name,
            f"by {made.by}, seed {made.seed}: "
            + ", ".join(f"{part} {count}" for part, count in made.counts.items()),
        )


def _listed(title: str, content: Mapping[str, Any]) -> list[str]:
    rows = [f"- {name}: {value}" for name, value in content.items()]
    return [f"## {title}", "", *rows, ""] if rows else []


def _table(rows: list[dict[str, Any]]) -> list[str]:
    head = list(rows[0])
    return [" | ".join(["", *map(str, line), ""]).strip()
            for line in (head, ["---"] * len(head), *(row.values() for row in rows))]  # fmt: skip


def croissant(dataset: Dataset, about: Mapping[str, str]) -> dict[str, Any]:
    """Metadata in Croissant 1.0: every file with its sha256, every column of the table.

    References
    ----------
    Akhtar, M. et al. (2024). Croissant: a metadata format for ML-ready datasets. DEEM '24;
    http://mlcommons.org/croissant/1.0
    """
    index = dataset.built
    built = datetime.fromtimestamp((dataset.folder / INDEX).stat().st_mtime, UTC)
    url = about.get("url", "")
    optional = {"url": url, "citeAs": about.get("cite", "")}
    creator = {"@type": "sc:Organization", "name": about.get("creator", _UNKNOWN)}
    tables = [_file(dataset, which, index["tables"][which], "application/x-parquet")
              for which in sorted(index["tables"])]  # fmt: skip
    shards = [_file(dataset, name, (f"{SHARDS}/{name}", sha256), "application/x-hdf5")
              for name, sha256 in sorted(index["shards"].items())]  # fmt: skip
    return {
        "@context": dict(_CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": re.sub(r"[^\w-]+", "-", index["name"]),
        "description": about.get("description", _described(dataset)),
        "license": _licences(dataset, about),
        "creator": creator,
        "datePublished": built.date().isoformat(),
        "version": "1.0.0",
        **{name: text for name, text in optional.items() if text},
        "distribution": [*tables, *shards],
        "recordSet": [_record_set(dataset)],
    }


def _file(dataset: Dataset, name: str, stored: tuple[str, str], kind: str) -> dict[str, Any]:
    place, sha256 = stored
    size = (dataset.folder / place).stat().st_size
    return {
        "@type": "cr:FileObject", "@id": f"file-{name}", "name": name, "contentUrl": place,
        "contentSize": f"{size} B", "encodingFormat": kind, "sha256": sha256,
    }  # fmt: skip


def _record_set(dataset: Dataset) -> dict[str, Any]:
    """The table of the records. Beside each label stands the fault that forbids its use."""
    kinds = {"f": "sc:Float", "i": "sc:Integer", "b": "sc:Boolean"}
    fields = []
    for number, column in enumerate(map(str, dataset.table)):
        about = "of the record"
        if column.startswith("target:"):
            about = "label, with its unit; do not use it where there is a fault"
        elif column.startswith("fault:"):
            about = "why the label must not be used; empty where nothing speaks against it"
        fields.append({
            "@type": "cr:Field", "@id": f"records/{number:03d}", "name": column,
            "description": f"{column}: {about}",
            "dataType": kinds.get(dataset.table[column].dtype.kind, "sc:Text"),
            "source": {"fileObject": {"@id": "file-records"}, "extract": {"column": column}},
        })  # fmt: skip
    return {
        "@type": "cr:RecordSet",
        "@id": "records",
        "name": "records",
        "description": "One row a record.",
        "key": {"@id": "records/000"},
        "field": fields,
    }


def write_leakage(dataset: Dataset, report: Leakage) -> Path:
    """Keep a report beside the dataset, for its card; one of each label."""
    reports = {**read_leakage(dataset), report.label: report}
    content = {name: asdict(one) for name, one in reports.items()}
    path = dataset.folder / LEAKAGE
    with replacing(path) as temporary:
        text = json.dumps({"index": dataset.build_sha256, "reports": content}, indent=1) + "\n"
        temporary.write_text(text, encoding="utf-8")
    return path


def read_leakage(dataset: Dataset) -> dict[str, Leakage]:
    """Label -> report of this build; nothing of another one.

    Raises
    ------
    StoreError
        If the file is damaged.
    """
    path = dataset.folder / LEAKAGE
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["index"] != dataset.build_sha256:
            return {}
        return {
            name: Leakage(**{**one, "tested": tuple(Tested(**t) for t in one["tested"])})
            for name, one in content["reports"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path}: damaged ({error}); test the leakage again") from None
