"""Stress of every grain and stiffness of the whole, from a grain graph, with uncertainty.

Where the grain network was shown to be better than the zero model it is used; elsewhere, that
is for sections, pores and contrasts stronger than those it was tested on, the zero model
answers and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from xtalfuse.physics.estimate import NORMAL_QUANTILE, Estimate
from xtalfuse.physics.grains.graph import GrainGraph

if TYPE_CHECKING:
    import torch

    from xtalfuse.encoders.networks.grains import GrainNetwork, GrainStrain

COVERAGE = 0.9  # of the intervals
SAMPLES = 200
LARGEST_RESIDUAL = 0.02  # change of the strains in the last round
CONTRAST_MARGIN = 1.1  # beyond the strongest contrast of the calibration the network is not asked
HILL = "Hill average"
SPHERES = "isolated spheres in Hill's medium (Eshelby)"
NETWORK = "grain network over Hill's medium"


@dataclass(frozen=True)
class StiffnessSpread:
    """How far the true stiffness is from a predicted one, as a place between the bounds.

    Parameters
    ----------
    bias : mean error, the same in all directions
    shift : standard deviation of an error that is the same in all directions
    floor, single : of independent entries, for very many grains and for one
    contrast : all but the bias grow by 1 + this times the squared mean contrast
    """

    bias: float
    shift: float
    floor: float
    single: float
    contrast: float = 0.0

    def at_contrast(self, contrast: float) -> StiffnessSpread:
        """The spread for a volume of this mean contrast."""
        factor = 1.0 + self.contrast * contrast**2
        parts = {name: factor * getattr(self, name) for name in ("shift", "floor", "single")}
        return replace(self, contrast=0.0, **parts)

    def single_entries(self, inverse_grains: float) -> float:
        """Standard deviation of independent entries; `inverse_grains` is 1 / n or sum f^2."""
        return float(np.sqrt(self.floor**2 + self.single**2 * inverse_grains))

    def of_entries(
        self, low: torch.Tensor, high: torch.Tensor, inverse_grains: float
    ) -> torch.Tensor:
        """(6, 6) standard uncertainty of each entry of the stiffness, GPa."""
        from xtalfuse.physics.mechanics.bounds import entry_scale

        common = (self.shift * (high - low)) ** 2
        apart = (self.single_entries(inverse_grains) * entry_scale(low, high)) ** 2
        return (common + apart).sqrt()


# metals lie at 0.38 to 0.71 of the way from Reuss to Voigt, 20 grains and more
HILL_SPREAD = StiffnessSpread(bias=0.0, shift=0.1, floor=0.08, single=0.0)


@dataclass(frozen=True)
class NetworkErrors:
    """How errors scale with what the network says; fitted to volumes it was not trained on.

    Parameters
    ----------
    stress : (a, b) of each kind of grain: the half width of its interval is a + b x contrast^2
        of the exchanged stress
    stiffness : of the effective stiffness
    contrast : largest mean contrast of a volume that was calibrated on
    """

    stress: dict[str, tuple[float, float]]
    stiffness: StiffnessSpread
    contrast: float


@lru_cache(maxsize=4)
def load_network(weights: str | Path = "grains") -> tuple[GrainNetwork, NetworkErrors]:
    """Network and calibration, float64, by the name of weights of the package or by path.

    Raises
    ------
    WeightsError
        If the weights are absent or damaged.
    """
    from xtalfuse.encoders.networks.grains import GrainNetwork, GrainNetworkConfig
    from xtalfuse.encoders.networks.weights import load_weights

    state, about = load_weights(weights)
    network = GrainNetwork(GrainNetworkConfig(**about["network"]))
    network.load_state_dict(state)
    found = about["calibration"]
    stress = {kind: tuple(line) for kind, line in found["stress"].items()}
    spread = StiffnessSpread(**found["stiffness"])
    calibration = NetworkErrors(stress, spread, float(found["contrast"]))
    return network.double().eval().requires_grad_(False), calibration


def predict_stress(
    graph: GrainGraph,
    constants: Sequence[np.ndarray],
    load: np.ndarray,
    *,
    given: Literal["strain", "stress"] = "stress",
    weights: str | Path = "grains",
) -> Estimate:
    """Mean stress of every grain under a load.

    Parameters
    ----------
    graph : of a volume or a section
    constants : (6, 6) stiffness of each phase in the crystal frame, Mandel, GPa; zeros for pores
    load : (6,) mean stress of the specimen, GPa, or its mean strain, Mandel, specimen frame
    given : which of the two `load` is
    weights : of the network

    Returns
    -------
    Estimate with value (n, 6), Mandel, GPa, zero in pores; its `half_width` is calibrated

    Raises
    ------
    ValueError
        If the load or the constants do not fit.
    """
    import torch

    load_ = torch.as_tensor(np.asarray(load, float))
    if load_.shape != (6,) or given not in ("strain", "stress"):
        raise ValueError(
            f"load {tuple(load_.shape)}, given={given!r}; expected the 6 Mandel components of a "
            "mean 'strain' or 'stress'"
        )
    body = _Body(graph, constants)
    zero = _stress(body, body.zero_strain(), load_, given)
    answer = body.network(weights)
    if isinstance(answer, str):
        unknown = np.full((len(graph), 6), np.nan)
        unknown[~body.solid.numpy()] = 0.0
        return _of_stress(body, zero, unknown, SPHERES, answer, zero)
    found, calibration = answer
    strain = _mean_strain(body, found.concentration, load_, given)
    scale = torch.einsum("a,nab,b->n", strain, found.exchanged, strain).clamp(min=0.0).sqrt()
    widths = {k: float(_width(line, body, found)) for k, line in calibration.stress.items()}
    half = scale.numpy() * np.array([widths[kind] for kind in grain_kinds(graph)])
    value = _stress(body, found.concentration, load_, given)
    half = np.repeat(half[:, None], 6, axis=1)
    return _of_stress(body, value, half / NORMAL_QUANTILE, NETWORK, _validity(graph), zero)


def _of_stress(
    body: _Body, value: np.ndarray, su: np.ndarray, method: str, validity: str, zero: np.ndarray
) -> Estimate:
    assumed = body.assumptions
    return Estimate("stress", value, su, "GPa", method, assumed, validity, zero_model=zero)


def predict_stiffness(
    graph: GrainGraph,
    constants: Sequence[np.ndarray],
    *,
    weights: str | Path = "grains",
    seed: int = 0,
) -> Estimate:
    """Effective stiffness of the grains of a graph, between Reuss and Voigt by construction.

    Parameters
    ----------
    graph, constants, weights : as of :func:`predict_stress`
    seed : of the samples

    Returns
    -------
    Estimate with value (6, 6), Mandel, GPa, specimen frame, and samples (200, 6, 6), all
    symmetric and positive definite
    """
    from xtalfuse.physics.mechanics.bounds import at_place, draw_places, place_between

    body = _Body(graph, constants)
    low, high = body.bounds()
    hill = 0.5 * (low + high)
    answer = body.network(weights)
    if isinstance(answer, str):
        place, spread, method, validity = 0.5 * _identity(), HILL_SPREAD, HILL, answer
    else:
        found, calibration = answer
        method, validity = NETWORK, _validity(graph)
        spread = calibration.stiffness.at_contrast(float((body.share * found.contrast).sum()))
        raw = body.mean(body.stiffness @ found.concentration)
        place = place_between(raw, low, high) + spread.bias * _identity()
    inverse_grains = float((body.share**2).sum())
    value = at_place(place, low, high)
    drawn = draw_places(place, spread.shift, spread.single_entries(inverse_grains), SAMPLES, seed)
    samples = at_place(drawn, low, high)
    scaled = [body.porous(each) for each in (value, hill, samples)]
    su = spread.of_entries(low, high, inverse_grains)
    if body.porosity > 0.0:
        su = scaled[2].std(dim=0)
    return Estimate(
        "stiffness", scaled[0].numpy(), su.numpy(), "GPa", method, body.assumptions, validity,
        samples=scaled[2].numpy(), zero_model=scaled[1].numpy(),
    )  # fmt: skip


class _Body:
    """Grains of a graph with their stiffness; pores apart."""

    def __init__(self, graph: GrainGraph, constants: Sequence[np.ndarray]) -> None:
        import torch

        from xtalfuse.encoders.networks.pairs import grain_stiffness

        self.graph = graph
        self.stiffness = grain_stiffness(graph, constants)
        self.solid = torch.linalg.eigvalsh(self.stiffness)[:, 0] > 0
        if not self.solid.any():
            raise ValueError("no grain has a stiffness; give the constants of at least one phase")
        size = torch.as_tensor(graph.size, dtype=torch.float64)
        self.porosity = float(size[~self.solid].sum() / size.sum())
        self.share = torch.where(self.solid, size, 0.0) / size[self.solid].sum()
        self.assumptions = _assumptions(graph, self.porosity)

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """(6, 6) mean of (n, 6, 6) over the solid."""
        return (self.share[:, None, None] * values).sum(dim=0)

    def bounds(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Reuss's and Voigt's average of the solid."""
        from xtalfuse.physics.mechanics.elasticity import reuss, voigt

        solid, share = self.stiffness[self.solid], self.share[self.solid]
        return reuss(solid, share), voigt(solid, share)

    def solid_strain(self) -> torch.Tensor:
        """(6, 6) mean strain of the solid for the mean strains of the specimen.

        Mori & Tanaka (1973) for spherical pores, doi:10.1016/0001-6160(73)90064-3.
        """
        import torch

        from xtalfuse.physics.mechanics.elasticity import isotropic_moduli
        from xtalfuse.physics.mechanics.interaction import sphere, strain_operator

        low, high = self.bounds()
        solid, one = 0.5 * (low + high), torch.eye(6, dtype=torch.float64)
        medium = isotropic_moduli(solid)
        void = torch.linalg.inv(one - strain_operator(sphere(), medium.bulk, medium.shear) @ solid)
        return torch.linalg.inv((1.0 - self.porosity) * one + self.porosity * void)

    def porous(self, solid: torch.Tensor) -> torch.Tensor:
        """Stiffness (..., 6, 6) of the specimen from that of its solid."""
        if self.porosity == 0.0:
            return solid
        whole = (1.0 - self.porosity) * solid @ self.solid_strain()
        return 0.5 * (whole + whole.mT)

    def zero_strain(self) -> torch.Tensor:
        """(n, 6, 6) strain of each grain after the zero model."""
        import torch

        from xtalfuse.physics.mechanics.interaction import isolated_spheres

        strain = torch.zeros_like(self.stiffness)
        strain[self.solid] = isolated_spheres(self.stiffness[self.solid], self.share[self.solid])
        return strain if self.porosity == 0.0 else strain @ self.solid_strain()

    def network(self, weights: str | Path) -> tuple[GrainStrain, NetworkErrors] | str:
        """What the network says and how far it is right, or why it is not asked."""
        if self.graph.dimension == 2:
            return "a section does not tell which grains lie above and below: no network"
        if self.porosity > 0.0:
            return "the network was not trained on pores"
        from xtalfuse.encoders.networks.pairs import pair_data

        network, calibration = load_network(weights)
        found = network(pair_data(self.graph, self.stiffness))
        contrast = float((self.share * found.contrast).sum())
        if contrast > CONTRAST_MARGIN * calibration.contrast:
            return (
                f"the grains differ by {contrast:.2f} from their mean, more than the "
                f"{calibration.contrast:.2f} that the network was tested on"
            )
        if not float(found.residual) < LARGEST_RESIDUAL:
            return "the rounds of the network did not converge for grains of these shapes"
        return found, calibration


