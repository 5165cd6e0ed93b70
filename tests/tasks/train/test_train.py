"""From records and labels to a judged model and a table of predictions, through the commands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from typer.testing import CliRunner

from xtalfuse.cli import app
from xtalfuse.datasets.records.build import build
from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.datasets.splits.split import split, write_split
from xtalfuse.fusion.heads import Head
from xtalfuse.tasks.train import baselines, fit
from xtalfuse.tasks.train.config import ConfigError, read_config
from xtalfuse.tasks.train.examples import encoded, examples_of
from xtalfuse.tasks.train.predictor import MODEL, TRAINING, WeightsError, load

HEAD = (
    "id,path,wavelength,composition,source,target:hardness[GPa],target:made,target:temperature[K]"
)
FEW = {"steps": 12, "batch": 8}
SMALL = {"width": 16, "layers": 1, "heads": 2}


def run(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output + repr(done.exception)
    return done.output


@pytest.fixture(scope="module")
def alloys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 alloys of 12 sources, harder with more carbide formers; six have a powder pattern."""
    folder = tmp_path_factory.mktemp("alloys")
    angle = np.arange(20.0, 90.0, 0.05)
    lines = [HEAD]
    rng = np.random.default_rng(0)
    for k in range(48):
        other = ("Cr", "Ni", "V", "Mo")[k % 4]
        amount = 2 + 3 * (k % 9)
        hard = 1.0 + 0.1 * amount * (1 + k % 4) + 0.05 * rng.normal()
        path = ""
        if k % 8 == 0:
            path = f"p{k}.xy"
            peak = 500.0 * np.exp(-0.5 * ((angle - 44.0 - 0.05 * amount) / 0.15) ** 2)
            rows = zip(angle, rng.poisson(peak + 20.0), strict=True)
            (folder / path).write_text("".join(f"{x:.2f} {y}\n" for x, y in rows))
        label = f"{hard:.4f}" if k % 7 else ""
        made = "" if k % 11 == 0 else ("cast", "wrought")[hard > 3.0]
        temperature = "" if k % 5 == 0 else str(300 + k)
        lines.append(
            f"a{k:02},{path},{'CuKa' if path else ''},Fe{100 - amount}{other}{amount},s{k // 4},"
            f"{label},{made},{temperature}"
        )
    (folder / "m.csv").write_text("\n".join(lines))
    build(folder / "m.csv", folder / "set")
    dataset = Dataset(folder / "set")
    made = split(dataset, {"train": 0.75, "test": 0.25}, "source")
    write_split(dataset.folder, "source", made, dataset.build_sha256)
    return folder


