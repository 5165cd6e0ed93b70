"""Which crystals a set of rings allows, and what it cannot say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xtalfuse.encoders.rings.geometry import Geometry
from xtalfuse.encoders.rings.profile import Ring, RingProfile
from xtalfuse.loaders.record import Calibration
from xtalfuse.physics.crystal.cell import Crystal, Site
from xtalfuse.physics.crystal.diffraction import reflections
from xtalfuse.physics.crystal.electron import (
    electron_form_factor,
    electron_strengths,
    ring_intensities,
)
from xtalfuse.tasks.identify.rings.lattice import forbidden_match, lattice_families, observability
from xtalfuse.tasks.identify.rings.match import Candidate, ring_evidence


def cubic(entry: str, a: float, group: str, *sites: tuple[str, float, float, float]) -> Candidate:
    return candidate(entry, (a, a, a, 90.0, 90.0, 90.0), group, *sites)


def candidate(
    entry: str, cell: tuple[float, ...], group: str, *sites: tuple[str, float, float, float]
) -> Candidate:
    atoms = tuple(Site(species, (x, y, z)) for species, x, y, z in sites)
    crystal = Crystal(cell, group, atoms)  # type: ignore[arg-type]
    return Candidate(entry, cell, reflections(crystal, 0.7), crystal)


# Cells: Swanson & Tatge (1953) NBS Circular 539; bismuth: Cucka & Barrett (1962) Acta Cryst. 15,
# 865; magnesium, titanium: Wyckoff (1963); rutile: Abrahams & Bernstein (1971) J. Chem. Phys. 55.
LIBRARY = [
    cubic("gold", 4.0786, "F m -3 m", ("Au", 0, 0, 0)),
    cubic("aluminium", 4.0495, "F m -3 m", ("Al", 0, 0, 0)),
    cubic("copper", 3.6150, "F m -3 m", ("Cu", 0, 0, 0)),
    cubic("nickel", 3.5238, "F m -3 m", ("Ni", 0, 0, 0)),
    cubic("iron", 2.8665, "I m -3 m", ("Fe", 0, 0, 0)),
    cubic("silicon", 5.4309, "F d -3 m:2", ("Si", 0.125, 0.125, 0.125)),
    candidate("bismuth", (4.546, 4.546, 11.862, 90, 90, 120), "R -3 m:H", ("Bi", 0, 0, 0.23389)),
    candidate(
        "magnesium", (3.2094, 3.2094, 5.2108, 90, 90, 120), "P 63/m m c", ("Mg", 1 / 3, 2 / 3, 0.25)
    ),
    candidate(
        "rutile",
        (4.5937, 4.5937, 2.9587, 90, 90, 90),
        "P 42/m n m",
        ("Ti", 0, 0, 0),
        ("O", 0.3053, 0.3053, 0),
    ),
]
BY_ID = {one.id: one for one in LIBRARY}
SCALE = 0.0048  # 1/angstrom per pixel


def profile_of(
    g: np.ndarray, intensities: np.ndarray, scale: float | None = None, error: float = 3e-4
) -> RingProfile:
    """Rings at these |g| with a relative error, seen from 25 to 240 pixels."""
    rng = np.random.default_rng(0)
    order = np.argsort(g)
    radii = g[order] / SCALE * (1.0 + error * rng.normal(size=len(g)))
    weights = intensities[order] / intensities.max()
    rings = tuple(
        Ring(float(r), 0.0005 * float(r), float(i), 4.0, 50.0, 1.0, False)
        for r, i in zip(radii, weights, strict=True)
    )
    r = np.arange(25.0, 240.0)
    return RingProfile(
        pattern="rings",
        geometry=Geometry(256.0, 256.0),
        center_su_px=(0.01, 0.01),
        ellipticity_su=0.001,
        good=np.ones((8, 8), bool),
        radius_px=r,
        intensity=r,
        sigma=np.full_like(r, 0.1),
        background=np.zeros_like(r),
        rings=rings,
        calibration=Calibration.UNKNOWN if scale is None else Calibration.KNOWN,
        scale=scale,
        scale_relative_su=None if scale is None else 0.015,
        image=np.zeros((8, 8)),
    )


def rings_of(entry: str, least: float = 0.02, zone: tuple[int, int, int] | None = None):
    """|g| and intensities of the rings of one entry that a good pattern shows."""
    one = BY_ID[entry]
    g = 1.0 / one.reflections.d_spacings(one.cell)
    strength = ring_intensities(one.reflections, one.cell)
    if zone is not None:
        strength = strength * (one.reflections.hkl @ np.array(zone) == 0)
    kept = (g < 1.1) & (strength > least * strength.max())
    _, unique = np.unique(np.round(g[kept], 4), return_index=True)
    return g[kept][unique], strength[kept][unique]


def test_without_a_camera_constant_all_face_centred_cubic_metals_are_tied():
    evidence = ring_evidence(profile_of(*rings_of("gold")), LIBRARY)
    assert set(evidence.tied) == {"gold", "aluminium", "copper", "nickel"}
    assert evidence.of("gold").observable == {"a": "only up to the camera constant"}
    assert "face-centred cubic lattice" in evidence.families
    assert "only ratios" in evidence.statement


def test_a_camera_constant_splits_them_within_its_uncertainty():
    evidence = ring_evidence(profile_of(*rings_of("gold"), scale=1.01 * SCALE), LIBRARY)
    assert set(evidence.tied) == {"gold", "aluminium"}  # 0.7 % apart; copper 12 %
    assert evidence.of("gold").observable == {"a": "observed"}
    assert evidence.of("gold").scale == pytest.approx(SCALE, rel=0.002)


@pytest.mark.parametrize("entry", ["silicon", "rutile", "iron"])
@pytest.mark.parametrize("scale", [None, SCALE])
def test_the_true_phase_is_in_the_class(entry, scale):
    evidence = ring_evidence(profile_of(*rings_of(entry), scale=scale), LIBRARY)
    assert evidence.tied[0] == entry
    matches = evidence.of(entry).matches
    assert max(abs(match.relative_residual) for match in matches) < 0.01  # unresolved pairs


def test_textured_bismuth_is_a_class_without_c():
    g, strength = rings_of("bismuth", zone=(0, 0, 1))
    evidence = ring_evidence(profile_of(g[:4], strength[:4]), LIBRARY)
    bismuth = evidence.of("bismuth")
    assert "bismuth" in evidence.tied
    assert "magnesium" in evidence.tied  # the same net with another length
    assert "gold" in evidence.tied  # its (111) net
    assert bismuth.zone == (0, 0, 1)
    assert all(hkl[2] == 0 for match in bismuth.matches for hkl in match.hkl)
    assert bismuth.observable["c"] == "not observable"
    assert "c not observable" in evidence.statement
    assert "hexagonal net (1 : 1.732 : 2 : 2.646)" in evidence.families


def test_prior_against_texture_excludes_nothing():
    # 1 : 1.732 : 2 is also what random body-centred cubic grains show: iron comes first
    g, strength = rings_of("bismuth", zone=(0, 0, 1))
    evidence = ring_evidence(profile_of(g[:3], strength[:3]), LIBRARY)
    assert "bismuth" in evidence.tied
    assert evidence.of("bismuth").texture_log_odds < 0


def test_rings_of_a_phase_outside_the_library_are_not_explained():
    g, strength = rings_of("rutile")
    others = [one for one in LIBRARY if one.id != "rutile"]
    evidence = ring_evidence(profile_of(g, strength, scale=SCALE), others)
    assert evidence.tied == ()
    assert "no candidate" in evidence.statement


def test_a_missing_strong_ring_is_named_and_is_weak_evidence():
    g, strength = rings_of("gold")
    whole = ring_evidence(profile_of(g, strength, scale=SCALE), LIBRARY).of("gold")
    part = ring_evidence(profile_of(np.delete(g, 1), np.delete(strength, 1), scale=SCALE), LIBRARY)
    missing = part.of("gold").missing
    assert missing[0].hkl == (2, 0, 0)
    assert whole.missing == ()
    assert "gold" in part.tied


def test_a_ring_of_something_else_stays_unexplained():
    g, strength = rings_of("gold")
    evidence = ring_evidence(
        profile_of(np.append(g, 0.62), np.append(strength, 0.05 * strength.max()), SCALE), LIBRARY
    )
    assert len(evidence.of("gold").unexplained_px) == 1
    assert evidence.of("gold").double_diffraction_px == ()


def test_forbidden_ring_of_silicon_is_marked_as_double_diffraction():
    g, strength = rings_of("silicon")
    forbidden = 2.0 / 5.4309  # 200: allowed by the lattice, not by the diamond glide
    evidence = ring_evidence(
        profile_of(np.append(g, forbidden), np.append(strength, 0.03 * strength.max()), SCALE),
        [BY_ID["silicon"]],
    )
    assert len(evidence.candidates[0].double_diffraction_px) == 1
    assert forbidden_match(forbidden, BY_ID["silicon"].cell, "F d -3 m:2")
    assert not forbidden_match(1.0 / 5.4309, BY_ID["silicon"].cell, "F d -3 m:2")


def test_one_ring_without_calibration_says_nothing():
    evidence = ring_evidence(profile_of(np.array([0.42]), np.array([1.0])), LIBRARY)
    assert evidence.tied == ()
    assert len(set(evidence.log_likelihoods.values())) == 1
    assert "say nothing" in evidence.statement


def test_missing_spots_of_a_single_crystal_cost_nothing():
    g, strength = rings_of("gold")
    few = profile_of(g[[0, 2, 4]], strength[[0, 2, 4]], scale=SCALE)
    rings = ring_evidence(few, LIBRARY).of("gold")
    spots = ring_evidence(replace(few, pattern="spots"), LIBRARY).of("gold")
    assert spots.log_likelihood > rings.log_likelihood


def test_order_of_the_candidates_does_not_matter():
    profile = profile_of(*rings_of("silicon"))
    forward, backward = ring_evidence(profile, LIBRARY), ring_evidence(profile, LIBRARY[::-1])
    assert forward.log_likelihoods == backward.log_likelihoods
    with pytest.raises(ValueError, match="no candidates"):
        ring_evidence(profile, [])


@pytest.mark.parametrize(
    ("system", "matched", "known", "expected"),
    [
        ("hexagonal", [[(1, 0, 0)], [(1, 1, 0)]], True, {"a": "observed", "c": "not observable"}),
        ("hexagonal", [[(1, 0, 0)], [(0, 0, 2)]], True, {"a": "observed", "c": "observed"}),
        ("hexagonal", [[(1, 0, 2)]], True, {"a": "not separable", "c": "not separable"}),
        # a ring that may be hk0 does not prove that c was seen
        ("hexagonal", [[(1, 0, 2), (2, 0, 0)]], True, {"a": "observed", "c": "not observable"}),
    ],
)
def test_what_rings_determine_of_a_hexagonal_cell(system, matched, known, expected):
    cell = (3.0, 3.0, 5.0, 90.0, 90.0, 120.0)
    assert observability(cell, system, matched, scale_known=known) == expected


def test_families_need_three_rings_and_few_gaps():
    radii = np.sqrt([1.0, 3.0, 4.0, 7.0])
    assert lattice_families(radii, np.full(4, 1e-3)) == ("hexagonal net (1 : 1.732 : 2 : 2.646)",)
    assert lattice_families(radii[:2], np.full(2, 1e-3)) == ()
    assert lattice_families(np.array([1.0, 1.21, 1.37]), np.full(3, 1e-3)) == ()


def test_electron_form_factor_follows_mott_and_bethe():
    # f_e = (Z - f_x) / (8 pi^2 a0 s^2) with a0 = 0.529177 A: two independent tables of the
    # International Tables agree to 2 % for gold at s = 0.5 / angstrom
    from xtalfuse.physics.crystal.diffraction import form_factor

    s2 = np.array([0.25])
    mott = (79.0 - form_factor(79, s2)) / (8.0 * np.pi**2 * 0.529177 * s2)
    assert electron_form_factor(79, s2) == pytest.approx(mott, rel=0.02)


def test_forbidden_reflections_have_no_strength():
    gold = BY_ID["gold"]
    assert np.all(np.ptp(gold.reflections.hkl % 2, axis=1) == 0)  # all even or all odd
    assert np.all(electron_strengths(gold.reflections, gold.cell) > 0)


def test_real_bismuth_is_a_tied_class_without_c(real: Path):
    from xtalfuse.encoders.rings.profile import ring_profile
    from xtalfuse.loaders import load

    path = real / "tem" / "diffraction" / "bismuth.dm3"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    evidence = ring_evidence(ring_profile(load(path)), LIBRARY)
    assert {"bismuth", "magnesium", "gold"} <= set(evidence.tied)
    assert evidence.of("bismuth").observable["c"] == "not observable"
    assert "c not observable" in evidence.statement


def test_the_posterior_shares_one_between_candidates_and_unknown():
    """Bayes by hand: two that fit alike, one that does not, nine in ten to the library."""
    from xtalfuse.tasks.identify.rings.match import CandidateEvidence, RingEvidence

    def one(entry: str, gain: float) -> CandidateEvidence:
        return CandidateEvidence(entry, gain - 3.0, 1.0, 0.1, None, (), (), (), (), {}, 1.0)

    found = (one("a", 2.0), one("b", 2.0), one("c", -30.0))
    evidence = RingEvidence(found, ("a", "b"), -3.0, True, (), "")
    posterior = evidence.posterior(0.9)
    expected = 0.3 * np.exp(2.0) / (0.6 * np.exp(2.0) + 0.1)
    assert posterior["a"] == posterior["b"] == pytest.approx(expected)
    assert posterior["c"] < 1e-10
    assert sum(posterior.values()) < 1.0
