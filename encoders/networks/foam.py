"""The stiffness of a porous metal in milliseconds: coarse mechanics, and what it leaves over.

The volume is divided into cells of a few voxels; each is taken to be as stiff as the cube of
its share of metal (Gibson & Ashby). A few steps of conjugate gradients relax the coarse volume;
the energy after each tells how stiff it is and how fast it gives way. A linear model of their
logarithms says what the fine volume has. The same weights serve the three axes: turning or
mirroring the volume by an operation of the cube turns the answer, and shifting it by whole
cells changes nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xtalfuse.encoders.networks.weights import load_weights
from xtalfuse.physics.mechanics.scaled_medium import ScaledMedium

FOLDS = 5  # to tell the error on volumes that were not fitted


@dataclass(frozen=True)
class PorousConfig:
    """How a :class:`PorousSurrogate` looks at a volume.

    Parameters
    ----------
    solid : (6, 6) stiffness of the metal in the specimen frame, Mandel, GPa
    cells : along each edge
    steps : of conjugate gradients
    power : of the share of metal in a cell, which gives its scale of the stiffness
    floor : scale of an empty cell
    """

    solid: tuple[tuple[float, ...], ...]
    cells: int = 16
    steps: int = 12
    power: float = 3.0
    floor: float = 2e-4

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PorousConfig:
        """What :meth:`to_dict` gave, from JSON or not."""
        return cls(**{**values, "solid": tuple(tuple(row) for row in values["solid"])})


class PorousSurrogate(nn.Module):
    """C11, C22, C33 of periodic volumes of metal and nothing."""

    weight: Tensor
    intercept: Tensor
    log_error: Tensor

    def __init__(self, config: PorousConfig) -> None:
        super().__init__()
        self.config = config
        solid = torch.tensor(config.solid, dtype=torch.float64)
        self.unit = float(solid[0, 0])
        self.medium = ScaledMedium((config.cells,) * 3, solid, steps=config.steps)
        count = config.steps + 3
        self.register_buffer("weight", torch.zeros(count, dtype=torch.float64))
        self.register_buffer("intercept", torch.zeros((), dtype=torch.float64))
        self.register_buffer("log_error", torch.full((2,), torch.nan, dtype=torch.float64))

    @torch.no_grad()
    def features(self, solid: Tensor) -> Tensor:
        """What is seen of volumes (B, X, Y, Z), share of metal 0-1, along each axis.

        Returns
        -------
        (B, 3, steps + 3) float64: logarithms of the energy after each step (over C11 of the
        metal), of the share of metal, and sum and difference of what the other axes have

        Raises
        ------
        ValueError
            If a volume cannot be divided into the cells.
        """
        edge, rest = divmod(solid.shape[-1], self.config.cells)
        if solid.ndim != 4 or rest or len(set(solid.shape[1:])) != 1:
            raise ValueError(
                f"volumes of shape {tuple(solid.shape)}; expected (B, N, N, N) with N a multiple "
                f"of {self.config.cells}: crop or resample them"
            )
        fill = nn.functional.avg_pool3d(solid[:, None].float(), edge)[:, 0]
        scale = (fill**self.config.power).clamp(min=self.config.floor)
        energy = (self.medium(scale).double() / self.unit).log()[:, :, 1:]  # [B, 3, steps]
        share = fill.double().mean(dim=(1, 2, 3)).log()[:, None, None].expand(-1, 3, 1)
        last = energy[:, :, -1:]
        others = last.roll(1, 1), last.roll(-1, 1)
        both, between = others[0] + others[1], (others[0] - others[1]).abs()
        return torch.cat([energy, share, both, between], dim=2)

    def forward(self, solid: Tensor) -> Tensor:
        """(B, 3) C11, C22, C33 of volumes (B, N, N, N), GPa.

        Raises
        ------
        ValueError
            If the surrogate was not fitted, or a volume cannot be divided into the cells.
        """
        if self.log_error.isnan().any():
            raise ValueError("the surrogate has no weights: fit it, or use load_porous_surrogate")
        return self.unit * (self.features(solid) @ self.weight + self.intercept).exp()

    def uncertainty(self, stiffness: Tensor) -> Tensor:
        """Standard uncertainty of predicted stiffness, GPa, from volumes that were left out.

        Soft volumes hang by few necks that a cell does not resolve: their relative error is
        larger, by a power law.
        """
        gain, slope = self.log_error
        return stiffness * (gain + slope * (stiffness / self.unit).log()).exp()

    def fit(self, solid: Tensor, stiffness: Tensor) -> PorousSurrogate:
        """Fit the linear model by ridge regression of logarithms.

        Parameters
        ----------
        solid : (B, N, N, N) volumes
        stiffness : (B, 3) their C11, C22, C33, GPa
        """
        seen = torch.cat([self.features(part) for part in solid.split(4)]).numpy()
        target = np.log(np.asarray(stiffness, float) / self.unit)
        return self.fit_features(seen, target)

    def fit_features(self, seen: np.ndarray, target: np.ndarray) -> PorousSurrogate:
        """Fit to features (B, 3, f) and logarithms (B, 3) of stiffness over C11 of the metal.

        The error on volumes that are left out in turn gives the uncertainty.
        """
        fold = np.arange(len(seen)) % FOLDS
        found = np.empty_like(target)
        for number in range(FOLDS):
            left, kept = fold == number, fold != number
            weight, intercept = ridge(seen[kept], target[kept])
            found[left] = seen[left] @ weight + intercept
        weight, intercept = ridge(seen, target)
        self.weight.copy_(torch.from_numpy(weight))
        self.intercept.fill_(intercept)
        self.log_error.copy_(torch.tensor(_error_law(found, found - target)))
        return self


def _error_law(found: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """a, b of the standard deviation exp(a + b found) of errors; their mean square is kept."""
    slope, _ = np.polyfit(found.ravel(), np.log(np.abs(error).ravel() + 1e-12), 1)
    slope = min(float(slope), 0.0)  # nothing stiff is less sure than what is soft
    scaled = np.mean((error / np.exp(slope * found)) ** 2)
    return 0.5 * float(np.log(scaled + 1e-24)), slope


def ridge(seen: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights (f,) and intercept of a linear model of (..., f), penalty by leaving one out."""
    from sklearn.linear_model import RidgeCV

    flat = seen.reshape(-1, seen.shape[-1])
    centre, spread = flat.mean(axis=0), flat.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    model = RidgeCV(np.logspace(-6, 2, 17)).fit((flat - centre) / spread, target.reshape(-1))
    weight = model.coef_ / spread
    return weight, float(model.intercept_ - centre @ weight)


def load_porous_surrogate(path: str = "porous_gold") -> PorousSurrogate:
    """The surrogate with weights of a file, or with those that come with the package.

    Those were fitted to foams of gold whose crystal axes lie along the edges, with 25 to 45 %
    metal, 2.4 to 3.7 wavelengths in an edge, and stiffer than 1 GPa; nothing is known of their
    error elsewhere.

    Raises
    ------
    WeightsError
        If the weights are missing or damaged.
    """
    state, config = load_weights(path)
    surrogate = PorousSurrogate(PorousConfig.from_dict(config["surrogate"]))
    surrogate.load_state_dict(state)
    return surrogate.eval()
