"""What can be read is listed from the readers themselves, in the terminal and in the docs."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from xtalfuse.cli import app
from xtalfuse.commands.formats import with_tables
from xtalfuse.loaders.registry import READERS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "formats.md"


def run(*arguments: str):
    return CliRunner().invoke(app, ["formats", *arguments])


def test_every_reader_is_listed_with_what_it_holds_and_what_fails():
    rows = json.loads(run("--json").stdout)
    assert {row["name"] for row in rows} == set(READERS)
    by_name = {row["name"]: row for row in rows}
    assert by_name["stoe-raw"]["suffixes"] == [".raw"]
    assert by_name["stoe-raw"]["limits"]
    assert "ebsd" in by_name["crc"]["modalities"]


def test_one_kind_can_be_asked_for_and_a_wrong_one_is_told():
    rows = json.loads(run("--modality", "ct", "--json").stdout)
    assert {"npy", "tiff-slices"} <= {row["name"] for row in rows}
    assert all("ct" in row["modalities"] for row in rows)
    assert "xrdml" in run("--modality", "xrd").stdout
    wrong = run("--modality", "xray")
    assert wrong.exit_code == 2
    assert "xray" in wrong.stderr


def test_the_tables_of_the_docs_are_those_of_the_readers():
    """python -m xtalfuse.commands.formats docs/formats.md"""
    text = PAGE.read_text("utf-8")
    assert text == with_tables(text)
    assert text.count("| Stoe WinXPOW |") == 1
