"""The command for maps and volumes: what it writes, and the code it ends with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from xtalfuse import cli
from xtalfuse.options import UsageError, parse_materials
from xtalfuse.tasks.structure import analyse as microstructure

run = CliRunner()

HEAD = """# TEM_PIXperUM 1.000000
# Phase 1
# MaterialName  {name}
# Formula {name}
# Symmetry 43
# LatticeConstants 3.615 3.615 3.615 90.000 90.000 90.000
# GRID: SqrGrid
# XSTEP: 0.5
# YSTEP: 0.5
# NCOLS_ODD: 20
# NCOLS_EVEN: 20
# NROWS: 20
"""


@pytest.fixture
def ang(tmp_path: Path) -> Path:
    """A map of two crystals, left and right."""
    lines = []
    for row in range(20):
        for column in range(20):
            angles = (0.3, 0.2, 0.1) if column < 10 else (1.1, 0.7, 0.4)
            numbers = (*angles, 0.5 * column, 0.5 * row, 100.0, 0.9, 1, 1)
            lines.append(" ".join(f"{number:.5f}" for number in numbers))
    path = tmp_path / "map.ang"
    path.write_text(HEAD.format(name="Copper") + "\n".join(lines) + "\n")
    return path


def test_a_map_becomes_a_report(ang, tmp_path):
    twice = [str(ang), str(tmp_path / "." / ".." / tmp_path.name / "map.ang")]
    result = run.invoke(cli.app, ["microstructure", *twice, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert result.output.count("2 grains of Copper") == 1
    assert (tmp_path / "out" / "map.ang" / "report.html").is_file()


def test_quiet_prints_where_the_report_is_and_nothing_else(ang, tmp_path):
    out = tmp_path / "out"
    result = run.invoke(cli.app, ["microstructure", str(ang), "--quiet", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert result.output == f"{out / 'map.ang' / 'report.html'}\n"


def test_json_is_one_document(ang, tmp_path):
    options = ["--json", "--phases", "nickel", "--out", str(tmp_path / "out")]
    result = run.invoke(cli.app, ["microstructure", str(ang), *options])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["grains"] == 2
    assert document["phases"][0]["material"] == "nickel"
    assert np.isfinite(document["properties"]["youngs_modulus"]["value"])


def test_one_bad_file_never_costs_the_others(ang, tmp_path):
    bad = tmp_path / "bad.ang"
    bad.write_text(HEAD.format(name="Copper") + "not numbers\n")
    paths = [str(bad), str(ang)]
    result = run.invoke(cli.app, ["microstructure", *paths, "--out", str(tmp_path / "out")])
    assert result.exit_code == 3, result.output
    assert (tmp_path / "out" / "map.ang" / "properties.json").is_file()
    alone = ["microstructure", str(bad), "--json", "--out", str(tmp_path / "out")]
    result = run.invoke(cli.app, alone)
    assert result.exit_code == 4
    assert "bad.ang" in json.loads(result.stdout)["error"]


def test_maps_are_worked_on_at_once_and_told_in_order(ang, tmp_path):
    other, bad = tmp_path / "a.ang", tmp_path / "bad.ang"
    other.write_bytes(ang.read_bytes())
    bad.write_text(HEAD.format(name="Copper") + "not numbers\n")
    options = ["--json", "--jobs", "2", "--out", str(tmp_path / "out")]
    result = run.invoke(cli.app, ["microstructure", str(bad), str(ang), str(other), *options])
    assert result.exit_code == 3, result.output
    documents = json.loads(result.stdout)
    assert ["error" in found for found in documents] == [True, False, False]
    assert [found["specimen"] for found in documents[1:]] == ["map.ang", "a.ang"]
    assert (tmp_path / "out" / "a.ang" / "report.html").is_file()


def test_our_fault_is_told_and_costs_no_other_map(ang, tmp_path, monkeypatch):
    other = tmp_path / "other.ang"
    other.write_bytes(ang.read_bytes())
    analyse = microstructure.analyse

    def breaks(measurement, *args, **options):
        if measurement.provenance.path.endswith("other.ang"):
            raise RuntimeError("nobody foresaw this")
        return analyse(measurement, *args, **options)

    monkeypatch.setattr(microstructure, "analyse", breaks)
    out = tmp_path / "out"
    result = run.invoke(cli.app, ["microstructure", str(other), str(ang), "--out", str(out)])
    assert result.exit_code == 1, result.output
    assert "nobody foresaw this" in (out / "other.ang" / "crash.txt").read_text()
    assert (out / "map.ang" / "properties.json").is_file()


def test_ctrl_c_keeps_what_is_done(ang, tmp_path, monkeypatch):
    other = tmp_path / "other.ang"
    other.write_bytes(ang.read_bytes())
    analyse = microstructure.analyse

    def stopped(measurement, *args, **options):
        if measurement.provenance.path.endswith("other.ang"):
            raise KeyboardInterrupt
        return analyse(measurement, *args, **options)

    monkeypatch.setattr(microstructure, "analyse", stopped)
    options = ["--json", "--out", str(tmp_path / "out")]
    result = run.invoke(cli.app, ["microstructure", str(ang), str(other), *options])
    assert result.exit_code == 130
    assert [found["grains"] for found in json.loads(result.stdout)] == [2]
    assert "1 of 2" in result.stderr


def test_names_are_no_markup(ang, tmp_path):
    ang.write_text(ang.read_text().replace("Copper", "Cu[/red] [x]"))
    result = run.invoke(cli.app, ["microstructure", str(ang), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "Phase fraction, Cu[/red] [x]" in result.stdout


def test_results_never_go_into_what_was_measured(ang, tmp_path):
    sections = tmp_path / "sections"
    sections.mkdir()
    for number in range(2):
        (sections / f"s{number}.ang").write_bytes(ang.read_bytes())
    result = run.invoke(cli.app, ["microstructure", str(sections), "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert {path.name for path in sections.iterdir()} == {"s0.ang", "s1.ang"}
    assert (tmp_path / "sections-2" / "report.html").is_file()


def test_a_voxel_size_for_volumes_leaves_maps_alone(ang, tmp_path):
    options = ["--voxel-size", "0.65", "--out", str(tmp_path / "out")]
    result = run.invoke(cli.app, ["microstructure", str(ang), *options])
    assert result.exit_code == 0, result.output


def test_read_takes_the_distance_of_sections(ang, tmp_path):
    sections = tmp_path / "sections"
    sections.mkdir()
    for number in range(2):
        (sections / f"s{number}.ang").write_bytes(ang.read_bytes())
    result = run.invoke(cli.app, ["read", str(sections), "--section-step", "0.25", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["map"]["step_um"] == [0.5, 0.5, 0.25]
    assert run.invoke(cli.app, ["read", str(sections), "--section-step", "0"]).exit_code == 2


@pytest.mark.parametrize(
    "options",
    [
        ["--threshold", "-1"],
        ["--phases", "pore,"],
        ["--phases", "a=copper,nickel"],
        ["--phases", "nikel"],
        ["--section-step", "0"],
        ["--voxel-size", "big"],
        ["missing.ang"],
    ],
)
def test_wrong_use_ends_with_2_before_any_work(ang, tmp_path, options):
    out = tmp_path / "out"
    result = run.invoke(cli.app, ["microstructure", str(ang), *options, "--out", str(out)])
    assert result.exit_code == 2, result.output
    assert not out.exists()


def test_materials_by_order_and_by_name():
    assert parse_materials(None) == ()
    assert parse_materials("pore, gold") == ("pore", "gold")
    assert parse_materials("a b=iron,c=pore") == {"a b": "iron", "c": "pore"}
    assert parse_materials("ZnO,unknown") == ("ZnO", "unknown")
    with pytest.raises(UsageError, match="did you mean 'Nickel'"):
        parse_materials("nikel")
    with pytest.raises(UsageError, match="Ferrite=iron"):
        parse_materials("=iron")


def test_materials_are_listed_with_their_moduli():
    every = run.invoke(cli.app, ["materials", "--json"])
    assert every.exit_code == 0, every.output
    assert len(json.loads(every.stdout)) > 100
    one = json.loads(run.invoke(cli.app, ["materials", "copper", "--json"]).stdout)
    assert one["formula"] == "Cu"
    # Ledbetter & Naimon (1974), J. Phys. Chem. Ref. Data 3, 897: 128 GPa
    assert abs(one["youngs_modulus_gpa"] - 128.0) < 2.0
    shown = run.invoke(cli.app, ["materials", "copper"])
    assert "Overton" in shown.output
    wrong = run.invoke(cli.app, ["materials", "coper"])
    assert wrong.exit_code == 2
    assert "did you mean" in wrong.output
