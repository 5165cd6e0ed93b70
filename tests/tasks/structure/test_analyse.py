"""From a map to properties and files, on simulated maps whose truth is known."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from xtalfuse.datasets.constants.elastic import elastic_constants
from xtalfuse.datasets.sets.graphs import load_graph
from xtalfuse.datasets.simulate.map import MapSpec, simulate_map
from xtalfuse.datasets.simulate.polycrystal import PhaseSpec, PolycrystalSpec
from xtalfuse.loaders.record import Axis, Calibration, Measurement, Modality, Provenance
from xtalfuse.physics.estimate import Estimate
from xtalfuse.physics.grains.crystal_map import CrystalMap, MapPhase
from xtalfuse.physics.mechanics.elasticity import youngs_modulus
from xtalfuse.physics.mechanics.homogenization import ConvergenceError
from xtalfuse.report.illustrate import illustrations
from xtalfuse.report.structure import headline, in_words, title, write_microstructure
from xtalfuse.tasks.structure.analyse import analyse
from xtalfuse.tasks.structure.result import Microstructure

COPPER = MapPhase("Copper", "m-3m", (3.615, 3.615, 3.615, 90.0, 90.0, 90.0))
SECRET = MapPhase("phase 7", "m-3m")


def measured(points: CrystalMap, name: str = "map.ang") -> Measurement:
    count = np.arange(len(points.phase), dtype=float)
    axes = (Axis("point", "", count, Calibration.KNOWN), Axis("component", "", np.arange(4.0)))
    source = Provenance(name, "00" * 32, "simulation")
    return Measurement(Modality.EBSD, points.orientation, axes, "", source, crystal_map=points)


def section_of(*phases: MapPhase, sections: int = 1) -> CrystalMap:
    solid = PolycrystalSpec(
        shape=(48, 48, 12), grains=60, phases=tuple(PhaseSpec(phase) for phase in phases)
    )
    return simulate_map(5, 0, MapSpec(solid, noise_deg=0.3, sections=sections)).crystal_map


@pytest.fixture(scope="module")
def copper() -> Microstructure:
    return analyse(measured(section_of(COPPER)))


def test_a_section_of_copper_has_the_properties_of_copper(copper):
    young = copper.property_named("youngs_modulus")
    # Ledbetter & Naimon (1974), J. Phys. Chem. Ref. Data 3, 897: copper, E = 128 GPa
    assert young.value == pytest.approx(128.0, abs=3.0 * young.uncertainty)
    assert "section" in young.validity
    taylor = copper.property_named("taylor_factor_x[Copper]")
    # random fcc: 3.067 (Taylor 1938; Bishop & Hill 1951); some 30 grains scatter by 0.07
    assert taylor.value == pytest.approx(3.067, abs=0.25)
    assert "never a measured yield" in taylor.validity
    assert copper.property_named("phase_fraction[Copper]").value == 1.0
    assert copper.property_named("yield_stress").uncertainty > 0.0


def test_bent_grains_have_less_certain_taylor_factors(copper):
    factor = copper.grain_columns["taylor_factor_x"]
    spread = copper.grain_columns["taylor_factor_x_su"]
    assert np.isfinite(factor).all()
    # from 2.3 to 3.674, <110> and <111> along the load (Chin & Mammel 1967, Trans. AIME 239, 1400)
    assert factor.min() > 2.29
    assert factor.max() < 3.68
    # noise of 0.3 degrees; the factor changes by at most some 0.05 for a degree
    assert 0.0 < spread.max() < 0.05


def test_one_crystal_is_as_stiff_as_its_direction():
    points = section_of(COPPER)
    one = np.tile(points.orientation[0], (len(points.phase), 1))
    found = analyse(
        measured(CrystalMap(one, points.phase, points.index, points.phases, points.grid,
                            points.step))
    )  # fmt: skip
    assert len(found.graph) == 1
    turn = found.graph.orientation[0]
    from xtalfuse.physics.orientation.quaternion import rotate

    along = np.asarray(rotate(turn, np.array([1.0, 0.0, 0.0])))
    known = float(youngs_modulus(elastic_constants("copper").stiffness.copy(), along))
    assert found.property_named("youngs_modulus_x").value == pytest.approx(known, rel=1e-6)
    assert any("only 1 grain:" in text for text in found.warnings)
    assert any("cuts every grain" in text for text in found.warnings)
    assert found.property_named("grain_diameter[Copper]") is None
    # what one grain says of others is not known; round-off is no uncertainty
    taylor = found.property_named("taylor_factor_x[Copper]")
    assert taylor.uncertainty is None
    assert len(in_words(taylor)) == len("3.200")
    assert headline(found).startswith("1 grain of Copper;")


@pytest.mark.parametrize(("direction", "young"), [((1, 0, 0), 66.7), ((1, 1, 1), 191.1)])
def test_a_fibre_texture_is_as_stiff_as_its_direction(direction, young):
    """Copper: E100 = 66.7 GPa, E111 = 191.1 GPa (Hosford 1993, table 2.3)."""
    from xtalfuse.physics.orientation.quaternion import multiply

    points = section_of(COPPER)
    along = np.array(direction) / np.linalg.norm(direction)
    axis = np.cross([1.0, 0.0, 0.0], along)
    tip = np.concatenate([[1.0 + along[0]], axis])  # turns x to the direction
    spin = np.radians(3.0 * points.index[:, 1])  # another orientation in each row
    about_x = np.stack([np.cos(spin / 2), np.sin(spin / 2), 0.0 * spin, 0.0 * spin], axis=1)
    turned = multiply(np.broadcast_to(tip / np.linalg.norm(tip), about_x.shape), about_x)
    fibre = replace(points, orientation=turned, phase=0 * points.phase)
    found = analyse(measured(fibre), threshold_deg=1.0)
    assert len(found.graph) > 20
    # every grain has this modulus along x: so has their mean, whatever the averaging;
    # constants rounded to 0.1 GPa
    assert found.property_named("youngs_modulus_x").value == pytest.approx(young, abs=0.2)


def test_two_phases_of_one_name_are_told_apart():
    found = analyse(measured(section_of(COPPER, replace(COPPER, laue="6/mmm"))), ["copper"])
    names = [item.name for item in found.properties]
    assert len(names) == len(set(names))
    shares = [found.property_named(f"phase_fraction[{name}]") for name in ("Copper", "Copper (2)")]
    assert sum(share.value for share in shares) == pytest.approx(1.0)


def test_pores_in_a_map_leave_no_average_of_grains():
    found = analyse(measured(section_of(COPPER, SECRET)), {"phase 7": "pore"})
    assert found.stiffness is None
    assert any("does not hold with pores" in text for text in found.warnings)
    assert found.property_named("taylor_factor_x[Copper]") is not None


def test_a_map_without_an_indexed_point_is_refused():
    points = section_of(COPPER)
    lost = replace(points, phase=np.full(len(points.phase), -1))
    with pytest.raises(ValueError, match=r"map\.ang: no point is indexed"):
        analyse(measured(lost))


def test_names_with_brackets_and_commas_are_shown_whole():
    odd = MapPhase("Fe[3] (C, N) 'x'", "m-3m")
    found = analyse(measured(section_of(odd)))
    share = found.property_named("phase_fraction[Fe[3] (C, N) 'x']")
    assert title(share) == "Phase fraction, Fe[3] (C, N) 'x'"
    # a comma parts materials: this phase can only be named by its place
    assert any("in the order of the phases" in text for text in found.warnings)


def test_numbers_without_an_uncertainty_keep_their_digits():
    small, large = (Estimate("specific_surface", x, None, "1/um", "") for x in (3.067e-4, 988.68))
    assert in_words(small) == "0.0003067 1/µm"
    assert in_words(large) == "988.7 1/µm"


def test_a_phase_that_is_not_known_costs_only_what_needs_it():
    found = analyse(measured(section_of(COPPER, SECRET)))
    assert found.stiffness is None
    assert found.property_named("youngs_modulus") is None
    assert found.property_named("taylor_factor_x[Copper]") is not None
    assert found.property_named("grain_diameter[phase 7]") is not None
    assert any("--phases 'phase 7=" in text for text in found.warnings)
    named = analyse(measured(section_of(COPPER, SECRET)), {"phase 7": "nickel"})
    assert named.property_named("youngs_modulus") is not None


def test_a_stack_of_sections_is_homogenized():
    found = analyse(measured(section_of(COPPER, sections=10)))
    assert found.graph.dimension == 3
    bulk = found.property_named("bulk_modulus")
    assert "FFT" in bulk.method
    # the bulk modulus of a cubic polycrystal is that of the crystal, (c11 + 2 c12) / 3;
    # single precision and a tolerance of 1e-4
    assert bulk.value == pytest.approx((168.4 + 2 * 121.4) / 3, rel=1e-4)


def test_a_stack_too_large_to_solve_is_told_by_the_network(monkeypatch):
    stack = measured(section_of(COPPER, sections=10))
    solved = analyse(stack).property_named("youngs_modulus_x")
    monkeypatch.setattr("xtalfuse.tasks.structure.stress.MOST_POINTS", 100)
    told = analyse(stack).property_named("youngs_modulus_x")
    assert "network" in told.method
    # both know the same grains; what they differ by is the edge, periodic in one of them
    assert told.value == pytest.approx(solved.value, rel=0.03)
    assert told.uncertainty == pytest.approx(solved.uncertainty, rel=0.5)
    columns = analyse(stack).grain_columns
    assert columns["stress_xx_relative_su"].shape == columns["stress_xx_relative"].shape
    assert (columns["stress_xx_relative_su"] > 0.0).all()
    spread = analyse(stack).property_named("grain_stress_spread_x")
    assert "network" in spread.method
    assert "cut by its edge" in spread.validity


def test_a_section_has_no_stress_from_the_network(copper, monkeypatch):
    """It does not tell which grains lie above and below."""
    assert "stress_xx_relative" in copper.grain_columns
    monkeypatch.setattr("xtalfuse.tasks.structure.stress.MOST_POINTS", 100)
    assert "stress_xx_relative" not in analyse(copper.measurement).grain_columns


def test_a_field_that_does_not_converge_is_told(copper, monkeypatch):
    def fails(*_, **__):
        raise ConvergenceError("after 7 steps")

    monkeypatch.setattr("xtalfuse.tasks.structure.stress.homogenize", fails)
    found = analyse(copper.measurement)
    assert any("did not converge: after 7 steps" in text for text in found.warnings)
    assert found.stress_field is None
    assert found.property_named("youngs_modulus") == copper.property_named("youngs_modulus")


def test_everything_is_written_and_can_be_read_again(copper, tmp_path):
    drawn = []
    report = write_microstructure(copper, tmp_path, lambda *told: drawn.append(told))
    names = {path.name for path in tmp_path.iterdir()}
    figures = {f"{illustration.name}.png" for illustration in illustrations(copper)}
    assert names == figures | {
        "grains.csv", "boundaries.csv", "graph.h5", "report.html", "properties.json"
    }  # fmt: skip
    assert len(drawn) == len(figures)
    document = json.loads((tmp_path / "properties.json").read_text())
    young = document["properties"]["youngs_modulus"]
    assert set(young) == {"value", "uncertainty", "unit", "method", "assumptions", "validity"}
    assert np.array(document["properties"]["stiffness_voigt"]["value"]).shape == (6, 6)
    assert document["grains"] == len(load_graph(tmp_path / "graph.h5")) == len(copper.graph)
    page = report.read_text(encoding="utf-8")
    assert "GPa" in page
    assert "http:" not in page  # needs no other file
    assert "https:" not in page


def test_a_result_travels_to_another_process_and_is_the_same(copper, tmp_path):
    travelled = pickle.loads(pickle.dumps(copper))
    for name, found in (("here", copper), ("there", travelled)):
        write_microstructure(found, tmp_path / name)
    here, there = ({p.name: p for p in (tmp_path / n).iterdir()} for n in ("here", "there"))
    assert set(here) == set(there)
    for name, path in here.items():
        assert path.read_bytes() == there[name].read_bytes(), name
    assert load_graph(there["graph.h5"]).edges.tolist() == copper.graph.edges.tolist()


def test_names_from_a_file_cannot_write_into_the_page(tmp_path):
    hostile = MapPhase("<script>alert(1)</script>", "m-3m")
    found = analyse(measured(section_of(hostile), "<b>.ang"))
    page = write_microstructure(found, tmp_path).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<b>.ang" not in page


def test_a_pattern_is_no_map():
    axis = (Axis("two_theta", "deg", np.arange(3.0)),)
    source = Provenance("scan.xy", "00" * 32, "simulation")
    pattern = Measurement(Modality.XRD, np.ones(3), axis, "counts", source)
    with pytest.raises(ValueError, match=r"scan\.xy: a xrd record .* shows no grains"):
        analyse(pattern)
