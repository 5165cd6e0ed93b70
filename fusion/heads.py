"""What is learned of a target: numbers with an uncertainty of their own, or classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

WIDEST, NARROWEST = 3.0, -5.0  # logarithm of a standard deviation, in deviations of the target
BETA = 0.5  # of the weight of the likelihood; 0 starves what is hard, 1 is least squares


@dataclass(frozen=True)
class Head:
    """One target, and how it is learned.

    Parameters
    ----------
    name, unit : of the label; "" of pure numbers and classes
    kind : ``"number"`` or ``"class"``
    scale : of a number: learned as it is, as its logarithm, or as the logit of its place between
        `low` and `high`, so that no answer and no interval leaves them
    classes : names, in order
    centre, spread : mean and deviation of the training values, on the learned scale
    """

    name: str
    kind: Literal["number", "class"] = "number"
    unit: str = ""
    scale: Literal["linear", "log", "bounded"] = "linear"
    low: float = 0.0
    high: float = 1.0
    classes: tuple[str, ...] = ()
    centre: float = 0.0
    spread: float = 1.0

    @property
    def outputs(self) -> int:
        """Numbers that a network gives."""
        return len(self.classes) or 2

    def learned(self, values: np.ndarray) -> np.ndarray:
        """Values in the unit, or places of classes, as they are learned; NaN stays NaN.

        Raises
        ------
        ValueError
            If one cannot be on the scale; the message says which.
        """
        values = np.asarray(values, float)
        if self.kind == "class":
            return values
        low, high = {"log": (0.0, np.inf), "bounded": (self.low, self.high)}.get(
            self.scale, (-np.inf, np.inf)
        )
        wrong = np.isfinite(values) & ~((values > low) & (values < high))
        if wrong.any():
            raise ValueError(
                f"target {self.name!r}: {values[wrong][0]:g} {self.unit} cannot be on the scale "
                f"{self.scale!r}, which lies between {low:g} and {high:g}; choose another scale"
            )
        if self.scale == "log":
            values = np.log(values)
        elif self.scale == "bounded":
            part = (values - self.low) / (self.high - self.low)
            values = np.log(part / (1.0 - part))
        return (values - self.centre) / self.spread

    def told(self, learned: np.ndarray) -> np.ndarray:
        """What was learned, in the unit."""
        values = np.asarray(learned, float) * self.spread + self.centre
        if self.scale == "log":
            return np.exp(values)
        if self.scale == "bounded":
            return self.low + (self.high - self.low) / (1.0 + np.exp(-values))
        return values

    def loss(self, output: Tensor, learned: Tensor) -> Tensor:
        """Mean over those that have a label; 0 where none has.

        Parameters
        ----------
        output : (B, outputs) of the network
        learned : (B,) NaN where there is no label

        References
        ----------
        Seitzer, M. et al. (2022). On the pitfalls of heteroscedastic uncertainty estimation, ICLR
        (the likelihood of a Gaussian, weighted by sigma^(2 beta)).
        """
        known = torch.isfinite(learned)
        count = known.sum().clamp(min=1)
        if self.kind == "class":
            chosen = torch.where(known, learned, 0.0).long()
            each = functional.cross_entropy(output, chosen, reduction="none")
        else:
            logarithm = _bounded(output[:, 1])
            wrong = torch.where(known, learned, 0.0) - output[:, 0]
            each = 0.5 * (wrong * torch.exp(-logarithm)) ** 2 + logarithm
            each = each * torch.exp(2.0 * BETA * logarithm).detach()
        return torch.where(known, each, 0.0).sum() / count


def _bounded(raw: Tensor) -> Tensor:
    """The logarithm of a standard deviation."""
    middle, half = 0.5 * (WIDEST + NARROWEST), 0.5 * (WIDEST - NARROWEST)
    return middle + half * torch.tanh((raw - middle) / half)


def answered(head: Head, outputs: Sequence[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """What networks of an ensemble say together.

    Parameters
    ----------
    outputs : (B, outputs) of each network

    Returns
    -------
    of a number (B,) mean and standard deviation on the learned scale, that of the mixture; of
    classes (B, classes) probabilities and (B,) the standard deviation of the first among networks
    """
    stacked = torch.stack(list(outputs)).double()
    if head.kind == "class":
        each = stacked.softmax(dim=-1)
        mean = each.mean(dim=0)
        top = mean.argmax(dim=-1, keepdim=True).expand(len(each), -1, -1)
        return mean.numpy(), each.gather(-1, top)[..., 0].std(dim=0, correction=0).numpy()
    mean = stacked[..., 0]
    inside = torch.exp(2.0 * _bounded(stacked[..., 1])).mean(dim=0)
    total = inside + mean.var(dim=0, correction=0)
    return mean.mean(dim=0).numpy(), total.sqrt().numpy()
