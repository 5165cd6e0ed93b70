"""A build gives the same bits however it was made, and refuses with a reason."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xtalfuse.datasets.records import shard as shard_module
from xtalfuse.datasets.records.build import INDEX, build
from xtalfuse.datasets.records.dataset import Dataset, Samples, crop
from xtalfuse.datasets.records.journal import Journal
from xtalfuse.datasets.records.plan import BuildSettings
from xtalfuse.datasets.records.store import StoreError, read_arrays

TWO = BuildSettings(shard_records=2)


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture
def built(five, tmp_path: Path) -> Path:
    build(five, tmp_path / "out", settings=TWO)
    return tmp_path / "out"


def test_what_is_good_is_stored_and_what_is_not_has_a_reason(built: Path):
    dataset = Dataset(built)
    assert dataset.ids == ("a", "b", "d")
    refused = {(r["id"], r["code"], r["whole"]) for r in dataset.refused.to_dict("records")}
    assert refused == {("c", "unknown-format", True), ("e", "duplicate", True)}
    assert all(dataset.refused["remedy"])
    assert list(dataset.table["near"]) == ["a", "a", ""]
    assert dataset.groups == ("ab", "ab", "d")


def test_a_record_is_what_the_file_holds(built: Path, tmp_path: Path):
    from xtalfuse import load

    record = Dataset(built)[1]
    (found,) = record.measurements
    given = load(tmp_path / "b.xy", wavelength="CuKa")
    np.testing.assert_array_equal(found.values, given.values)
    np.testing.assert_array_equal(found.axis("two_theta"), given.axis("two_theta"))
    assert (found.beam, found.instrument, found.sampled) == (
        given.beam, given.instrument, given.sampled)  # fmt: skip
    assert found.provenance == replace(given.provenance, path="b.xy")
    assert record.targets["hardness"].value == pytest.approx(130 * 9.80665e-3)


def test_patterns_stand_on_one_axis_too(built: Path):
    from xtalfuse.datasets.records.codec import POWDER_G

    (profile,) = Dataset(built).powder(0)
    inside = np.isfinite(profile)
    wavelength = 1.540593  # Cu K-alpha 1, angstrom (Hoelzer et al. 1997)
    low, high = 2 * np.sin(np.radians([10.0, 29.975])) / wavelength
    np.testing.assert_array_equal(inside, (low <= POWDER_G) & (high >= POWDER_G))
    top = 2 * np.sin(np.radians(14.0)) / wavelength
    highest = np.nanmax(profile[np.abs(POWDER_G / top - 1.0) < 0.004])
    assert highest == pytest.approx(1.0, abs=0.15)


def test_workers_parts_and_interruptions_change_no_bit(five, built, tmp_path, monkeypatch):
    with ThreadPoolExecutor(2) as pool:
        build(five, tmp_path / "pool", settings=TWO, executor=pool)
    for part in (3, 1, 2):
        report = build(five, tmp_path / "parts", settings=TWO, part=(part, 3))
    assert report.complete
    read = shard_module.read_member
    calls = []

    def dies(member, name):
        calls.append(member.specimen.id)
        if len(calls) in (2, 4, 5):
            raise KeyboardInterrupt
        return read(member, name)

    monkeypatch.setattr(shard_module, "read_member", dies)
    for _ in range(4):
        try:
            build(five, tmp_path / "again", settings=TWO)
        except KeyboardInterrupt:
            continue
    assert sorted(calls) == ["a", "b", "b", "c", "c", "c", "d", "e"]  # no finished one twice
    for name in ("pool", "parts", "again"):
        assert content(tmp_path / name) == content(built), name


def test_a_journal_keeps_what_is_whole(tmp_path: Path):
    place = tmp_path / "j"

    def written(copy: Path) -> list[int]:
        with Journal(copy / "j", "plan") as journal:
            return list(journal.entries)

    with Journal(place, "plan") as journal:
        journal.append(0, {"id": "a"}, {"x": np.arange(5.0), "none": np.empty((0, 3))})
        with pytest.raises(StoreError, match="another build is writing there"):
            Journal(place, "plan")
        journal.append(1, {"id": "b"}, {"y": np.arange(7)})
        left = content(tmp_path)  # as a kill leaves it: HDF5 has not closed its file
    cases = {
        "as it was": ({}, [0, 1]),
        "line cut": ({"j.1.journal": lambda b: b[:-3]}, [0]),
        "line changed": ({"j.1.journal": lambda b: b[:-9] + b"?" + b[-8:]}, [0]),
        "data changed": ({"j.1.part": lambda b: b.replace(np.arange(7).tobytes(), bytes(56))}, [0]),
        "data cut": ({"j.1.part": lambda b: b[: b.index(np.arange(7).tobytes())]}, [0]),
        "another plan": ({"j.1.journal": lambda b: b.replace(b"plan", b"clan", 1)}, []),
    }
    for name, (changes, wanted) in cases.items():
        copy = tmp_path / name
        copy.mkdir()
        for file, data in left.items():
            (copy / file).write_bytes(changes.get(file, bytes)(data))
        assert written(copy) == wanted, name
        assert [f.name for f in copy.iterdir() if ".1." in f.name] == []
        assert written(copy) == wanted, name  # a second kill costs nothing
        with Journal(copy / "j", "plan") as journal:
            journal.finish(copy / "shard.h5", {})
        arrays = read_arrays(copy / "shard.h5")[0]
        assert sorted(arrays) == ["none", "x", "y"][: 0 if not wanted else 1 + len(wanted)]


def test_another_manifest_takes_the_place_of_the_old_one_whole(five, built, monkeypatch):
    old = content(built)
    text = five.read_text()
    five.write_text(text.replace("b,b.xy", "b,missing.xy"))
    with monkeypatch.context() as patched:
        patched.setattr(pd.DataFrame, "to_parquet", _no_room)  # the last thing but the index
        with pytest.raises(OSError, match="No space left"):
            build(five, built, settings=TWO)
    assert {k: v for k, v in content(built).items() if k in old} == old
    assert Dataset(built).ids == ("a", "b", "d")
    report = build(five, built, settings=TWO)
    assert report.reasons == {"duplicate": 1, "missing": 1, "unknown-format": 1}
    assert Dataset(built).ids == ("a", "d")
    assert len([name for name in content(built) if name.endswith(".h5")]) == 3


def _no_room(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_paths_out_of_the_root_are_not_read(tmp_path: Path, write):
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "secret.xy").write_text("1 2\n2 3\n")
    (data / "link.xy").symlink_to(tmp_path / "secret.xy")
    (data / "folder").mkdir()
    (data / "folder" / "a.xy").symlink_to(tmp_path / "secret.xy")
    paths = ["../secret.xy", str(tmp_path / "secret.xy"), "link.xy", "l*.xy", "folder"]
    paths += ["gone.xy", "n*.xy"]
    manifest = write({"id": str(k), "path": path} for k, path in enumerate(paths))
    report = build(manifest, tmp_path / "out", root=data)
    assert report.records == 0
    codes = list(Dataset(tmp_path / "out").refused["code"])
    assert codes == ["outside-root"] * 5 + ["missing", "nothing-found"]


def test_a_flipped_bit_is_found_by_verify_and_at_load(built: Path):
    assert Dataset(built).verify() == []
    used = set(Dataset(built).table["shard"])  # one holds nothing but a copy
    for file in sorted(built.rglob("*")):
        if not file.is_file():
            continue
        good = file.read_bytes()
        bad = bytearray(good)
        bad[len(bad) // 2] ^= 1
        file.write_bytes(bad)
        if file.suffix != ".h5" or file.name in used:
            with pytest.raises(StoreError):
                _all_of(built)
        if file.suffix == ".h5":
            (told,) = Dataset(built).verify()
            assert file.name in told
        file.write_bytes(good)
    assert Dataset(built).verify() == []


def _all_of(folder: Path) -> list[object]:
    dataset = Dataset(folder)
    return [dataset.refused, *dataset]


def test_an_output_of_another_format_is_left_alone(five, built: Path):
    index = built / INDEX
    content_of = {**json.loads(index.read_text()), "format": 0}
    del content_of["sha256"]
    text = json.dumps(content_of, sort_keys=True)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    index.write_text(json.dumps({**content_of, "sha256": sha256}))
    before = content(built)
    with pytest.raises(StoreError, match="a dataset of format 0"):
        build(five, built)
    assert content(built) == before


def test_sets_of_records(built: Path):
    dataset = Dataset(built)
    assert [len(dataset.having(m)) for m in ("xrd", "eels")] == [3, 0]
    first, last = dataset[:2], dataset[1:]
    assert (first & last).ids == ("b",)
    assert (last | first).ids == ("b", "d", "a")
    assert (first - last).ids == ("a",)
    assert dataset.labelled("hardness").ids == dataset.ids
    with pytest.raises(KeyError, match="there are hardness"):
        dataset.labelled("E")


def test_samples_depend_on_seed_epoch_and_place_alone(built: Path):
    import pickle

    samples = Samples(Dataset(built), _noisy, seed=3)
    here = [samples[k] for k in (2, 0, 1)]
    there = [pickle.loads(pickle.dumps(samples))[k] for k in (2, 0, 1)]
    np.testing.assert_array_equal(here, there)
    samples.epoch = 1
    assert not np.array_equal(samples[0], here[1])


def _noisy(record, rng):
    return crop(record.measurements[0].values, 40, rng) + rng.normal(size=40)


def test_a_file_that_a_rule_refuses_costs_no_other(five: Path, tmp_path: Path, write):
    (tmp_path / "short.xy").write_text("".join(f"{20 + 0.1 * k:.1f} {k * k}\n" for k in range(8)))
    paths = ("a.xy", "short.xy")
    write({"id": "x", "path": path, "wavelength": "CuKa"} for path in paths)
    build(five, tmp_path / "out")
    dataset = Dataset(tmp_path / "out")
    assert [m.provenance.path for m in dataset[0].measurements] == ["a.xy"]
    assert set(dataset.refused["path"]) == {"short.xy"}
    assert not dataset.refused["whole"].any()


def test_two_scans_of_one_file_are_two_measurements(tmp_path: Path, write):
    np.savez(tmp_path / "two.npz", a=np.random.default_rng(0).integers(0, 255, (2, 9, 9, 9)))
    rows = ({"id": n, "path": f"two.npz#{n}", "voxel_size": 1.0} for n in range(2))
    build(write(rows), tmp_path / "out")
    first, second = Dataset(tmp_path / "out")
    assert first.measurements[0].values.shape == (9, 9, 9)
    assert not np.array_equal(first.measurements[0].values, second.measurements[0].values)
