"""Inputs that once went wrong: each must give the right value, or an honest refusal.

Run ``python -m benchmarks.faults --help``. They are examples of kinds; other members of each
kind are made by the tests beside the code that they are about.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.faults.case import Case, WrongError
from benchmarks.real import FAULTS

SHOWN = 110  # letters of what came, in the table
SECTIONS = ("structure", "patterns", "files", "spectra_and_rings")


def run(section: str, case: Case, folder: Path) -> dict[str, Any]:
    """One row of the table."""
    start = time.perf_counter()
    verdict, came = "right", ""
    try:
        came = case.check(folder / section / case.file)
    except WrongError as wrong:
        verdict, came = "WRONG", str(wrong)
    except Exception as error:  # one that crashes must not cost the others
        verdict, came = "CRASH", f"{type(error).__name__}: {error}"
    seconds = round(time.perf_counter() - start, 1)
    return {
        "section": section,
        "file": case.file,
        "right": case.right,
        "verdict": verdict,
        "came": came,
        "seconds": seconds,
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table of docs/faults.md."""
    lines = ["| input | right | what came | |", "|---|---|---|---|"]
    for row in rows:
        cells = (row["file"], row["right"], row["came"][:SHOWN], row["verdict"])
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FAULTS, help="where the inputs are")
    parser.add_argument("--section", choices=SECTIONS, action="append")
    parser.add_argument("--only", default="", help="cases with this in their file name")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path, help="write the table of docs/faults.md here")
    given = parser.parse_args()
    if not given.folder.is_dir():
        parser.exit(3, f"{given.folder}: no such folder; give the one with the inputs\n")
    rows = []
    for section in given.section or SECTIONS:
        for case in importlib.import_module(f"benchmarks.faults.{section}").CASES:
            if given.only in case.file:
                row = run(section, case, given.folder)
                rows.append(row)
                print(f"{row['verdict']:6} {row['seconds']:6.1f} s  {case.file}: {row['came']}")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), "utf-8")
    if given.markdown:
        given.markdown.write_text(markdown(rows) + "\n", "utf-8")
    right = sum(row["verdict"] == "right" for row in rows)
    print(f"{right} of {len(rows)} right")


if __name__ == "__main__":
    main()
