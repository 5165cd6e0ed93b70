"""Effective stiffness of a periodic voxel volume, by fast Fourier transforms.

The strain is the given mean plus a compatible fluctuation that leaves the stress in
equilibrium. In Fourier space the compatible strains at a frequency of direction n are
sym(n v), three numbers v of six; conjugate gradients minimise the elastic energy over them
(Zeman et al. 2010, doi:10.1016/j.jcp.2010.07.010). An isotropic medium scales the three
numbers: it changes how many steps are needed, not the answer. What is measured from the energy
(the effective stiffness) has the square of the error that the strain has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from xtalfuse.physics.mechanics.elasticity import isotropic_moduli

Scheme = Literal["fourier", "rotated"]
Fields = list[list[Tensor]]  # a (6, 6) tensor of arrays (X, Y, Z)
VOXELS_AT_ONCE = 2**18  # voxels times loads; a volume of more goes load by load
_PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))  # of Mandel components


class ConvergenceError(RuntimeError):
    """Equilibrium was not reached in the allowed number of steps."""


@dataclass(frozen=True)
class Homogenized:
    """Answer of :func:`homogenize` under m loads; by default six, load j a mean strain of one
    in Mandel component j.

    Parameters
    ----------
    stiffness : (m, m) effective stiffness seen by the loads, ``loads @ C @ loads.T``: (6, 6),
        Mandel, by default; in the unit of the input; differentiable with respect to the
        stiffness of the labels
    mean_stress : (n, 6, m) mean stress of each label; by default ``mean_stress[g] @ strain`` is
        that at any mean strain; zero of a label that no voxel has; not differentiable
    fraction : (n,) volume fraction of each label
    iterations : steps of conjugate gradients
    residual : largest imbalance left in any load, relative, as `tolerance`
    strain, stress : (6, m, X, Y, Z) component, load, voxel; None where not asked for
    """

    stiffness: Tensor
    mean_stress: Tensor
    fraction: Tensor
    iterations: int
    residual: float
    strain: Tensor | None = None
    stress: Tensor | None = None


def effective_stiffness(labels: Any, stiffness: Any, **options: Any) -> tuple[Tensor, Tensor]:
    """Effective stiffness (6, 6) and mean stress per label (n, 6, 6); see :func:`homogenize`."""
    found = homogenize(labels, stiffness, **options)
    return found.stiffness, found.mean_stress


def homogenize(
    labels: Any,
    stiffness: Any,
    *,
    loads: Any = None,
    step: tuple[float, float, float] = (1.0, 1.0, 1.0),
    scheme: Scheme = "fourier",
    tolerance: float = 1e-4,
    max_iterations: int = 2000,
    fields: bool = False,
) -> Homogenized:
    """Effective stiffness of a periodic volume of voxels.

    Parameters
    ----------
    labels : (X, Y, Z) int, 0 to n - 1; a section has Z = 1 and is uniform along z
    stiffness : (n, 6, 6) of each label in the specimen frame, Mandel; zeros for a void. Its
        dtype (float32, float64) and device are those of the computation
    loads : (m, 6) mean strains, Mandel; the six unit strains if not given
    step : size of a voxel along x, y, z, any unit
    scheme : ``"fourier"`` differentiates the trigonometric polynomial; ``"rotated"`` takes
        differences on the diagonals of a voxel (Willot 2015) and is the one for voids
    tolerance : stress out of equilibrium, relative to the stored energy, both in the norm of
        the mean isotropic medium. The strain has about this relative error, the effective
        stiffness about its square
    max_iterations : of conjugate gradients
    fields : whether to return strain and stress of each voxel

    Raises
    ------
    ValueError
        If the labels or the stiffness cannot be used.
    ConvergenceError
        If `tolerance` was not reached.

    References
    ----------
    Zeman, J. et al. (2010). J. Comput. Phys. 229, 8065. doi:10.1016/j.jcp.2010.07.010
    Willot, F. (2015). C. R. Mecanique 343, 232. doi:10.1016/j.crme.2014.12.005
    """
    stiffness = torch.as_tensor(stiffness)
    labels = torch.as_tensor(labels, device=stiffness.device).long()
    _check(labels, stiffness, scheme)
    mean = torch.eye(6) if loads is None else torch.as_tensor(loads)
    space = _CompatibleStrains(labels, stiffness.detach(), step, scheme)
    problem = _Balance(space, labels, mean.to(stiffness).T, tolerance, max_iterations)
    effective, mean_stress, numbers, iterations, residual = _Solve.apply(stiffness, problem)
    strain = stress = None
    if fields:
        strain = space.strain(numbers) + problem.uniform
        moduli = _spread(stiffness.detach(), labels)
        stress = torch.stack([_stress(moduli, strain, i) for i in range(6)])
    fraction = _fractions(labels, stiffness)
    return Homogenized(
        effective, mean_stress, fraction, int(iterations), float(residual), strain, stress
    )


def _check(labels: Tensor, stiffness: Tensor, scheme: str) -> None:
    if labels.ndim != 3 or labels.numel() == 0:
        raise ValueError(f"labels have shape {tuple(labels.shape)}; expected (X, Y, Z)")
    if stiffness.ndim != 3 or stiffness.shape[1:] != (6, 6) or not stiffness.is_floating_point():
        raise ValueError(
            f"stiffness has shape {tuple(stiffness.shape)}, {stiffness.dtype}; expected "
            "(labels, 6, 6), float32 or float64"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= len(stiffness):
        raise ValueError(
            f"labels run from {low} to {high}, but stiffness is given for {len(stiffness)}; "
            "give each label a stiffness, zeros for a void"
        )
    if not torch.isfinite(stiffness).all():
        raise ValueError("stiffness holds numbers that are not finite")
    if scheme not in ("fourier", "rotated"):
        raise ValueError(f"scheme {scheme!r} is not known; use 'fourier' or 'rotated'")


def _fractions(labels: Tensor, stiffness: Tensor) -> Tensor:
    counts = torch.bincount(labels.flatten(), minlength=len(stiffness))
    return counts.to(stiffness.dtype) / labels.numel()


class _Balance:
    """What is to be solved: strains of mean `mean` (6, loads) in equilibrium."""

    def __init__(
        self,
        space: _CompatibleStrains,
        labels: Tensor,
        mean: Tensor,
        tolerance: float,
        max_iterations: int,
    ) -> None:
        self.space, self.labels, self.mean = space, labels, mean
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self.uniform = mean[..., None, None, None]
        together = max(1, VOXELS_AT_ONCE // labels.numel())
        count = mean.shape[1]
        self.parts = [slice(i, min(i + together, count)) for i in range(0, count, together)]

    def imbalance(self, moduli: Fields, numbers: Tensor | None) -> Tensor:
        """Imbalance of strain fluctuations; of the mean strains, if there are none."""
        found = []
        for part in self.parts:
            if numbers is None:
                strain = self.uniform[:, part].expand(-1, -1, *self.labels.shape)
            else:
                strain = self.space.strain(numbers[part])
            found.append(self.space.imbalance(moduli, strain))
        return torch.cat(found) if len(found) > 1 else found[0]

    def label_stress(self, moduli: Fields, numbers: Tensor, count: int) -> Tensor:
        """(6, loads, count) sum of the stress over the voxels of each label."""
        place = self.labels.flatten()
        kind = _sum_dtype(numbers.real)
        sums = torch.zeros(6, len(numbers), count, dtype=kind, device=numbers.device)
        for part in self.parts:
            strain = self.space.strain(numbers[part]).add_(self.uniform[:, part])
            for i in range(6):
                stress = _stress(moduli, strain, i).flatten(1)
                sums[i, part].index_add_(-1, place, stress.to(kind))
        return sums

    def slope(self, numbers: Tensor, weight: Tensor, count: int) -> Tensor:
        """(count, 6, 6) derivative of ``(weight * effective).sum()`` by each stiffness."""
        place = self.labels.flatten()
        kind = _sum_dtype(numbers.real)
        sums = torch.zeros(6, 6, count, dtype=kind, device=numbers.device)
        turned = torch.einsum("ab,a...->b...", weight.to(numbers.dtype), numbers)
        mean = torch.einsum("ab,ia...->ib...", weight, self.uniform)
        for part in self.parts:
            first = self.space.strain(turned[part]).add_(mean[:, part])
            second = self.space.strain(numbers[part]).add_(self.uniform[:, part])
            for i in range(6):
                for j in range(6):
                    product = (first[i] * second[j]).sum(dim=0).flatten()
                    sums[i, j].index_add_(0, place, product.to(kind))
        return (sums.movedim(-1, 0) / len(place)).to(weight.dtype)


def _sum_dtype(like: Tensor) -> torch.dtype:
    """Millions of numbers are added in double precision, where the device has it."""
    return like.dtype if like.device.type == "mps" else torch.float64


class _Solve(torch.autograd.Function):
    """The solution; the derivative of the effective stiffness needs no second one.

    The energy is stationary in the strain (Hill's lemma), so dC_eff[a, b] = <e_a : dC : e_b>.
    """

    @staticmethod
    def forward(ctx: Any, stiffness: Tensor, problem: _Balance) -> tuple:
        moduli = _spread(stiffness, problem.labels)
        numbers, rest, iterations, residual = _conjugate_gradients(problem, moduli)
        voxels, mean = problem.labels.numel(), problem.mean
        sums = problem.label_stress(moduli, numbers, len(stiffness))
        # <e_a : s_b> of strains not quite in equilibrium: its error is of second order
        left = torch.stack([_dot(numbers, r.expand_as(numbers)) for r in rest], dim=1)
        stress = (sums.sum(dim=-1) / voxels).to(mean.dtype)
        effective = mean.T @ stress - left / voxels
        effective = 0.5 * (effective + effective.T)
        size = torch.bincount(problem.labels.flatten(), minlength=len(stiffness)).clamp(min=1)
        mean_stress = (sums / size).movedim(-1, 0).to(stiffness.dtype)
        ctx.problem, ctx.count = problem, len(stiffness)
        ctx.save_for_backward(numbers)
        extras = mean_stress, numbers, torch.tensor(iterations), torch.tensor(residual)
        ctx.mark_non_differentiable(*extras)
        return effective, *extras

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple:
        (numbers,) = ctx.saved_tensors
        return ctx.problem.slope(numbers, gradients[0], ctx.count), None


def _spread(stiffness: Tensor, labels: Tensor) -> Fields:
    """Stiffness of each voxel by component; 21 arrays, [i][j] is [j][i]."""
    fields: dict[tuple[int, int], Tensor] = {}
    for i in range(6):
        for j in range(i, 6):
            component = 0.5 * (stiffness[:, i, j] + stiffness[:, j, i])
            fields[i, j] = fields[j, i] = component[labels]
    return [[fields[i, j] for j in range(6)] for i in range(6)]


def _stress(moduli: Fields, strain: Tensor, i: int) -> Tensor:
    """(loads, X, Y, Z) component i of the stress."""
    stress = moduli[i][0] * strain[0]
    for j in range(1, 6):
        stress.addcmul_(moduli[i][j], strain[j])
    return stress


class _CompatibleStrains:
    """Strain fluctuations of a grid in an orthonormal basis: three numbers a frequency.

    The norm is that of the energy in an isotropic medium, ``|w|^2 = sum over voxels of
    e : C0 : e``. A frequency and its conjugate count as one, with both their weights.

    Parameters
    ----------
    labels : (X, Y, Z) of the voxels
    stiffness : (n, 6, 6) of the labels; the isotropic part of the mean is C0
    step : size of a voxel
    scheme : of differentiation
    """

    def __init__(self, labels: Tensor, stiffness: Tensor, step: Any, scheme: Scheme) -> None:
        medium = torch.einsum("n,nij->ij", _fractions(labels, stiffness), stiffness)
        moduli = isotropic_moduli(medium)
        if float(moduli.shear) <= 0:
            raise ValueError("no label has any stiffness: there is nothing to homogenize")
        self.voigt = medium
        self.shape = shape = tuple(labels.shape)
        # the axis that is halved comes last; a section is thin along z
        self.axes = (0, 1, 2) if shape[2] > 1 else (2, 0, 1)
        self.transverse = float(moduli.shear) ** -0.5
        self.axial = float(moduli.bulk + 4.0 / 3.0 * moduli.shear) ** -0.5
        self.normal = frequency_directions(shape, step, scheme, self.axes[-1]).to(medium)
        count = shape[self.axes[-1]]
        half = torch.arange(count // 2 + 1)
        twice = (half > 0) & (2 * half != count)
        along = [1, 1, 1]
        along[self.axes[-1]] = -1
        self.weight = torch.where(twice, math.sqrt(2.0), 1.0).to(medium).view(along)

    def _scale(self, vectors: Tensor) -> Tensor:
        """Vectors (loads, 3, ...) stretched along and across n, in place of the medium."""
        along = sum(vectors[:, i] * self.normal[i] for i in range(3))
        along *= self.axial - self.transverse
        scaled = vectors * self.transverse
        for i in range(3):
            scaled[:, i].addcmul_(along, self.normal[i].to(along.dtype))
        return scaled

    def strain(self, numbers: Tensor) -> Tensor:
        """(6, loads, X, Y, Z) strain of (loads, 3, frequencies) numbers."""
        vectors = self._scale(numbers / self.weight)
        dims = tuple(axis - 3 for axis in self.axes)
        sizes = [self.shape[axis] for axis in self.axes]
        out = vectors.real.new_empty(6, len(numbers), *self.shape)
        for component, (i, j) in enumerate(_PAIRS):
            if i == j:
                part = vectors[:, i] * self.normal[i]
            else:
                part = vectors[:, i] * self.normal[j] + vectors[:, j] * self.normal[i]
                part *= math.sqrt(0.5)
            out[component] = torch.fft.irfftn(part, s=sizes, dim=dims, norm="ortho")
        return out

    def imbalance(self, moduli: Fields, strain: Tensor) -> Tensor:
        """(loads, 3, frequencies): the stress of a strain, seen by each basis strain."""
        dims = tuple(axis - 3 for axis in self.axes)
        loads = strain.shape[1]
        complex_dtype = torch.promote_types(strain.dtype, torch.complex64)
        traction = torch.zeros(
            loads, 3, *self.normal.shape[1:], dtype=complex_dtype, device=strain.device
        )
        for component, (i, j) in enumerate(_PAIRS):
            stress = _stress(moduli, strain, component)
            part = torch.fft.rfftn(stress, dim=dims, norm="ortho")
            if i != j:
                part *= math.sqrt(0.5)
                traction[:, j].addcmul_(part, self.normal[i].to(complex_dtype))
            traction[:, i].addcmul_(part, self.normal[j].to(complex_dtype))
        return self._scale(traction).mul_(self.weight)


def frequency_directions(shape: tuple[int, ...], step: Any, scheme: Scheme, halved: int) -> Tensor:
    """(3, frequencies) unit vectors n; zero where no strain is compatible.

    At half the sampling frequency a derivative along that axis has no sign on a real grid; the
    mode is kept where the direction does not need one, and left out elsewhere.
    """
    slopes, at_limit = [], []
    for axis, (count, size) in enumerate(zip(shape, step, strict=True)):
        number = torch.fft.fftfreq(count, d=1.0 / count, dtype=torch.float64).round()
        if axis == halved:
            number = torch.arange(count // 2 + 1, dtype=torch.float64)
        limit = 2 * number.abs() == count
        phase = math.pi * torch.where(limit, 0.0, number) / count
        slopes.append((torch.tan(phase) if scheme == "rotated" else phase) / size)
        at_limit.append(limit)
    direction = torch.stack(torch.meshgrid(*slopes, indexing="ij"))
    limits = torch.stack(torch.meshgrid(*at_limit, indexing="ij"))
    # differences on diagonals of a field that alternates along one axis see that axis alone
    sure = torch.ones_like(limits[0]) if scheme == "rotated" else (direction == 0).all(dim=0)
    once = (limits.sum(dim=0) == 1) & sure
    direction = torch.where(limits.any(dim=0), limits.double() * once, direction)
    return torch.nn.functional.normalize(direction, dim=0)


def _conjugate_gradients(problem: _Balance, moduli: Fields) -> tuple[Tensor, Tensor, int, float]:
    """Numbers of the strain fluctuation, the imbalance left, steps taken, largest left."""
    residual = problem.imbalance(moduli, None).neg_()
    numbers, search = torch.zeros_like(residual), residual.clone()
    square = _dot(residual, residual)
    mean = problem.mean
    energy = (mean * (problem.space.voigt @ mean)).sum(dim=0) * problem.labels.numel()
    least = torch.finfo(energy.dtype).eps * energy  # rounding; what does not hang together has none
    for iteration in range(problem.max_iterations + 1):
        left = float((square / torch.maximum(energy, least)).max().sqrt())
        if left <= problem.tolerance:
            return numbers, residual, iteration, left
        if iteration == problem.max_iterations:
            break
        image = problem.imbalance(moduli, search)
        curvature = _dot(search, image)
        length = torch.where(curvature > 0, square / curvature, 0.0)
        energy = energy - length * square
        _real(numbers).addcmul_(_each(length, numbers), _real(search))
        _real(residual).addcmul_(_each(-length, residual), _real(image))
        before, square = square, _dot(residual, residual)
        ratio = torch.where(before > 0, square / before, 0.0)
        search.mul_(_each(ratio, search)[..., 0]).add_(residual)
    raise ConvergenceError(
        f"no equilibrium after {problem.max_iterations} steps: {left:.1e} is left, asked for "
        f"{problem.tolerance:.1e}; allow more steps or a larger tolerance, and use "
        "scheme='rotated' if there are voids"
    )


_real = torch.view_as_real


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """(loads,) inner products of (loads, ...) complex arrays, real part."""
    pairs = zip(_real(a).flatten(1), _real(b).flatten(1), strict=True)
    return torch.stack([torch.linalg.vecdot(x, y) for x, y in pairs])


def _each(factor: Tensor, like: Tensor) -> Tensor:
    """A factor (loads,) for each load of the real view of (loads, ...)."""
    return factor.view(-1, *[1] * like.ndim)
