"""The trained network: tokens of whatever records a specimen has -> all targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xtalfuse.encoders.base import TokenSet
from xtalfuse.encoders.tokens.base import NOWHERE, Tokens
from xtalfuse.fusion.transformer import FusionTransformer


@dataclass(frozen=True)
class FusionConfig:
    """What a network reads, says, and how large it is.

    Parameters
    ----------
    inputs : name -> (numbers of a token, numbers of the summary)
    heads : name of the target -> numbers that are said of it
    absent : input -> rate at which training leaves it out whole; it protects up to that rate
    width, layers, attention_heads, latents, dropout : of the transformer
    """

    inputs: Mapping[str, tuple[int, int]]
    heads: Mapping[str, int]
    absent: Mapping[str, float] = field(default_factory=dict)
    width: int = 64
    layers: int = 2
    attention_heads: int = 4
    latents: int = 0
    dropout: float = 0.1


@dataclass(frozen=True)
class InputBatch:
    """Tokens of one input for B specimens, padded; absent ones have none.

    Parameters
    ----------
    content : (B, T, F)
    place : (B, T, 2)
    plain : (B, P)
    mask : (B, T) which tokens are there; the summary is there where one is
    """

    content: Tensor
    place: Tensor
    plain: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> InputBatch:
        """On another device."""
        parts = (self.content, self.place, self.plain, self.mask)
        return InputBatch(*(each.to(device) for each in parts))


Batch = Mapping[str, InputBatch]


def collate(
    rows: Sequence[Mapping[str, Tokens]], inputs: Mapping[str, tuple[int, int]]
) -> dict[str, InputBatch]:
    """Specimens with their tokens by input -> one batch.

    An input that no specimen has is there with one masked token, so that every weight takes part
    in every step, on every process.
    """
    batch = {}
    for name, (features, summary) in inputs.items():
        longest = max([1, *(len(row[name].content) for row in rows if name in row)])
        content = np.zeros((len(rows), longest, features), np.float32)
        place = np.zeros((len(rows), longest, 2), np.float32)
        plain = np.zeros((len(rows), summary), np.float32)
        mask = np.zeros((len(rows), longest), bool)
        for k, row in enumerate(rows):
            if name in row:
                count = len(row[name].content)
                content[k, :count], place[k, :count] = row[name].content, row[name].place
                plain[k], mask[k, :count] = row[name].plain, True
        arrays = (content, place, plain, mask)
        batch[name] = InputBatch(*(torch.from_numpy(each) for each in arrays))
    return batch


class FusionModel(nn.Module):
    """Embeds the tokens of each input, lets the tasks attend to them, and answers each target."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.tokens_of = nn.ModuleDict()
        self.summary_of = nn.ModuleDict()
        for name, (features, summary) in config.inputs.items():
            self.tokens_of[name] = _perceptron(features, width, config.dropout)
            self.summary_of[name] = _perceptron(summary, width, config.dropout)
        self.transformer = FusionTransformer(
            len(config.heads), len(config.inputs), width, config.layers, config.attention_heads,
            config.latents, config.dropout,
        )  # fmt: skip
        self.heads = nn.ModuleDict(
            {str(k): nn.Linear(width, n) for k, n in enumerate(config.heads.values())}
        )  # by number: the name of a label may hold a dot

    def tokens(self, batch: Batch) -> TokenSet:
        """All tokens of all inputs, the summary of each as one more."""
        parts: list[list[Tensor]] = [[], [], [], []]
        for number, name in enumerate(self.config.inputs):
            one = batch[name]
            there = one.mask.any(dim=1, keepdim=True)
            content = torch.where(one.mask[..., None], one.content, 0.0)
            plain = torch.where(there, one.plain, 0.0)[:, None]
            values = torch.cat([self.tokens_of[name](content), self.summary_of[name](plain)], 1)
            nowhere = torch.tensor([0.0, NOWHERE]).to(one.place).expand(len(plain), 1, 2)
            mask = torch.cat([one.mask, there], dim=1)
            kind = torch.full_like(mask, number, dtype=torch.long)
            for part, each in zip(
                parts, (values, mask, torch.cat([one.place, nowhere], 1), kind), strict=True
            ):
                part.append(each)
        return TokenSet(*(torch.cat(part, dim=1) for part in parts))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Target -> (B, outputs)."""
        said = self.transformer(self.tokens(batch))
        return {name: self.heads[str(k)](said[:, k]) for k, name in enumerate(self.config.heads)}


def _perceptron(features: int, width: int, dropout: float) -> nn.Module:
    return nn.Sequential(
        nn.Linear(features, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width)
    )


def without(
    row: Mapping[str, Tokens], absent: Mapping[str, float], rng: np.random.Generator
) -> dict[str, Tokens]:
    """A specimen without the inputs that a draw takes from it; one at least is left."""
    drawn = {name: bool(rng.random() < absent.get(name, 0.0)) for name in sorted(row)}
    if all(drawn.values()) and drawn:
        drawn[sorted(drawn)[int(rng.integers(len(drawn)))]] = False
    return {name: tokens for name, tokens in row.items() if not drawn[name]}


def shifted(
    row: Mapping[str, Tokens], jitter: Mapping[str, float], rng: np.random.Generator
) -> dict[str, Any]:
    """A specimen whose places are shifted, those of an input all by the same amount."""
    moved = {}
    for name in sorted(row):
        one, shift = row[name], jitter.get(name, 0.0) * rng.standard_normal()
        place = one.place + np.array([shift, 0.0], np.float32)
        moved[name] = Tokens(one.content, place, one.plain)
    return moved