@pytest.fixture(autouse=True)
def few_baselines(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(baselines, "TREES", 10)
    for name in ("random forest", "gradient boosting", "support vectors", "nearest neighbours"):
        monkeypatch.delitem(baselines.BASELINES, name)


def config(folder: Path, **changes: object) -> Path:
    content = {
        "dataset": "set", "split": "source", "folds": 2, "coverage": 0.8,
        "targets": {"hardness": {"unit": "GPa", "scale": "log"}, "made": {"kind": "class"}},
        "inputs": ["composition", "columns", "powder"], "columns": ["temperature"],
        "network": SMALL, "training": FEW, **changes,
    }  # fmt: skip
    (folder / "c.yaml").write_text(yaml.safe_dump(content))
    return folder / "c.yaml"


@pytest.fixture(scope="module")
def model(alloys: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "TREES", 10)
        for name in ("random forest", "gradient boosting", "support vectors", "nearest neighbours"):
            patch.delitem(baselines.BASELINES, name)
        told = json.loads(run("train", config(alloys), "-o", alloys / "model", "--json"))
    assert set(told["answers"]) == {"hardness", "made"}
    assert "Learned from 35 records of 9 groups" in (alloys / "model" / "README.md").read_text()
    assert set(told["loss on unseen folds"]["made"]) == {"network", "ridge", "extra trees"}
    return alloys / "model"


def test_a_model_is_judged_on_records_it_never_saw(model: Path, alloys: Path):
    found = {each["target"]: each for each in json.loads(run("evaluate", model, "--json"))}
    hard = found["hardness"]
    who = [score["who"] for score in hard["scores"]]
    assert who[:3] == ["answer", "network", "ridge"]
    assert "extra trees, composition alone" in who
    best = {score["who"]: score["score"] for score in hard["scores"]}
    assert best["answer"] > 0.5  # the hardness follows the composition
    assert hard["groups"] == 3
    assert 0.0 <= hard["scores"][0]["covered"] <= 1.0
    # a network of twelve steps is no match for trees: it is told, and does not answer
    assert f"use {hard['rival']}" in hard["conclusion"]
    assert hard["by"] in ("ridge", "extra trees")
    assert found["made"]["scores"][0]["score"] > 0.6
    assert "predict answers by" in run("evaluate", model, "--part", "test")
    build(alloys / "m.csv", alloys / "other")  # which has no split: its groups are ids
    assert "over 43 groups" in run("evaluate", model, alloys / "other")
    assert "give one of test" in run("evaluate", model, "--part", "train", code=2)


def test_predictions_have_intervals_and_tell_what_is_unlike_the_training(model: Path, alloys: Path):
    manifest = alloys / "new.csv"
    manifest.write_text("id,composition\nx,Fe90Cr10\ny,Au50Pt50\n")
    run("predict", model, manifest, alloys / "set", "-o", alloys / "p.csv", "--contributions")
    table = pd.read_csv(alloys / "p.csv").set_index("id")
    hard = table["hardness[GPa]"]
    assert (table["hardness[GPa].low"] < hard).all()
    assert (hard < table["hardness[GPa].high"]).all()
    assert (table["hardness[GPa].low"] > 0.0).all()  # on a scale of logarithms
    assert table.loc["y", "unlike_training"]
    assert "element Au" in table.loc["y", "never_trained_on"]
    assert table.loc["y", "distance"] > 1.0
    assert not table.loc["a01", "unlike_training"]
    assert table.loc["a08", "inputs"] == "columns+composition+powder"
    assert table.loc["x", "inputs"] == "composition"
    assert np.isnan(table.loc["x", "hardness.without_composition"])  # nothing would be left
    assert table.loc["a08", "hardness.without_composition"] != hard["a08"]
    assert set(table["made"]) <= {"cast", "wrought"}
    assert "no wavelength" in run("predict", model, alloys / "p0.xy", code=4)
    assert ".csv, .parquet or .json" in run("predict", model, manifest, "-o", "p.txt", code=2)


def test_the_order_of_the_records_changes_nothing(alloys: Path, model: Path):
    told = load(model)
    dataset = Dataset(alloys / "set").split("source")["train"]
    turned = dataset.take(np.random.default_rng(0).permutation(len(dataset)))
    first, second = (examples_of(d, told.config) for d in (dataset, turned))
    assert first.ids == second.ids
    assert first.groups == second.groups
    assert first.heads == second.heads
    rows = [told.encode(item) for item in first.items[:6]]
    straight, back = told.say(rows)["hardness"], told.say(rows[::-1])["hardness"]
    np.testing.assert_allclose(back.value[::-1], straight.value, rtol=1e-6)
    np.testing.assert_allclose(back.low[::-1], straight.low, rtol=1e-5)


def test_a_training_that_is_stopped_ends_in_the_same_bits(alloys: Path, monkeypatch):
    made = fit.prepare(read_config(config(alloys, inputs=["composition"], columns=[])))
    whole, _ = fit._member(made, 0, alloys / "whole", fit.World(torch.device("cpu")), print)
    real, calls = fit.step_loss, []

    def stopping(*given):
        loss = real(*given)

        def stop(model, numbers):
            calls.append(1)
            if len(calls) == 8:
                raise KeyboardInterrupt
            return loss(model, numbers)

        return stop

    monkeypatch.setattr(fit, "step_loss", stopping)
    monkeypatch.setattr(fit, "SAVE_EVERY", 3)
    made = fit.prepare(made.config)
    for _ in range(2):
        try:
            again, _ = fit._member(made, 0, alloys / "parts", fit.World(torch.device("cpu")), print)
        except KeyboardInterrupt:
            assert (alloys / "parts" / "work" / "network-0.checkpoint").is_file()
    assert len(calls) == 8 + 6  # six of twelve were kept
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_model_that_is_there_is_not_trained_again_and_another_is_refused(model: Path, alloys):
    same = run("train", config(alloys), "-o", model, "--json")
    assert json.loads(same[same.index("{") :])["records"]
    told = run("train", config(alloys, coverage=0.7), "-o", model, code=2)
    assert "another configuration" in told
    assert "holds something else" in run("train", config(alloys), "-o", alloys, code=2)


def test_a_damaged_model_is_refused(model: Path, tmp_path: Path):
    for name in (MODEL, TRAINING):
        copy = shutil.copytree(model, tmp_path / name)
        content = bytearray((copy / name).read_bytes())
        content[-3] ^= 1
        (copy / name).write_bytes(content)
        with pytest.raises(WeightsError, match="sha256"):
            load(copy)
    with pytest.raises(WeightsError, match="no trained model"):
        load(tmp_path)


def test_a_first_configuration_fits_the_dataset(alloys: Path):
    run("train", "--init", alloys / "set", "--given", "temperature", "-o", alloys / "i.yaml")
    told = read_config(alloys / "i.yaml")
    assert set(told.inputs) == {"powder", "composition", "columns"}
    assert told.targets["hardness"].unit == "GPa"
    assert told.targets["made"].kind == "class"
    assert told.split == "source"
    # a model is safe up to the rate at which training left an input out: as many as lack it
    assert told.absent == {"powder": 0.88, "composition": 0.1, "columns": 0.21}
    planned = json.loads(run("train", config(alloys), "--dry-run", "--json"))
    assert planned["parameters"] > 1000
    assert planned["presence patterns"]["columns+composition"] > 10
    assert not (alloys / "work").exists()
    plain = json.loads(run("train", config(alloys), "--baselines", "--json"))
    assert set(plain["loss on unseen folds"]["hardness"]) == {"ridge", "extra trees"}


WRONG = [
    ({"targts": {}}, "targts: no such setting; did you mean 'targets'?"),
    ({"training": {"step": 3}}, "training.step: no such setting; did you mean 'steps'?"),
    ({"inputs": ["compositon"], "columns": []}, "did you mean 'composition'?"),
    ({"folds": 1}, "folds: Input should be greater than or equal to 2"),
    ({"columns": ["hardness"]}, "'hardness' is a target and a column"),
    ({"targets": {"hardness": {"unit": "HV"}}}, "in the dataset it is in 'GPa', not 'HV'"),
    ({"targets": {"made": {}}}, "its values are texts: kind: class"),
    ({"targets": {"hardnes": {"unit": "GPa"}}}, "no label 'hardnes'"),
    ({"targets": {"hardness": {"unit": "GPa", "scale": "bounded", "high": 2.0}}}, "cannot be on"),
    ({"learn": "trian"}, "no part 'trian'"),
    ({"inputs": ["eels"], "columns": []}, "no training record has the input 'eels'"),
    ({"folds": 20}, "take fewer folds"),
    ({"coverage": 0.99, "training": {"steps": 1}}, "intervals that cover 99% need 99"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[m[:20] for _, m in WRONG])
def test_what_is_wrong_is_told(alloys: Path, tmp_path: Path, change: dict, message: str):
    assert message in run("train", config(alloys, **change), "-o", tmp_path / "m", code=2)


def test_labels_that_teach_nothing_and_records_that_would_spoil_a_model(alloys: Path):
    dataset = Dataset(alloys / "set")
    told = read_config(config(alloys))
    column = "target:hardness[GPa]"
    dataset.table = dataset.table.assign(**{column: 2.0})
    with pytest.raises(ConfigError, match="all have one value"):
        examples_of(dataset, told)
    dataset = Dataset(alloys / "set")
    made = dataset.table["target:made[]"].copy()
    made.iloc[3] = "forged"
    dataset.table = dataset.table.assign(**{"target:made[]": made})
    with pytest.raises(ConfigError, match="class 'forged' has one record"):
        examples_of(dataset, told)
    item = examples_of(Dataset(alloys / "set"), told).items[1]
    spoilt = type(item)(item.id, item.read, item.composition, {"temperature": float("nan")})
    with pytest.raises(ValueError, match=f"record '{item.id}': its columns holds"):
        encoded(spoilt, {"columns": {"numbers": {"temperature": [300.0, 10.0]}, "texts": {}}})


PLAIN = dict(baselines.BASELINES)


@pytest.mark.parametrize("name", list(PLAIN))
def test_a_plain_model_learns_from_few_records_and_lacking_inputs(name: str, monkeypatch):
    monkeypatch.setitem(baselines.BASELINES, name, PLAIN[name])
    x = np.array([[0.0, 1.0], [1.0, np.nan], [2.0, 1.0], [3.0, 0.0]])
    y = np.array([0.1, 1.1, np.nan, 2.9])
    found = baselines.predicted(name, Head("y"), x, y, x)
    assert found.shape == (4,)
    assert np.isfinite(found).all()
    classes = Head("c", "class", classes=("a", "b", "d"))
    three = baselines.predicted(
        name, classes, np.repeat(x, 2, axis=0), np.array([0, 0, 1, 0, 1, 1, 2, np.nan]), x
    )
    np.testing.assert_allclose(three.sum(axis=1), 1.0)
    only = baselines.predicted(name, classes, x, np.array([1.0, 1.0, np.nan, np.nan]), x)
    np.testing.assert_allclose(only, [[0.0, 1.0, 0.0]] * 4)
