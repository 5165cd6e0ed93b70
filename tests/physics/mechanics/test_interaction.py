"""Interaction of grains in an isotropic medium, against integrals and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xtalfuse.physics.mechanics.elasticity import (
    isotropic_stiffness,
    mandel_rotation,
    rotate_stiffness,
)
from xtalfuse.physics.mechanics.interaction import (
    INDICES,
    deviator,
    isolated_spheres,
    sphere,
    strain_operator,
    symmetric_product,
    traceless,
    two_spheres,
    with_trace,
)
from xtalfuse.physics.orientation.quaternion import to_matrix

K, G = torch.tensor(137.0, dtype=torch.float64), torch.tensor(48.0, dtype=torch.float64)
V = torch.tensor([2.0, -3.0, 5.0], dtype=torch.float64)


def full(fourth: torch.Tensor) -> torch.Tensor:
    """(3, 3, 3, 3) of 15 components."""
    place = {index: n for n, index in enumerate(INDICES)}
    every = torch.empty(3, 3, 3, 3, dtype=fourth.dtype)
    for index in np.ndindex(3, 3, 3, 3):
        every[index] = fourth[place[tuple(sorted(index))]]
    return every


def symmetric(seed: int) -> torch.Tensor:
    x = torch.randn(3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x + x.T


def test_a_totally_symmetric_tensor_parts_into_l_4_2_0():
    a, b = symmetric(0), symmetric(1)
    product = symmetric_product(a, b)
    whole = full(product)
    assert torch.allclose(whole, whole.permute(2, 0, 3, 1))
    trace = torch.einsum("abcc->ab", whole)
    scalar = torch.einsum("aa", trace)
    parts = traceless(product) + with_trace(trace) + scalar * sphere()
    assert torch.allclose(parts, product)
    assert torch.einsum("abcc->ab", full(traceless(product))).abs().max() < 1e-13
    assert torch.allclose(torch.einsum("abcc->ab", full(with_trace(a))), deviator(a))


def test_a_sphere_strains_itself_as_eshelby_found():
    """P = J / (3K + 4G) + 3 (K + 2G) / (5G (3K + 4G)) K."""
    p = strain_operator(sphere(), K, G)
    volumetric = 1.0 / (3.0 * K + 4.0 * G)
    deviatoric = 3.0 * (K + 2.0 * G) / (5.0 * G * (3.0 * K + 4.0 * G))
    # an isotropic stiffness has the eigenvalues 3K and 2G
    assert torch.allclose(p, isotropic_stiffness(volumetric / 3.0, deviatoric / 2.0), atol=1e-15)


def biharmonic(x: torch.Tensor) -> torch.Tensor:
    """Fourth derivatives of -r / 8 pi at one place, (3, 3, 3, 3), by automatic derivatives."""

    def potential(y: torch.Tensor) -> torch.Tensor:
        return -torch.linalg.vector_norm(y) / (8.0 * np.pi)

    derivative = potential
    for _ in range(4):
        derivative = torch.func.jacfwd(derivative)
    return derivative(x)


def test_far_spheres_are_points():
    apart = torch.linalg.vector_norm(V)
    point = full(two_spheres(V, torch.tensor(0.0), torch.tensor(0.0))) / apart**3
    assert torch.allclose(point, biharmonic(V), atol=1e-15)


def test_two_spheres_against_the_mean_over_their_points():
    """A cubature of the ball that is exact to the third degree; what is left is r^-4 of r^-2."""
    one, other = 0.9, 1.4
    points = np.sqrt(0.6) * np.concatenate([np.eye(3), -np.eye(3)])
    ball = torch.as_tensor(points, dtype=torch.float64)
    far = 4.0 * V
    mean = torch.zeros(3, 3, 3, 3, dtype=torch.float64)
    for a in ball:
        for b in ball:
            mean += biharmonic(far + other * b - one * a) / 36.0
    exact = full(two_spheres(far, torch.tensor(one), torch.tensor(other)))
    apart = torch.linalg.vector_norm(far)
    points_only = full(two_spheres(far, torch.tensor(0.0), torch.tensor(0.0)))
    error = (mean * apart**3 - exact).abs().max()
    assert error < 0.02 * (points_only - exact).abs().max()


def test_the_interaction_has_the_symmetries_of_energy():
    b = two_spheres(V, torch.tensor(1.0), torch.tensor(2.0))
    gamma = strain_operator(b, K, G)
    assert torch.allclose(gamma, gamma.mT, atol=1e-18)
    assert torch.equal(b, two_spheres(-V, torch.tensor(2.0), torch.tensor(1.0)))
    # no volume change is exchanged by volumetric polarisations in an isotropic medium (Bitter)
    one = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    assert abs(one @ gamma @ one) < 1e-12 * gamma.abs().max()


def test_the_interaction_turns_with_the_specimen():
    q = torch.tensor([0.3, 0.5, -0.2, 0.7], dtype=torch.float64)
    r = to_matrix(q / torch.linalg.vector_norm(q))
    radii = torch.tensor(1.0), torch.tensor(2.0)
    turned = strain_operator(two_spheres(r @ V, *radii), K, G)
    m = mandel_rotation(r)
    expected = m @ strain_operator(two_spheres(V, *radii), K, G) @ m.T
    assert torch.allclose(turned, expected, atol=1e-16)


def test_isolated_spheres_keep_the_mean_strain():
    crystal = isotropic_stiffness(K, G)
    crystal[3:, 3:] *= 1.7
    q = torch.randn(12, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    stiffness = rotate_stiffness(crystal, torch.nn.functional.normalize(q, dim=1))
    share = torch.arange(1.0, 13.0, dtype=torch.float64)
    strain = isolated_spheres(stiffness, share)
    mean = torch.einsum("n,nab->ab", share / share.sum(), strain)
    assert torch.allclose(mean, torch.eye(6, dtype=torch.float64), atol=1e-12)
    same = isolated_spheres(crystal.expand(4, 6, 6), torch.ones(4, dtype=torch.float64))
    assert same.numpy() == pytest.approx(np.tile(np.eye(6), (4, 1, 1)), abs=1e-12)
