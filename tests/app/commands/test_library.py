"""`xtalfuse library`: from CIF files to a library, and a look into it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from xtalfuse.cli import app
from xtalfuse.options import UsageError, open_library

# Halite: Walker, D. et al. (2004). Am. Mineral. 89, 204.
HALITE = """data_halite
_cell_length_a 5.6401
_cell_length_b 5.6401
_cell_length_c 5.6401
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'F m -3 m'
_chemical_formula_sum 'Na Cl'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na1 Na 0 0 0 1
Cl1 Cl 0.5 0.5 0.5 1
"""

run = CliRunner()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cifs")
    (folder / "halite.cif").write_text(HALITE)
    (folder / "broken.cif").write_text("data_broken\n_cell_length_a 5\n")
    out = folder / "mine.h5"
    done = run.invoke(app, ["library", "build", str(folder), "--out", str(out), "--jobs", "1"])
    assert done.exit_code == 3, done.output  # one file is left out
    assert "broken.cif" in done.stdout
    assert "1 entries, 1 left out" in done.stdout
    return out


def test_info_counts_what_is_there(built: Path):
    done = run.invoke(app, ["library", "info", "--library", str(built), "--json"])
    content = json.loads(done.stdout)
    assert content["entries"] == 1
    assert content["elements"] == ["Cl", "Na"]
    assert "entries" in run.invoke(app, ["library", "info", "--library", str(built)]).stdout


def test_the_old_way_to_name_a_library_works_and_tells_the_new_one(built: Path):
    done = run.invoke(app, ["library", "info", str(built), "--json"])
    assert json.loads(done.stdout)["entries"] == 1
    assert f"--library {built}" in done.stderr
    both = run.invoke(app, ["library", "info", str(built), "--library", str(built)])
    assert both.exit_code == 2


def test_the_built_in_library_has_a_name(monkeypatch):
    monkeypatch.setattr("xtalfuse.datasets.library.build.builtin", lambda _: "the built-in one")
    assert open_library(Path("builtin")) == open_library(None) == "the built-in one"


def test_show_gives_structure_and_strongest_lines(built: Path):
    arguments = ["library", "show", "halite", "--library", str(built)]
    shown = run.invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "F m -3 m (225)" in shown.stdout
    document = json.loads(run.invoke(app, [*arguments, "--json"]).stdout)
    first, second = document["strongest"][:2]
    # Powder literature: 200 at 2.821 angstrom is the strongest, 220 at 1.994 (55 %) the second.
    assert first["d_angstrom"] == pytest.approx(2.820, abs=0.002)
    assert first["two_theta_cu_deg"] == pytest.approx(31.70, abs=0.02)
    assert second["d_angstrom"] == pytest.approx(1.994, abs=0.002)
    assert 45 < second["intensity"] < 65


def test_a_phase_that_is_not_there_is_a_usage_error(built: Path):
    done = run.invoke(app, ["library", "show", "halit0", "--library", str(built)])
    assert done.exit_code == 2
    assert "did you mean halite?" in done.stderr


def test_wrong_paths_are_usage_errors(built: Path, tmp_path: Path):
    absent = run.invoke(app, ["library", "build", str(tmp_path / "no"), "--out", "x.h5"])
    assert absent.exit_code == 2
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(built.read_bytes()[:-100])
    for path in (tmp_path / "no.h5", damaged):
        assert run.invoke(app, ["library", "info", str(path)]).exit_code == 2
        with pytest.raises(UsageError, match="build"):
            open_library(path)
