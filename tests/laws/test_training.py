"""The laws of the house over every input, head and attention that is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from xtalfuse.datasets.simulate.spectra import eds_spectrum, eels_spectrum
from xtalfuse.encoders.base import TokenSet
from xtalfuse.encoders.tokens import TOKEN_ENCODERS
from xtalfuse.encoders.tokens.base import Item, Tokens
from xtalfuse.fusion.conformal import conformal
from xtalfuse.fusion.heads import Head, answered
from xtalfuse.fusion.model import FusionConfig, FusionModel, collate, without
from xtalfuse.fusion.transformer import FusionTransformer
from xtalfuse.loaders.record import Axis, Beam, Measurement, Modality, Provenance
from xtalfuse.physics.units import radiation

RNG = np.random.default_rng(0)


def measurement(modality: Modality, values: np.ndarray, *axes: Axis) -> Measurement:
    return Measurement(modality, values, axes, "counts", Provenance(f"a.{modality}", "", "made"))


def pattern(strain: float = 0.0) -> Measurement:
    """Lines at fixed d, times 1 + strain, on a flat background without noise."""
    angle = np.arange(15.0, 75.0, 0.02)
    lines = [2.0 * np.degrees(np.arcsin(1.540593 / (2.0 * d * (1.0 + strain)))) for d in (3, 2.1)]
    values = 50.0 + sum(1000.0 * np.exp(-0.5 * ((angle - x) / 0.1) ** 2) for x in lines)
    made = measurement(Modality.XRD, values, Axis("two_theta", "deg", angle))
    return replace(made, beam=Beam("x-ray", radiation("CuKa1")))


def grey(modality: Modality, shape: tuple[int, ...], unit: str = "nm") -> Measurement:
    axes = [Axis(n, unit, 2.0 * np.arange(k)) for n, k in zip("zyx"[-len(shape) :], shape)]  # noqa: B905
    return measurement(modality, np.random.default_rng(1).normal(size=shape), *axes)


MADE: dict[str, Callable[[], Measurement]] = {
    "powder": pattern,
    "eels": lambda: eels_spectrum({"Mn": 1.0}, 620.0, 790.0),
    "eds": lambda: eds_spectrum({"Fe": 50_000, "O": 40_000}),
    "image": lambda: grey(Modality.IMAGE, (40, 60)),
    "volume": lambda: grey(Modality.CT, (20, 24, 20)),
}


def specimen(*names: str) -> Item:
    """One that has these inputs and no other."""
    made = tuple(MADE[n]() for n in names if n in MADE)
    composition = {"Fe": 0.7, "Ni": 0.3} if "composition" in names else {}
    columns = {"temperature": 300.0, "process": "cast"} if "columns" in names else {}
    return Item("s", lambda: made, composition, columns)


ALL = tuple(TOKEN_ENCODERS)
SETTINGS = {
    n: TOKEN_ENCODERS[n].fit(
        [specimen(*ALL), Item("t", tuple, {"Al": 1.0}, {"temperature": 500.0, "process": "hot"})]
    )
    for n in ALL
}


def tokens(name: str, item: Item) -> Tokens | None:
    return TOKEN_ENCODERS[name].encode(item, SETTINGS[name])


def test_every_input_has_a_specimen_here():
    assert set(ALL) == {*MADE, "composition", "columns"}


@pytest.mark.parametrize("name", ALL)
def test_an_input_reads_its_own_record_alone_and_absent_is_none(name: str):
    own, whole = tokens(name, specimen(name)), tokens(name, specimen(*ALL))
    assert tokens(name, specimen(*(n for n in ALL if n != name))) is None
    assert own is not None
    assert whole is not None
    for first, second in zip(vars(own).values(), vars(whole).values(), strict=True):
        assert first.dtype == np.float32
        assert np.isfinite(first).all()
        np.testing.assert_array_equal(first, second)
    assert len(own.content) == len(own.place)


@pytest.mark.parametrize("name", list(MADE))
def test_more_counts_of_the_same_change_no_token(name: str):
    one = MADE[name]()
    twice = replace(one, values=np.asarray(one.values) * 4.0)
    first, second = (tokens(name, Item("s", lambda m=m: (m,))) for m in (one, twice))
    assert first is not None
    assert second is not None
    np.testing.assert_allclose(first.content, second.content, atol=1e-4)
    np.testing.assert_allclose(first.place, second.place, atol=1e-5)


def test_a_strain_moves_places_and_changes_no_content():
    strain = 2e-3
    plain, moved = (tokens("powder", Item("s", lambda s=s: (pattern(s),))) for s in (0.0, strain))
    lines = slice(0, 2)
    shift = moved.place[lines, 0] - plain.place[lines, 0]
    np.testing.assert_allclose(shift, -np.log1p(strain), atol=1.5e-4)  # a sixth of a point
    assert np.abs(moved.content - plain.content)[lines].max() < 0.05


def test_a_picture_without_a_scale_has_no_place():
    pixels = tokens("image", Item("s", lambda: (grey(Modality.IMAGE, (40, 60), "px"),)))
    known = tokens("image", specimen("image"))
    assert (pixels.place[:, 1] > 100.0).all()
    assert (known.place[:, 1] < 1.0).all()
    np.testing.assert_array_equal(pixels.content, known.content)


# Absent is absent: what stands under a false mask changes no answer and no gradient.


def token_set(values: Tensor, mask: Tensor, place: Tensor) -> TokenSet:
    return TokenSet(values, mask, place, torch.zeros(mask.shape, dtype=torch.long))


def absent_is_absent(transformer: torch.nn.Module) -> bool:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, 6, 16, generator=generator)
    place = torch.rand(2, 6, 2, generator=generator)
    mask = torch.tensor([[True] * 6, [True] * 2 + [False] * 4])
    said = transformer(token_set(values, mask, place))[1]
    short = transformer(token_set(values[1:, :2], mask[1:, :2], place[1:, :2]))[0]
    values[1, 2:], place[1, 2:] = torch.nan, torch.nan
    spoilt = transformer(token_set(values, mask, place))
    spoilt.sum().backward()
    whole = all(
        bool(torch.isfinite(p.grad).all()) for p in transformer.parameters() if p.grad is not None
    )
    same = torch.allclose(spoilt[1], said, atol=1e-5) and torch.allclose(short, said, atol=1e-5)
    return same and whole


class Padded(FusionTransformer):
    """Planted: takes padding for tokens of zeros."""

    def forward(self, tokens: TokenSet) -> Tensor:
        values = torch.nan_to_num(tokens.values)
        return super().forward(
            replace(tokens, values=values, mask=torch.ones_like(tokens.mask),
                    place=torch.nan_to_num(tokens.place))
        )  # fmt: skip


@pytest.mark.parametrize("latents", [0, 3])
def test_what_is_masked_changes_nothing(latents: int):
    torch.manual_seed(0)
    size = (2, 1, 16, 2, 2, latents, 0.0)
    assert absent_is_absent(FusionTransformer(*size).eval())
    assert not absent_is_absent(Padded(*size).eval())


@pytest.fixture(scope="module")
def model() -> FusionModel:
    inputs = {}
    for name in ALL:
        one = tokens(name, specimen(name))
        inputs[name] = (one.content.shape[1], len(one.plain))
    torch.manual_seed(0)
    return FusionModel(FusionConfig(inputs, {"a": 2, "b.c": 3}, width=16)).eval()


def said(model: FusionModel, rows: list[dict[str, Tokens]]) -> Tensor:
    return torch.cat(list(model(collate(rows, model.config.inputs)).values()), dim=1)


def rows_of(*sets: tuple[str, ...]) -> list[dict[str, Tokens]]:
    return [{n: tokens(n, specimen(n)) for n in names} for names in sets]


@torch.no_grad()
def test_an_answer_depends_on_no_other_specimen_and_on_no_order(model: FusionModel):
    rows = rows_of(("composition",), ALL, (), ("powder", "eels"))
    together = said(model, rows)
    alone = torch.cat([said(model, [row]) for row in rows])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(said(model, rows[::-1]).flip(0), together, atol=1e-5, rtol=0)
    one = rows[1]["powder"]
    order = np.random.default_rng(0).permutation(len(one.content))
    turned = {**rows[1], "powder": Tokens(one.content[order], one.place[order], one.plain)}
    mixed = {name: turned[name] for name in reversed(turned)}
    torch.testing.assert_close(said(model, [mixed]), together[1:2], atol=1e-5, rtol=0)
    assert (together[0] - together[1]).abs().max() > 1e-3  # and it does depend on its own


@pytest.mark.parametrize("latents", [0, 2])
def test_every_weight_takes_part_in_every_step(model: FusionModel, latents: int):
    """Else several processes that train together would wait for each other."""
    other = FusionModel(replace(model.config, latents=latents))
    sum(out.sum() for out in other(collate([{}], other.config.inputs)).values()).backward()
    assert [name for name, weight in other.named_parameters() if weight.grad is None] == []


@torch.no_grad()
def test_an_absent_input_is_no_input_of_zeros(model: FusionModel):
    row = rows_of(("composition", "powder"))[0]
    zeros = Tokens(*(np.zeros_like(each) for each in vars(row["powder"]).values()))
    absent, planted = said(model, rows_of(("composition",))), said(model, [row | {"powder": zeros}])
    assert (absent - planted).abs().max() > 1e-3


def test_training_leaves_out_whole_inputs_and_never_all():
    row = rows_of(("composition", "columns", "powder"))[0]
    rng = np.random.default_rng(0)
    left = [set(without(row, {"powder": 0.5, "columns": 0.999, "composition": 0.999}, rng))
            for _ in range(200)]  # fmt: skip
    assert all(left)
    share = np.mean(["powder" in names for names in left])
    assert 0.4 < share < 0.75  # a half, and a third of those where all were drawn
    assert without(row, {}, rng) == row


# Heads


HEADS = (
    Head("y", scale="linear", centre=3.0, spread=2.0),
    Head("y", scale="log", centre=1.0, spread=0.5),
    Head("y", scale="bounded", low=2.0, high=5.0, centre=0.3, spread=0.7),
    Head("y", "class", classes=("a", "b", "c")),
)


@pytest.mark.parametrize("head", HEADS, ids=lambda h: h.scale if h.kind == "number" else "class")
def test_a_missing_label_and_a_bound(head: Head):
    output = torch.randn(4, head.outputs, generator=torch.Generator().manual_seed(0))
    output.requires_grad_()
    truth = torch.tensor([1.0, torch.nan, 0.0, torch.nan])
    loss = head.loss(output, truth)
    torch.testing.assert_close(loss, head.loss(output[[0, 2]], truth[[0, 2]]))
    loss.backward()
    assert torch.isfinite(output.grad).all()
    assert not output.grad[[1, 3]].any()
    assert head.loss(output, torch.full((4,), torch.nan)).item() == 0.0
    if head.kind == "class":
        chances, _ = answered(head, [output.detach(), 2.0 * output.detach()])
        np.testing.assert_allclose(chances.sum(axis=1), 1.0)
        return
    values = np.array([2.1, 3.0, 4.9, np.nan])
    np.testing.assert_allclose(head.told(head.learned(values)), values)
    far = head.told(np.array([-30.0, 30.0]))
    low, high = {"linear": (-np.inf, np.inf), "log": (0, np.inf)}.get(head.scale, (2.0, 5.0))
    assert (low <= far).all()
    assert (far <= high).all()
    if head.scale != "linear":
        with pytest.raises(ValueError, match="cannot be on the scale"):
            head.learned(np.array([-1.0]))


def test_intervals_hold_what_they_promise_in_each_pattern():
    rng = np.random.default_rng(0)
    patterns = np.array(["a", "b"])[rng.integers(0, 2, 400)]
    scores = np.abs(rng.normal(size=400)) * np.where(patterns == "a", 1.0, 5.0)
    levels = conformal(scores[:200], patterns[:200], 0.9)
    for name in ("a", "b"):
        here = patterns[200:] == name
        covered = np.mean(scores[200:][here] <= levels(name))
        assert 0.82 < covered < 0.98  # 0.9 within three deviations of a hundred draws
    pooled = np.mean(scores[200:][patterns[200:] == "b"] <= levels.whole)
    assert pooled < 0.85  # what one level for all would give
    assert levels("new") == levels.whole
    with pytest.raises(ValueError, match="need 9"):
        conformal(scores[:8], patterns[:8], 0.9)
