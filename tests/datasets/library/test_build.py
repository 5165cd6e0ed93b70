"""Libraries are built from anything, lose nothing and answer exactly."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xtalfuse.datasets.library import build as library_module
from xtalfuse.datasets.library import sources
from xtalfuse.datasets.library.build import Library, build, builtin
from xtalfuse.datasets.records.store import StoreError
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.physics.crystal.diffraction import reflections

ROCK_SALTS = {
    "MgO": 4.2117, "CaO": 4.8105, "NiO": 4.1771, "MnO": 4.4448, "LiF": 4.0263, "NaCl": 5.6402,
    "KCl": 6.2931, "NaF": 4.6344, "CoO": 4.2614, "SrO": 5.1602, "BaO": 5.5391, "CdO": 4.6953,
}  # fmt: skip


@pytest.fixture
def folder(cif_file: Callable[..., Path]) -> Path:
    """Twelve good files and what people also have in their folders."""
    for name, a in ROCK_SALTS.items():
        split = 1 if name[1].isupper() else 2
        cation, anion = name[:split], name[split:]
        path = cif_file(
            f"cifs/{name}.cif",
            cell=(a, a, a, 90, 90, 90),
            group="F m -3 m",
            number=225,
            sites=(f"{cation} M 0 0 0 1", f"{anion} X 0.5 0.5 0.5 1"),
        )
    good = (path.parent / "MgO.cif").read_text()
    cif_file("cifs/copy of MgO.CIF", text=good)
    cif_file("cifs/other/MgO.cif", text=good.replace("4.2117", "4.2130"))
    cif_file("cifs/empty.cif", text="")
    cif_file("cifs/page.cif", text="<html>404</html>")
    cif_file("cifs/nan.cif", cell=("nan", 4, 4, 90, 90, 90))
    cif_file("cifs/clash.cif", sites=("Ti T 0 0 0 1", "O O1 0.1 0.1 0 1"))
    cif_file("cifs/notes.txt", text="not a structure")
    return path.parent


def test_build_says_what_became_of_every_file(folder: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    out = tmp_path / "out" / "lib.h5"
    report = build([folder], out, progress=lambda done, total, _: seen.append((done, total)))
    assert report.out == str(out)
    assert len(report.kept) == 13
    reasons = dict(report.left_out)
    assert set(reasons) == {
        "cifs/copy of MgO.CIF", "cifs/empty.cif", "cifs/page.cif", "cifs/nan.cif",
        "cifs/clash.cif",
    }  # fmt: skip
    assert "the same content" in reasons["cifs/copy of MgO.CIF"]
    assert "impossible distance" in reasons["cifs/clash.cif"]
    assert "finite number" in reasons["cifs/nan.cif"]
    assert "MgO_2" in report.kept  # two files may have one name
    assert seen[-1] == (16, 16)  # the empty and the second of two alike are known before
    assert sorted(os.listdir(out.parent)) == ["lib.h5"]  # no parts are left behind


def test_library_holds_what_the_files_say(folder: Path, tmp_path: Path) -> None:
    build([folder], tmp_path / "lib.h5")
    library = Library.load(tmp_path / "lib.h5")
    entry = library.entries[library.index("NaCl")]
    assert entry.formula == "NaCl"
    assert entry.source == "cifs/NaCl.cif"
    assert entry.crystal.cell == (5.6402, 5.6402, 5.6402, 90.0, 90.0, 90.0)
    stored = library.reflections(library.index("NaCl"))
    fresh = reflections(entry.crystal, 0.7, 3000)
    for name in ("hkl", "multiplicity", "geometric", "elements"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(fresh, name))


def test_queries(folder: Path, tmp_path: Path) -> None:
    build([folder], tmp_path / "lib.h5")
    library = Library.load(tmp_path / "lib.h5")
    chosen = {library.entries[i].formula for i in library.select({"Na", "Cl", "F", "K"})}
    assert chosen == {"NaCl", "KCl", "NaF"}
    assert [library.entries[i].id for i in library.find("nacl")] == ["NaCl"]
    assert {library.entries[i].id for i in library.find("MgO")} == {"MgO", "MgO_2"}
    assert library.find("unobtainium") == []
    with pytest.raises(KeyError, match=r"did you mean.*NaCl"):
        library.index("NaCl2")
    info = library.info()
    assert info["entries"] == len(library) == 13
    assert info["reflections"] == sum(len(library.reflections(i)) for i in range(13))


def test_look_alikes_within_a_library(folder: Path, tmp_path: Path) -> None:
    report = build([folder], tmp_path / "lib.h5")
    assert ("MgO", "MgO_2") in {tuple(sorted(ids)) for ids in report.classes}
    library = Library.load(tmp_path / "lib.h5")
    assert library.equivalents(library.index("MgO")) == ("MgO_2",)
    assert library.equivalents(library.index("BaO")) == ()
    one, two = (library.entries[library.index(i)].class_id for i in ("MgO", "MgO_2"))
    assert one == two


def test_parts_of_a_library(folder: Path, tmp_path: Path) -> None:
    build([folder], tmp_path / "lib.h5")
    library = Library.load(tmp_path / "lib.h5")
    without = library.without(["MgO"])
    assert len(without) == 12
    assert without.equivalents(without.index("MgO_2")) == ()
    assert len(library.without(["MgO"], look_alikes=True)) == 11
    part = library.subset([library.index("KCl"), library.index("BaO")])
    assert [e.id for e in part.entries] == ["KCl", "BaO"]
    whole = library.reflections(library.index("BaO"))
    np.testing.assert_array_equal(part.reflections(1).geometric, whole.geometric)
    part.save(tmp_path / "part.h5")
    saved = Library.load(tmp_path / "part.h5")
    assert [e.id for e in saved.entries] == ["KCl", "BaO"]
    np.testing.assert_array_equal(saved.reflections(1).geometric, whole.geometric)
    sent = pickle.loads(pickle.dumps(part))
    assert [e.id for e in sent.entries] == ["KCl", "BaO"]
    np.testing.assert_array_equal(sent.reflections(1).geometric, whole.geometric)


def test_number_of_workers_changes_nothing(folder: Path, tmp_path: Path) -> None:
    one = build([folder], tmp_path / "one.h5", workers=1)
    two = build([folder], tmp_path / "two.h5", workers=2)
    assert one.sha256 == two.sha256
    assert (tmp_path / "one.h5").stat().st_size == (tmp_path / "two.h5").stat().st_size


def test_killed_build_goes_on_where_it_was(folder: Path, tmp_path: Path) -> None:
    """SIGKILL after the first parts: what was counted as done is not done again."""
    out = tmp_path / "lib.h5"
    program = (
        "import sys\n"
        "from xtalfuse.datasets.library import build as library\n"
        "library.FILES_PER_PART = 2\n"
        "tell = lambda done, total, text: print(done, flush=True)\n"
        "library.build([sys.argv[1]], sys.argv[2], workers=1, progress=tell)\n"
    )
    command = [sys.executable, "-c", program, str(folder), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        acknowledged = 0
        while acknowledged < 4:
            acknowledged = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
    assert not out.exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library_module, "FILES_PER_PART", 2)
        report = build([folder], out)
    assert report.resumed >= acknowledged
    assert report.sha256 == build([folder], tmp_path / "fresh.h5").sha256
    assert not list(tmp_path.glob(".lib.h5.parts"))


def test_damaged_part_is_made_again(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "lib.h5"
    first = build([folder], out)
    parts = tmp_path / ".lib.h5.parts"
    parts.mkdir()
    groups = library_module._parts(library_module._sources([folder])[0])
    for key in groups:
        (parts / f"{key}.h5").write_bytes(b"torn")
    again = build([folder], out)
    assert again.resumed == 0
    assert again.sha256 == first.sha256


def test_nothing_to_build_from(tmp_path: Path, cif_file: Callable[..., Path]) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        build([tmp_path / "absent"], tmp_path / "lib.h5")
    with pytest.raises(FileNotFoundError, match=r"no \.cif file"):
        build([tmp_path], tmp_path / "lib.h5")
    bad = cif_file(text="<html>")
    with pytest.raises(UnreadableFileError, match="not valid CIF"):
        build([bad], tmp_path / "lib.h5")
    assert not (tmp_path / "lib.h5").exists()


def test_damaged_reflections_are_refused(folder: Path, tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "lib.h5"
    build([folder], path)
    with h5py.File(path) as file:
        offset = file["geometric"].id.get_offset()
    damaged = bytearray(path.read_bytes())
    damaged[offset + 3] ^= 1
    path.write_bytes(damaged)
    library = Library.load(path)
    with pytest.raises(StoreError, match="are damaged"):
        library.reflections(0)
    library.reflections(1)  # the others are sound
    path.write_bytes(b"something else")
    with pytest.raises(StoreError, match=r"lib\.h5"):
        Library.load(path)


@pytest.fixture
def small_builtin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built-in library of three phases, with its own cache folder."""
    phases = tmp_path / "phases"
    phases.mkdir()
    rows = [
        ("halite", "NaCl", 5.6402, '["Na",0,0,0,1.0,1.4],["Cl",0.5,0.5,0.5,1.0,1.2]'),
        ("periclase", "MgO", 4.2117, '["Mg",0,0,0,1.0,0.3],["O",0.5,0.5,0.5,1.0,0.3]'),
        ("impossible", "MgO", 2.1, '["Mg",0,0,0,1.0,0.3],["O",0.5,0.5,0.5,1.0,0.3]'),
    ]
    text = ""
    for name, formula, a, sites in rows:
        text += (
            f'[[phase]]\nid = "{name}"\nname = "{name.title()}"\nformula = "{formula}"\n'
            f'space_group = "F m -3 m"\ncell = [{a}, {a}, {a}, 90, 90, 90]\nsites = [{sites}]\n'
            'citation = "A test"\nstrongest = [2.0]\n'
        )
    (phases / "salts.toml").write_text(text)
    monkeypatch.setattr(sources, "PHASES", phases)
    monkeypatch.setattr(sources, "typed_phases", lambda f=phases, t=sources.typed_phases: t(f))
    monkeypatch.setattr(sources, "aflow_path", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sources.content_key.cache_clear()
    yield tmp_path / "cache"
    sources.content_key.cache_clear()


def test_builtin_is_cached(small_builtin: Path, caplog: pytest.LogCaptureFixture) -> None:
    library = builtin()
    assert [e.id for e in library.entries] == ["halite", "periclase"]
    assert "impossible" in caplog.text
    (cached,) = small_builtin.rglob("*.h5")
    written = cached.stat().st_mtime_ns
    assert builtin().sha256 == library.sha256
    assert cached.stat().st_mtime_ns == written
    cached.write_bytes(b"torn")
    assert builtin().sha256 == library.sha256  # a damaged cache is made again


def test_builtin_without_a_cache_folder(small_builtin: Path) -> None:
    small_builtin.write_text("a file where the folder should be")
    library = builtin()
    assert library.path is None
    assert [e.id for e in library.entries] == ["halite", "periclase"]
    again = pickle.loads(pickle.dumps(library))
    np.testing.assert_array_equal(again.reflections(0).hkl, library.reflections(0).hkl)


def test_whole_builtin_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every typed phase passes validation; known wrong prototypes stay out."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library = builtin()
    phases, problems = sources.typed_phases()
    assert problems == []
    ids = {entry.id for entry in library.entries}
    assert [phase.id for phase in phases if phase.id not in ids] == []
    prototypes = [e for e in library.entries if e.source == "AFLOW"]
    assert len(prototypes) > 150
    assert all(entry.citation for entry in library.entries)
    # pymatgen's copies of brookite and of GeS2 have impossible distances, anatase the wrong
    # origin: 1.76 and 1.28 angstrom, and titanium with a bond-valence sum of 2.4
    wrong = {"Brookite", "Anatase", "Germanium disuphide"}
    assert not wrong & {entry.name for entry in prototypes}
    began = time.process_time()
    Library.load(library.path)
    assert time.process_time() - began < 1.0  # 700 entries; 10,000 take 0.2 s
