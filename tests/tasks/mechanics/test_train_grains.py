"""The training command writes weights that predict, and resumes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from xtalfuse.datasets.constants.elastic import elastic_constants
from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.datasets.sets.mechanics_sample import SingleCrystal, Variety
from xtalfuse.datasets.sets.mechanics_set import generate
from xtalfuse.encoders.networks.grains import GrainNetwork, GrainNetworkConfig
from xtalfuse.encoders.networks.weights import load_weights
from xtalfuse.tasks.mechanics.calibrate_grains import open_example
from xtalfuse.tasks.mechanics.grains import NETWORK, predict_stress
from xtalfuse.tasks.mechanics.train_grains import example, main, stress_loss


def material(name: str) -> SingleCrystal:
    record = elastic_constants(name)
    rows = tuple(tuple(float(value) for value in row) for row in record.stiffness)
    return SingleCrystal(name, record.laue, rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three volumes each of copper and zinc, 16^3."""
    place = tmp_path_factory.mktemp("set")
    variety = Variety(grid=16, grains=(8, 12))
    generate(place, [material("Cu"), material("Zn")], 3, variety, shard_size=3)
    return place


def arguments(folder: Path, out: Path, *more: str) -> list[str]:
    return ["--data", str(folder), "--out", str(out), "--limit", "2", "--calibrate", "1",
            "--open", "1", "--calibrate-open", "1",
            "--batch", "2", "--hidden", "8", "--device", "cpu", *more]  # fmt: skip


def test_training_lowers_the_loss_and_writes_weights_that_predict(folder: Path, tmp_path: Path):
    out = tmp_path / "net.safetensors"
    main(arguments(folder, out, "--steps", "40", "--without", "Zn"))
    state, about = load_weights(out)
    assert about["examples"] == {"Cu": 2, "open": 1}
    assert set(about["calibration"]["stress"]) == {"border", "inside", "periodic"}
    assert json.loads(out.with_suffix(".json").read_text())["command"].endswith("--without Zn")
    sample = Dataset(folder)[0]
    batch = Batch.from_data_list([example(sample)])
    untrained = GrainNetwork().double().requires_grad_(False)
    trained = GrainNetwork(GrainNetworkConfig(**about["network"])).requires_grad_(False)
    trained.load_state_dict(state)
    assert float(stress_loss(trained.double(), batch)) < 0.7 * float(stress_loss(untrained, batch))
    found = predict_stress(sample.graph, [sample.crystal_stiffness], np.eye(6)[2], weights=out)
    assert found.method == NETWORK
    assert np.isfinite(found.uncertainty).all()


def test_training_resumes_in_the_same_bits(folder: Path, tmp_path: Path):
    whole, resumed = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    main(arguments(folder, whole, "--steps", "6", "--seed", "3", "--without", "Zn"))
    more = ("--steps", "6", "--seed", "3", "--without", "Zn", "--checkpoint", f"{tmp_path}/b.ckpt")
    main(arguments(folder, resumed, *more))
    main(arguments(folder, resumed, *more))  # from the checkpoint of the last step
    assert whole.read_bytes() == resumed.read_bytes()


def test_the_loss_is_zero_at_the_truth_and_one_where_all_grains_are_alike(folder: Path):
    data = example(Dataset(folder)[0])
    batch = Batch.from_data_list([data])
    found = GrainNetwork().double().requires_grad_(False)(batch)

    class Says(torch.nn.Module):
        def __init__(self, stress: torch.Tensor) -> None:
            super().__init__()
            self.strain = torch.linalg.solve(data.stiffness, stress)

        def forward(self, _: object) -> object:
            return type(found)(self.strain, found.exchanged, found.contrast, found.residual)

    whole = torch.einsum("n,nab->ab", data.share, data.stress)
    assert float(stress_loss(Says(data.stress), batch)) < 1e-20
    assert float(stress_loss(Says(whole.expand_as(data.stress)), batch)) == pytest.approx(1.0)


def test_an_open_volume_is_a_part_of_a_periodic_one():
    data = open_example(material("Cu"), 0, grid=20, grains=150)
    assert set(data.kind) == {"border", "inside"}
    assert float(data.share.sum()) == pytest.approx(1.0)
    # far from the cut the stresses are those of the whole: their mean is near the stiffness
    mean = torch.einsum("n,nab->ab", data.share, data.stress)
    assert torch.allclose(mean, mean.mT, atol=0.05 * float(mean.max()))
    assert 150.0 < float(mean[0, 0]) < 250.0  # GPa, copper
