"""Manifests that the program writes: of a folder of files, with decisions of a person."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def with_decisions(
    path: str | Path, decisions: Mapping[str, Mapping[str, str]], by: str
) -> tuple[list[str], list[dict[str, str]]]:
    """(columns, rows) of a manifest with what a person decided about its specimens.

    Parameters
    ----------
    decisions : id -> ``{"decision": "reject", "at": "2026-01-31T12:00:00Z"}``
    by : who decided

    Raises
    ------
    ValueError
        If a decision is about a specimen that is not in the manifest, or is none.
    """
    rows, columns = readrows_of(Path(path))
    unknown = sorted(set(decisions) - {row.get("id", "") for row in rows})
    if unknown:
        raise ValueError(
            f"no {', '.join(unknown[:5])} in {Path(path).name}; give its own decisions"
        )
    for row in rows:
        made = decisions.get(row.get("id", ""))
        if made is None:
            continue
        if made.get("decision") not in ("keep", "reject"):
            raise ValueError(f"{row['id']}: decision {made.get('decision')!r}; give keep or reject")
        row |= {"decision": made["decision"], "decided_by": by, "decided_at": made.get("at", "")}
    return list(dict.fromkeys([*columns, "decision", "decided_by", "decided_at"])), rows
