"""The sign of c14: lattice statics of the library's own structures, with published potentials.

c14 changes its sign with a turn of the lattice by 60 degrees, so that a table is worth nothing
without the setting. Rigid ions in simple pair potentials give c14 of these crystals within
25 %, and its sign for certain; that is all they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product

import gemmi
import numpy as np
import pytest
import torch
from torch import Tensor

from xtalfuse.datasets.constants.elastic import elastic_constants
from xtalfuse.datasets.library.sources import typed_phases
from xtalfuse.physics.crystal.cell import Crystal

COULOMB = 14.399645  # eV angstrom
EV_PER_A3 = 160.2177  # GPa
CUTOFF, DAMPING = 11.0, 0.22  # angstrom, 1/angstrom: of the damped Coulomb sum
Short = Callable[[str, str, Tensor], Tensor]


def bks(a: str, b: str, r: Tensor) -> Tensor:
    """Silica: van Beest, Kramer & van Santen (1990). Phys. Rev. Lett. 64, 1955."""
    if a == b == "O":
        return 1388.773 * torch.exp(-2.76 * r) - 175.0 / r**6
    return torch.zeros_like(r) if a == b else 18003.7572 * torch.exp(-4.87318 * r) - 133.5381 / r**6


def matsui(a: str, b: str, r: Tensor) -> Tensor:
    """Alumina: Matsui (1994). Mineral. Mag. 58A, 571."""
    size = {"Al": (0.7852, 0.034, 36.82), "O": (1.8215, 0.138, 90.61)}
    soft = size[a][1] + size[b][1]
    repulsion = 4.184 * soft * torch.exp((size[a][0] + size[b][0] - r) / soft)
    return 0.010364269 * (repulsion - size[a][2] * size[b][2] / r**6)


def calcite(a: str, b: str, r: Tensor) -> Tensor:
    """Calcite, between ions: Pavese, Catti, Price & Jackson (1992). Phys. Chem. Miner. 19, 80."""
    if {a, b} == {"Ca", "O"}:
        return 1550.0 * torch.exp(-r / 0.297)
    return 16372.0 * torch.exp(-r / 0.213) - 3.47 / r**6 if a == b == "O" else torch.zeros_like(r)


class Lattice:
    """All pairs of a crystal within the cutoff, and its energy as a function of what moves."""

    def __init__(self, crystal: Crystal, charges: dict[str, float], short: Short) -> None:
        self.cell = torch.tensor(gemmi.UnitCell(*crystal.cell).orth.mat.tolist()).double().T
        self.elements = [gemmi.Element(int(z)).name for z in crystal.atoms.numbers]
        self.fractions = torch.tensor(crystal.atoms.positions)
        self.charges, self.short = charges, short
        lengths = 1.0 / np.linalg.norm(np.linalg.inv(self.cell.numpy()), axis=0)
        reach = [range(-n, n + 1) for n in np.ceil(CUTOFF / lengths).astype(int) + 1]
        shifts = torch.tensor(list(product(*reach))).double()
        apart = self.fractions[None, :, None] - self.fractions[:, None, None] + shifts
        distance = (apart @ self.cell).norm(dim=-1)
        first, second, which = torch.where((distance > 1e-6) & (distance < CUTOFF + 0.8))
        self.pairs, self.shifts = (first, second), shifts[which]
        self.start = distance[first, second, which]
        kinds = [
            self.elements[i] + " " + self.elements[j] for i, j in zip(first, second, strict=True)
        ]
        self.kinds = {
            k: torch.tensor([n for n, x in enumerate(kinds) if x == k]) for k in set(kinds)
        }

    def vectors(self, state: Tensor) -> Tensor:
        """(m, 3) of the pairs, for a state (6 + 3 n,) of strain (Voigt) and displacements."""
        e = state[:6] * torch.tensor([1.0, 1.0, 1.0, 0.5, 0.5, 0.5])
        strain = torch.stack([e[[0, 5, 4]], e[[5, 1, 3]], e[[4, 3, 2]]])
        moved = self.fractions + state[6:].reshape(-1, 3) @ torch.linalg.inv(self.cell)
        first, second = self.pairs
        apart = (moved[second] - moved[first] + self.shifts) @ self.cell
        return apart + apart @ strain

    def energy(self, state: Tensor) -> Tensor:
        """Energy of the cell, eV."""
        vectors, total = self.vectors(state), torch.zeros(())
        edge = torch.erfc(torch.tensor(DAMPING * CUTOFF)) / CUTOFF
        slope = (
            edge / CUTOFF + 2 * DAMPING / np.pi**0.5 * np.exp(-((DAMPING * CUTOFF) ** 2)) / CUTOFF
        )
        for kind, at in self.kinds.items():
            a, b = kind.split()
            r = vectors[at].norm(dim=1)
            coulomb = torch.erfc(DAMPING * r) / r - edge + slope * (r - CUTOFF)
            pair = COULOMB * self.charges[a] * self.charges[b] * coulomb
            pair = pair + self.short(a, b, r) * (1.0 - (r / CUTOFF) ** 8) ** 2
            total = total + 0.5 * torch.where(r < CUTOFF, pair, 0.0).sum()
        return total + (self.carbonate(vectors) if "C" in self.elements else 0.0)

    def carbonate(self, vectors: Tensor) -> Tensor:
        """Bonds, angles and flatness of CO3, in place of what its own atoms do as ions."""
        total = torch.zeros(())
        for kind, reach in (("C O", 1.6), ("O C", 1.6), ("O O", 2.6)):
            inside = self.kinds[kind][self.start[self.kinds[kind]] < reach]
            a, b = kind.split()
            r = vectors[inside].norm(dim=1)
            own = -COULOMB * self.charges[a] * self.charges[b] / r - self.short(a, b, r)
            bond = 4.71 * (1.0 - torch.exp(-3.8 * (r - 1.18))) ** 2 if a != b else 0.0
            total = total + 0.5 * (own + bond).sum()
        bonds = self.kinds["C O"][self.start[self.kinds["C O"]] < 1.6]
        group = vectors[bonds].reshape(-1, 3, 3)
        unit = torch.nn.functional.normalize(group, dim=-1)
        for i, j in combinations(range(3), 2):
            angle = torch.acos((unit[:, i] * unit[:, j]).sum(dim=-1))
            total = total + 0.5 * 1.69 * ((angle - 2.0 * np.pi / 3.0) ** 2).sum()
        normal = torch.linalg.cross(group[:, 1] - group[:, 0], group[:, 2] - group[:, 0])
        height = (group.mean(dim=1) * torch.nn.functional.normalize(normal, dim=-1)).sum(dim=-1)
        return total + 10.0 * (height**2).sum()


def lattice_stiffness(lattice: Lattice) -> np.ndarray:
    """(6, 6) Voigt stiffness, GPa, with the atoms free to move, of the relaxed crystal."""
    state = torch.zeros(6 + 3 * len(lattice.elements))
    for _ in range(12):
        state.requires_grad_(True)
        force = torch.autograd.grad(lattice.energy(state), state)[0]
        state = state.detach()
        curvature = torch.autograd.functional.hessian(lattice.energy, state)
        values, modes = torch.linalg.eigh(curvature)
        kept = values.abs() > 1e-5  # not the three translations
        step = modes[:, kept] @ ((modes[:, kept].T @ force) / values[kept].abs())
        state = state - step * min(1.0, 0.1 / float(step.abs().max()))
        if float(step.abs().max()) < 1e-6:
            break
    inner = torch.linalg.pinv(curvature[6:, 6:], rtol=1e-9, hermitian=True)
    relaxed = curvature[:6, :6] - curvature[:6, 6:] @ inner @ curvature[6:, :6]
    return (relaxed / torch.linalg.det(lattice.cell) * EV_PER_A3).numpy()


@pytest.fixture(autouse=True)
def double_precision():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize(
    ("name", "charges", "short"),
    [
        ("quartz", {"Si": 2.4, "O": -1.2}, bks),
        ("corundum", {"Al": 1.4175, "O": -0.945}, matsui),
        ("calcite", {"Ca": 2.0, "C": 1.343, "O": -1.114}, calcite),
    ],
)
def test_c14_has_the_sign_of_the_library_setting(name, charges, short) -> None:
    crystal = next(phase.crystal for phase in typed_phases()[0] if phase.id == name)
    theory = lattice_stiffness(Lattice(crystal, charges, short))
    assert abs(theory[0, 4]) < 0.1  # c15 = 0 for a two-fold axis along x
    table = elastic_constants(name).stiffness[0, 3] / np.sqrt(2.0)
    assert theory[0, 3] == pytest.approx(table, rel=0.25)
    assert theory[1, 3] == pytest.approx(-theory[0, 3], abs=0.1)