def _assumptions(graph: GrainGraph, porosity: float) -> tuple[str, ...]:
    told = ["linear elasticity; grain boundaries are perfect"]
    if graph.dimension == 2:
        told.append("section: the texture is taken to be the same in depth")
    if porosity > 0.0:
        told.append("pores are taken for spheres that lie at random (Mori-Tanaka)")
    return tuple(told)


def _mean_stiffness(body: _Body, concentration: torch.Tensor) -> torch.Tensor:
    return (1.0 - body.porosity) * body.mean(body.stiffness @ concentration)


def _mean_strain(
    body: _Body, concentration: torch.Tensor, load: torch.Tensor, given: str
) -> torch.Tensor:
    """(6,) mean strain of the specimen under the load."""
    import torch

    if given == "strain":
        return load
    return torch.linalg.solve(_mean_stiffness(body, concentration), load)


def _stress(body: _Body, concentration: torch.Tensor, load: torch.Tensor, given: str) -> np.ndarray:
    """(n, 6) stress of each grain."""
    strain = _mean_strain(body, concentration, load, given)
    return (body.stiffness @ concentration @ strain).numpy()


def _width(line: tuple[float, float], body: _Body, found: GrainStrain) -> torch.Tensor:
    return line[0] + line[1] * (body.share * found.contrast).sum() ** 2


def grain_kinds(graph: GrainGraph) -> list[str]:
    """What is known of the surroundings of each grain: ``periodic``, ``inside``, ``border``."""
    if graph.period is not None and np.all(graph.period > 0):
        return ["periodic"] * len(graph)
    return ["border" if cut else "inside" for cut in graph.on_border]


def _identity() -> torch.Tensor:
    import torch

    return torch.eye(6, dtype=torch.float64)


def _validity(graph: GrainGraph) -> str:
    if graph.period is not None and np.all(graph.period > 0):
        return "a periodic volume of the grains given"
    cut = int(graph.on_border.sum())
    return (
        f"the volume given; {cut} of {len(graph)} grains are cut by its edge, what lies beyond is "
        "taken for the mean of what was seen"
    )
