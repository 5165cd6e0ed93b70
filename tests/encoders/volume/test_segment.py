"""Phases, pores and particles of volumes whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from xtalfuse.datasets.simulate.ct import ScanSpec, as_measurement, balls, foam, scan
from xtalfuse.encoders.volume import measures as measures
from xtalfuse.encoders.volume import objects as objects
from xtalfuse.encoders.volume.phases import denoise, noise_level, phase_map, thresholds
from xtalfuse.encoders.volume.segment import segment_volume
from xtalfuse.loaders import load

SHAPE = (64, 64, 64)


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    return float(2.0 * (found & truth).sum() / (found.sum() + truth.sum()))


@pytest.fixture(scope="module")
def packing() -> tuple[np.ndarray, np.ndarray]:
    """Balls that do not touch, in a box whose faces meet."""
    return balls(7, 0, SHAPE, fraction=0.2, radius=(5.0, 9.0), gap=4.0)


@pytest.fixture(scope="module")
def three_phases(packing) -> np.ndarray:
    """Balls of the brightest phase, and a middle phase that fills half of the rest."""
    half = foam(7, 1, SHAPE, 0.5, wavelength=32.0)
    return np.where(packing[0] >= 0, 2, half.astype(int))


def test_known_balls_come_back_with_number_volume_and_surface(packing):
    labels, radii = packing
    seen = scan(labels.clip(-1, 0) + 1, ScanSpec(noise=0.2, periodic=True), 7, 0)
    found = segment_volume(as_measurement(seen, 0.5), periodic=True)
    assert [p.name for p in found.phases] == ["pore", "phase 1"]
    solid = found.diameters(1) / 2.0
    assert len(solid) == len(radii)
    # blur moves the surface of a ball inwards by s^2/r; s^2 = 0.64 + 0.7 is 5.4 % of 5 voxels
    assert 0.90 < found.fractions[1] / (labels >= 0).mean() <= 1.0
    np.testing.assert_allclose(np.sort(solid), np.sort(radii) * 0.5, rtol=0.06)
    surface = 4.0 * np.pi * (radii**2).sum() / np.prod(SHAPE) / 0.5
    assert found.specific_surface(1) == pytest.approx(surface, rel=0.08)  # the square of 4 %
    graph = found.graph()
    assert len(graph) == len(found) == len(radii) + 1  # and the pore around them
    np.testing.assert_allclose(graph.period, 32.0)
    assert graph.size.sum() == pytest.approx(32.0**3)
    assert np.isnan(graph.misorientation).all()
    inside = graph.phase == 1
    np.testing.assert_allclose(np.sort(graph.diameter[inside] / 2), np.sort(solid))


def test_the_graph_is_indexed_x_y_z():
    labels = np.ones((8, 10, 12), np.uint8)
    labels[:, :, :3] = 0  # a layer at low x
    volume = as_measurement(labels.transpose(2, 1, 0), 2.0)
    graph = segment_volume(volume, noise="none", separate=(), specimen="whole").graph()
    np.testing.assert_allclose(graph.centroid, [[3.0, 10.0, 8.0], [15.0, 10.0, 8.0]])
    np.testing.assert_allclose(graph.normal[0], np.diag([1.0, 0.0, 0.0]), atol=1e-6)
    assert graph.area[0] == pytest.approx(16.0 * 20.0)


@pytest.mark.parametrize(("noise", "least"), [(0.1, 0.97), (0.3, 0.94), (0.6, 0.91)])
def test_phases_are_found_through_noise(noise, least):
    truth = foam(8, 0, SHAPE, 0.4)
    seen = scan(truth.astype(int), ScanSpec(noise=noise), 8, 0)
    smooth = denoise(seen)
    cut = thresholds(smooth)
    assert len(cut) == 2
    assert dice(phase_map(smooth, cut) == 1, truth) > least  # 0.986, 0.957, 0.926


def test_no_noise_is_taken_for_a_phase():
    for index in range(3):
        empty = np.random.default_rng(index).normal(100.0, 10.0, (48, 48, 48))
        assert len(thresholds(denoise(empty))) == 1
        assert len(thresholds(empty)) == 1


def test_three_phases_are_three_and_films_go_to_their_neighbours(three_phases):
    seen = scan(three_phases, ScanSpec(grey=(40, 110, 200), blur=1.0, noise=0.2), 9, 0)
    smooth = denoise(seen)
    cut = thresholds(smooth)
    assert len(cut) == 3
    np.testing.assert_allclose(cut.means, [40, 110, 200], atol=6.0)
    found = phase_map(smooth, cut)
    for phase in range(3):
        assert dice(found == phase, three_phases == phase) > 0.92
    # around balls in the darkest phase, cutting alone leaves a film of the middle phase
    plain = np.searchsorted(cut.cuts, smooth)
    wrong = (three_phases != 1) & (plain == 1)
    assert ((three_phases != 1) & (found == 1)).sum() < 0.6 * wrong.sum()


def test_a_rare_phase_is_not_lost():
    labels, _ = balls(10, 0, SHAPE, fraction=0.01, radius=(4.0, 5.0))
    pore = labels >= 0
    seen = scan(1 - pore.astype(int), ScanSpec(noise=0.25), 10, 0)
    cut = thresholds(denoise(seen))
    assert len(cut) == 2
    assert dice(denoise(seen) < cut.cuts[0], pore) > 0.85
    # best of all cuts: without the peaks, the halves of the large phase would be two classes
    assert cut.cuts[0] == pytest.approx(110.0, abs=8.0)


def test_given_numbers_of_phases_are_kept(three_phases):
    seen = scan(three_phases, ScanSpec(grey=(40, 110, 200), noise=0.1), 9, 1)
    for phases in (1, 2, 3, 4):
        cut = thresholds(seen, phases)
        assert len(cut) == phases
        assert (np.diff(cut.cuts) > 0).all()
    with pytest.raises(ValueError, match="1 to 4"):
        thresholds(seen, 5)
    with pytest.raises(ValueError, match="no phases to tell apart"):
        thresholds(np.ones(SHAPE))


def test_multi_otsu_agrees_with_scikit_image(three_phases):
    from skimage.filters import threshold_multiotsu

    seen = scan(three_phases, ScanSpec(grey=(40, 110, 200), noise=0.1), 9, 1)
    cut = thresholds(seen, 3)
    middle = 0.5 * (cut.edges[1:] + cut.edges[:-1])
    theirs = threshold_multiotsu(hist=(cut.counts, middle), classes=3)
    # in a gap of the histogram every cut is as good: what counts is which voxels are apart
    shares = [
        np.add.reduceat(cut.counts, [0, *np.searchsorted(middle, c)]) for c in (cut.cuts, theirs)
    ]
    np.testing.assert_allclose(shares[0], shares[1], rtol=0.01)


@pytest.mark.parametrize("method", ["wiener", "median", "nlm"])
def test_noise_goes_and_edges_stay(method):
    truth = foam(11, 0, (32, 32, 32), 0.5, wavelength=24.0)
    clean = scan(truth.astype(int), ScanSpec(blur=0.0, noise=0.0))
    seen = scan(truth.astype(int), ScanSpec(blur=0.0, noise=0.2, noise_length=0.0), 11, 0)
    left = denoise(seen, method) - clean
    assert noise_level(seen) == pytest.approx(20.0, rel=0.1)
    assert np.sqrt((left**2).mean()) < 0.75 * 20.0
    whole = denoise(seen.astype(np.uint16), method)
    assert whole.dtype == np.uint16


def test_touching_balls_are_told_apart():
    labels, radii = balls(12, 0, SHAPE, fraction=0.35, radius=(5.0, 9.0), gap=-1.0)
    solid = labels >= 0
    _, joined = objects.components(solid, periodic=True)
    found, count = objects.particles(solid, periodic=True)
    assert joined < len(radii) / 4
    assert count == len(radii)
    assert adjusted_rand_score(labels[solid], found[solid]) > 0.98  # what balls share is cut


def test_a_rod_is_one_particle_and_a_dumbbell_is_two_by_its_neck():
    z, y, x = np.indices((24, 24, 60)) - np.array([12, 12, 30])[:, None, None, None]
    rod = (y**2 + z**2 < 36) & (abs(x) < 24)
    assert objects.particles(rod)[1] == 1
    for neck, parts in ((3, 2), (7, 1)):  # of balls of 8
        ends = ((abs(x) - 16) ** 2 + y**2 + z**2 < 64) | ((y**2 + z**2 < neck**2) & (abs(x) < 16))
        assert objects.particles(ends, neck=0.8)[1] == parts


def test_particles_do_not_change_when_a_periodic_box_is_shifted():
    labels, _ = balls(13, 0, (40, 44, 48), fraction=0.4, radius=(5.0, 8.0), gap=-1.0)
    solid = labels >= 0
    shift = (17, 5, 31)
    one, count = objects.particles(solid, periodic=True)
    other, same = objects.particles(np.roll(solid, shift, (0, 1, 2)), periodic=True)
    assert count == same
    moved = np.roll(one, shift, (0, 1, 2))
    assert adjusted_rand_score(moved[other >= 0], other[other >= 0]) > 0.99  # ties on plateaus


def test_bodies_meet_across_faces_only_where_the_box_repeats():
    mask = np.zeros((6, 7, 8), bool)
    mask[0, 3, 3] = mask[-1, 3, 3] = True  # face to face along z
    mask[2, 0, 0] = mask[2, -1, 7] = True  # corner to corner in the plane y, x
    assert objects.components(mask)[1] == 4
    assert objects.components(mask, periodic=True)[1] == 2
    assert objects.components(mask, periodic=(True, False, False))[1] == 3
    assert objects.components(mask, periodic=(False, True, False))[1] == 4
    assert objects.components(mask, periodic=True, connectivity=6)[1] == 3


def test_distances_agree_with_scipy():
    from scipy.ndimage import distance_transform_edt

    mask = foam(18, 0, (20, 22, 24), 0.6)
    np.testing.assert_allclose(objects.distance(mask), distance_transform_edt(mask), rtol=1e-6)


def test_distances_reach_round_a_periodic_box():
    mask = np.ones((20, 20, 20), bool)
    mask[0, 0, 0] = False
    assert objects.distance(mask)[19, 0, 0] == pytest.approx(19.0)
    assert objects.distance(mask, periodic=True)[19, 0, 0] == pytest.approx(1.0)
    assert objects.distance(mask, periodic=True).max() == pytest.approx(np.sqrt(300.0))


@pytest.mark.parametrize("radius", [4.0, 7.0, 12.0])
def test_the_surface_of_balls_is_right_where_voxel_faces_are_not(radius):
    rng = np.random.default_rng(14)
    found = []
    for _ in range(4):
        centre = 16.0 + rng.uniform(-0.5, 0.5, 3)
        away = np.indices((32, 32, 32)) - centre[:, None, None, None]
        ball = (away**2).sum(axis=0) < radius**2
        found.append(measures.specific_surface(ball, 0.5, periodic=True))
    true = 4.0 * np.pi * (radius * 0.5) ** 2 / 16.0**3
    assert np.mean(found) == pytest.approx(true, rel=0.02)
    faces = sum(np.count_nonzero(np.diff(ball, axis=a)) for a in range(3)) * 0.25 / 16.0**3
    assert faces > 1.4 * true


def test_the_surface_knows_voxels_that_are_no_cubes():
    z, y, x = np.indices((20, 40, 40)) - np.array([10, 20, 20])[:, None, None, None]
    ball = (2 * z) ** 2 + y**2 + x**2 < 14**2
    found = measures.specific_surface(ball, (2.0, 1.0, 1.0), periodic=True)
    assert found * 40**3 == pytest.approx(4.0 * np.pi * 14**2, rel=0.03)


def test_open_and_closed_pores_and_percolation():
    pore = np.zeros((20, 20, 20), bool)
    pore[:, 3:6, 3:6] = True  # a channel along z
    pore[10:13, 10:13, 10:13] = True  # a closed pore
    pore[15:, 15:18, 15:18] = True  # open at one face
    found = measures.porosity(pore)
    assert found.total == pytest.approx((180 + 27 + 45) / 8000)
    assert found.closed == pytest.approx(27 / 8000)
    assert found.percolates == (True, False, False)
    assert found.pores == 3
    around = measures.porosity(pore, periodic=True)  # there is no outside: the channel goes on
    assert around.open == pytest.approx(180 / 8000)
    assert measures.porosity(np.zeros((4, 4, 4), bool)).total == 0.0


def test_volumes_of_labels_are_taken_as_they_are(tmp_path):
    labels, radii = balls(16, 0, (40, 40, 40), fraction=0.3, radius=(4.0, 6.0))
    assert len(radii) > 16
    np.save(tmp_path / "grains.npy", (labels + 1).astype(np.uint16))
    grains = segment_volume(load(tmp_path / "grains.npy"))
    assert len(grains) == len(radii) + 1
    assert (grains.labels == labels + 1).all()
    assert grains.phases[0].pore
    np.save(tmp_path / "phases.npy", (labels >= 0).astype(np.uint8))
    phases = segment_volume(load(tmp_path / "phases.npy"), names=("air", "glass"))
    assert [p.name for p in phases.phases] == ["air", "glass"]
    assert phases.fractions[1] == pytest.approx((labels >= 0).mean())
    assert not phases.calibrated


def test_nanoporous_gold_hangs_together(real):
    gold = segment_volume(load(f"{real / 'ct' / 'nanoporous_gold.npz'}#12"), periodic=True)
    pores = gold.porosity()
    assert 0.60 < pores.total < 0.70  # about 35 % solid
    assert pores.percolates == (True, True, True)
    assert pores.closed < 0.001
    assert gold.graph().dimension == 3


def test_what_does_not_fit_is_refused(packing):
    volume = as_measurement(scan(packing[0].clip(-1, 0) + 1, ScanSpec(), 1, 1))
    with pytest.raises(ValueError, match="2 phases and 3 names"):
        segment_volume(volume, names=("a", "b", "c"))
    with pytest.raises(ValueError, match=r"separate \(4,\)"):
        segment_volume(volume, separate=(4,))
    with pytest.raises(ValueError, match="no method 'blur'"):
        segment_volume(volume, noise="blur")
    with pytest.raises(ValueError, match="neck"):
        segment_volume(volume, neck=2.0)
