"""Attention over the tokens that are there: a query for each task, latents where they are many."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from xtalfuse.encoders.base import TokenSet

WAVES = 16  # of a place embedding
LONGEST, SHORTEST = 20.0, 0.01  # waves of it, in natural logarithms: keV to eV, 1 % of |g|


class PlaceEmbedding(nn.Module):
    """(..., 2) coordinate and its uncertainty -> (..., width).

    Sines and cosines of the coordinate, each with the mean that a Gaussian uncertainty s leaves of
    it, exp(-(w s)^2 / 2): what is not known to a wave is not told by it.

    References
    ----------
    Barron, J. T. et al. (2021). Mip-NeRF, ICCV, eq. 14 (the mean of a wave over a Gaussian).
    """

    waves: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        lengths = torch.logspace(math.log10(LONGEST), math.log10(SHORTEST), WAVES)
        self.register_buffer("waves", 2.0 * math.pi / lengths, persistent=False)
        self.linear = nn.Linear(2 * WAVES, width, bias=False)

    def forward(self, place: Tensor) -> Tensor:
        phase = place[..., :1] * self.waves
        left = torch.exp(-0.5 * (place[..., 1:] * self.waves) ** 2)
        return self.linear(torch.cat([left * phase.sin(), left * phase.cos()], dim=-1))


class Block(nn.Module):
    """Pre-norm attention of `x` to itself and a context, then a perceptron.

    Parameters
    ----------
    width, heads : of the attention
    dropout : share of values that training leaves out
    context : whether there is one
    """

    def __init__(self, width: int, heads: int, dropout: float, context: bool) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm = nn.LayerNorm(width)
        # weights that take no part in a step would halt several processes
        self.norm_context = nn.LayerNorm(width) if context else None
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(),
            nn.Dropout(dropout), nn.Linear(2 * width, width), nn.Dropout(dropout),
        )  # fmt: skip

    def forward(self, x: Tensor, mask: Tensor, context: Tensor | None = None) -> Tensor:
        """
        Parameters
        ----------
        x : (B, N, D)
        mask : (B, K) which of `x`, and of the context behind it, are there
        context : (B, K - N, D) attended to and not changed
        """
        normal = self.norm(x)
        keys = normal
        if self.norm_context is not None:
            keys = torch.cat([normal, self.norm_context(context)], dim=1)
        q = self._parted(self.query(normal))
        k, v = (self._parted(each) for each in self.key_value(keys).chunk(2, dim=-1))
        attended = functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
        )  # fmt: skip
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.perceptron(x)

    def _parted(self, values: Tensor) -> Tensor:
        """(B, N, D) -> (B, heads, N, D / heads)."""
        return values.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FusionTransformer(nn.Module):
    """Tokens of all modalities -> one vector for each task.

    Queries are always there, so that a specimen without any token has an answer too: what is known
    of none. With latents, queries and latents read the tokens in each layer and the cost grows with
    the number of tokens; without, all tokens attend to each other.

    Parameters
    ----------
    tasks, kinds : number of queries; of modalities
    width, layers, heads, dropout : of the attention
    latents : number of them; 0 for none

    References
    ----------
    Jaegle, A. et al. (2021). Perceiver, ICML (latents).
    """

    def __init__(
        self, tasks: int, kinds: int, width: int, layers: int, heads: int, latents: int,
        dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.tasks, self.latents = tasks, latents
        self.place = PlaceEmbedding(width)
        self.kind = nn.Embedding(kinds, width)
        self.own = nn.Parameter(0.02 * torch.randn(tasks + latents, width))
        self.blocks = nn.ModuleList(
            Block(width, heads, dropout, latents > 0) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: TokenSet) -> Tensor:
        """(B, tasks, D)."""
        there = tokens.mask[..., None]
        # what stands under a false mask may be no number, which no weight of zero takes away; a
        # place too, or the gradient of its weights is none
        place = self.place(torch.where(there, tokens.place, 0.0))
        values = torch.where(there, tokens.values + place + self.kind(tokens.kind), 0.0)
        own = self.own.expand(len(values), -1, -1)
        mask = torch.cat([tokens.mask.new_ones(own.shape[:2]), tokens.mask], dim=1)
        x, context = (own, values) if self.latents else (torch.cat([own, values], 1), None)
        for block in self.blocks:
            x = block(x, mask, context)
        return self.norm(x[:, : self.tasks])
