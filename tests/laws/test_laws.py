"""The laws of the house that apply to what is here, over all modalities, readers and phases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gemmi
import numpy as np
import pytest

from xtalfuse.datasets.library.build import Library
from xtalfuse.datasets.library.sources import TypedPhase, typed_phases
from xtalfuse.datasets.simulate.spectra import as_spectrum, eds_spectrum, eels_spectrum
from xtalfuse.encoders.pattern import encode_pattern
from xtalfuse.encoders.spectrum.eels_templates import prior_probability
from xtalfuse.encoders.spectrum.elements import ElementEvidence, element_evidence
from xtalfuse.fusion.evidence import join_elements
from xtalfuse.loaders.record import Axis, FileReport, Measurement, Modality, Provenance, Record
from xtalfuse.physics.crystal.cell import Crystal, Site, laue_rotations
from xtalfuse.physics.crystal.diffraction import reflections
from xtalfuse.physics.crystal.electron import ring_intensities
from xtalfuse.physics.crystal.powder import phase_model
from xtalfuse.physics.crystal.ring_pattern import RingScene, ring_image
from xtalfuse.physics.units import radiation
from xtalfuse.tasks.identify.pipeline import identify
from xtalfuse.tasks.identify.powder.phase import analyse_pattern

TRUE = {"corundum": 0.5, "halite": 0.2, "zincite": 0.3}


def measurement(modality: Modality, values: np.ndarray, name: str, *axes: Axis) -> Measurement:
    provenance = Provenance(name, "00" * 32, "simulation")
    return Measurement(modality, values, axes, "counts", provenance)


def picture(modality: Modality, values: np.ndarray, name: str) -> Measurement:
    axes = [Axis(n, "px", np.arange(float(k))) for n, k in zip("yx", values.shape, strict=True)]
    return measurement(modality, values, name, *axes)


def rings(crystal) -> Measurement:
    own = reflections(crystal, 0.9)
    strength = ring_intensities(own, crystal.cell)
    strong = strength > 0.03 * strength.max()
    radii = 200.0 / own.d_spacings(crystal.cell)[strong]
    image = ring_image(radii, strength[strong] / strength.max(), RingScene())
    return picture(Modality.DIFFRACTION, image, "rings.dm3")


def record(*measurements: Measurement) -> Record:
    files = tuple(
        FileReport(m.provenance.path, m.provenance.sha256, m.modality.value, "", True, "")
        for m in measurements
    )
    return Record("specimen", "group", measurements, files)


def said(answer) -> dict[str, Any]:
    """Everything that an answer says about the specimen, whatever the order of its parts."""
    plain = answer.to_dict()
    for bookkeeping in ("files", "seconds", "warnings"):
        del plain[bookkeeping]
    for element in plain["elements"].values():
        element["sources"] = sorted(element["sources"])
    return plain


@pytest.fixture(scope="module")
def pattern(powder) -> Measurement:
    return powder(TRUE)


@pytest.fixture(scope="module")
def spectra() -> tuple[Measurement, ...]:
    counts = {"Al": 60_000, "O": 50_000, "Na": 9_000, "Cl": 15_000, "Zn": 20_000}
    return eds_spectrum(counts), eels_spectrum({"O": 3.0}, 480.0, 640.0)


def _plasmon() -> Measurement:
    """Zero loss, plasmon and a weak tail to 120 eV: edges could be there and none is."""
    energy = np.arange(-5.0, 120.0, 0.25)
    mean = 1e5 * np.exp(-0.5 * (energy / 0.5) ** 2) + 100.0 / (1.0 + ((energy - 15) / 2) ** 2)
    return as_spectrum(Modality.EELS, energy, mean + 2.0, "plasmon.msa")


def _noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).poisson(50.0, shape).astype(float)


# For each modality a record that can say nothing about phases or elements.
BLIND: dict[Modality, Callable[[Callable[..., Measurement]], Measurement]] = {
    Modality.XRD: lambda powder: powder(
        TRUE, counts=60.0, two_theta=(22.0, 33.0, 0.03), name="short.xy"
    ),
    Modality.EELS: lambda powder: _plasmon(),
    Modality.EDS: lambda powder: eds_spectrum({}),
    Modality.DIFFRACTION: lambda powder: picture(
        Modality.DIFFRACTION, _noise(128, 128), "nothing.dm3"
    ),
    Modality.IMAGE: lambda powder: picture(Modality.IMAGE, _noise(64, 64), "grains.tif"),
    Modality.EBSD: lambda powder: measurement(
        Modality.EBSD, np.tile([1.0, 0.0, 0.0, 0.0], (50, 1)), "map.ang",
        Axis("point", "", np.arange(50.0)), Axis("component", "", np.arange(4.0)),
    ),
    Modality.CT: lambda powder: measurement(
        Modality.CT, _noise(8, 9, 10), "scan.tif",
        *(Axis(n, "um", np.arange(float(k))) for n, k in zip("zyx", (8, 9, 10), strict=True)),
    ),
    Modality.OTHER: lambda powder: measurement(
        Modality.OTHER, _noise(100), "current.txt", Axis("x", "", np.arange(100.0))
    ),
}  # fmt: skip


def test_law_1_every_modality_has_its_blind_record():
    assert set(BLIND) == set(Modality)


def raised(elements: dict[str, Any]) -> set[str]:
    """Elements that an answer holds for likelier than they were before anybody looked."""
    rounding = 1e-4
    return {
        symbol
        for symbol, said_of in elements.items()
        if said_of["probability"] > prior_probability(symbol) + rounding
    }


@pytest.mark.parametrize("modality", BLIND)
def test_law_1_a_record_that_sees_nothing_changes_nothing(modality, powder, pattern, references):
    blind = BLIND[modality](powder)
    alone = said(identify(record(pattern), references, refine=False))
    both = said(identify(record(pattern, blind), references, refine=False))
    # A spectrum tests elements: it must say so, and find none of them.
    tested = both.pop("elements")
    assert (len(tested) > 15) is (modality in (Modality.EELS, Modality.EDS))
    assert raised(tested) == set()
    assert alone.pop("elements") == {}
    for phase in both["phases"]:  # which repeats what was tested of its elements
        told = phase["evidence"].pop("elements", {})
        assert told == {e: tested[e]["probability"] for e in told}
    assert both == alone
    # nor does it count as evidence when it is all there is
    if modality is not Modality.XRD:
        only = identify(record(blind), references, refine=False)
        assert (only.phases, only.unknown.probability) == ((), 1.0)
        assert raised(only.to_dict()["elements"]) == set()


def test_law_1_catches_half_a_posterior_that_lost_the_whole_prior():
    elements = {}
    for symbol, finding in element_evidence(_plasmon()).elements.items():
        prior = np.log(prior_probability(symbol)) - np.log1p(-prior_probability(symbol))
        posterior = 2.0 * finding.log_likelihood_ratio + prior
        wrong = replace(finding, log_likelihood_ratio=0.5 * posterior - prior)
        elements[symbol] = wrong
    belief = join_elements([("a.msa", ElementEvidence(Modality.EELS, elements, 0.0, 1.0))])
    assert len(raised(belief.to_dict())) > 5


@pytest.mark.parametrize(
    ("seen", "absent"),
    [
        (eels_spectrum({"O": 1.0}, 500.0, 620.0), {"H", "He", "Fe", "Al", "C"}),
        (eels_spectrum({"Ti": 1.0}, 430.0, 520.0), {"H", "He", "Si", "Zn", "N"}),
        (eds_spectrum({"Fe": 50_000}), {"H", "He"}),
    ],
    ids=["EELS at O K", "EELS at Ti L", "EDS"],
)
def test_law_1_what_a_record_cannot_show_is_absent_and_no_placeholder(seen, absent):
    evidence = element_evidence(seen)
    assert evidence.elements
    assert not absent & set(evidence.elements)
    for finding in evidence.elements.values():
        assert 0.0 < finding.probability < 1.0


def test_law_1_is_not_vacuous(pattern, spectra, references):
    alone = said(identify(record(pattern), references, refine=False))
    both = said(identify(record(pattern, *spectra), references, refine=False))
    assert both != alone
    assert set(both["elements"]) > set(alone["elements"]) == set()


def test_law_2_the_order_of_the_records_does_not_matter(powder, pattern, spectra, references):
    crystal = references.entries[references.index("halite")].crystal
    short = powder(TRUE, counts=200.0, two_theta=(30.0, 50.0, 0.03), name="short.xy")
    parts = [pattern, *spectra, rings(crystal), short]
    first = identify(record(*parts), references, refine=False)
    for order in (parts[::-1], [*parts[2:], *parts[:2]]):
        other = identify(record(*order), references, refine=False)
        assert said(other) == said(first)
        assert set(other.warnings) == set(first.warnings)
        assert {f.path: f.used for f in other.files} == {f.path: f.used for f in first.files}


def _one_of_each_setting() -> list[TypedPhase]:
    chosen: dict[tuple[str, str], TypedPhase] = {}
    for phase in typed_phases()[0]:
        chosen.setdefault((phase.crystal.crystal_system, phase.crystal.space_group[-2:]), phase)
    return list(chosen.values())


SETTINGS = _one_of_each_setting()


def powder_lines(crystal: Crystal) -> tuple[np.ndarray, np.ndarray]:
    """d and intensity, lines of one d together."""
    own = reflections(crystal, 1.6, 100_000)
    d, intensity = own.d_spacings(crystal.cell), own.intensities(crystal.cell, 1.5418)
    label = np.cumsum(np.diff(-d, prepend=-1e9) > 1e-6) - 1
    total = np.bincount(label, intensity)
    strong = total > 1e-4 * total.max()  # weaker ones are rounding where they should be absent
    return d[np.unique(label, return_index=True)[1]][strong], total[strong]


@pytest.mark.parametrize("phase", SETTINGS, ids=lambda p: p.id)
def test_law_3_equivalent_descriptions_are_one_crystal(phase):
    crystal = phase.crystal
    if len(crystal.atoms.numbers) > 200:
        crystal = replace(crystal, sites=crystal.sites[:2])
    d, intensity = powder_lines(crystal)
    # every atom of the asymmetric unit at another of its equivalent positions
    operations = list(gemmi.find_spacegroup_by_name(crystal.space_group).operations())
    rng = np.random.default_rng(1)
    sites = []
    for site in crystal.sites:
        operation = operations[rng.integers(len(operations))]
        moved = tuple(float(x) for x in operation.apply_to_xyz(list(site.position)))
        sites.append(replace(site, position=moved))
    # and the whole cell without symmetry
    atoms = crystal.expand()
    rows = zip(atoms.numbers, atoms.positions, atoms.occupancies, atoms.b_iso, strict=True)
    whole = tuple(
        Site(gemmi.Element(int(z)).name, tuple(x), float(o), float(b)) for z, x, o, b in rows
    )
    for other in (replace(crystal, sites=tuple(sites)), Crystal(crystal.cell, "P 1", whole)):
        other_d, other_intensity = powder_lines(other)
        # parameters of special positions are typed with four or five digits
        assert other_d == pytest.approx(d, rel=1e-5)
        assert other_intensity == pytest.approx(intensity, rel=2e-3, abs=1e-3 * intensity.max())


@pytest.mark.parametrize(
    "use",
    [
        lambda m, library: encode_pattern(m),
        lambda m, library: analyse_pattern(m, library),
        lambda m, library: identify(record(m), library),
    ],
    ids=["encode_pattern", "analyse_pattern", "identify"],
)
def test_law_4_nothing_takes_a_pattern_without_a_wavelength(use, pattern, references):
    with pytest.raises(ValueError, match="no wavelength"):
        use(replace(pattern, beam=None), references)


def direct_metric(cell: tuple[float, ...]) -> np.ndarray:
    a, b, c = cell[:3]
    ca, cb, cg = np.cos(np.radians(cell[3:]))
    return np.array(
        [[a * a, a * b * cg, a * c * cb], [a * b * cg, b * b, b * c * ca],
         [a * c * cb, b * c * ca, c * c]]
    )  # fmt: skip


def assert_cell_obeys(cell: tuple[float, ...], space_group: str) -> None:
    """The metric is unchanged by every rotation of the group, in whatever setting."""
    metric = direct_metric(cell)
    for rotation in laue_rotations(space_group):
        inverse = np.linalg.inv(rotation)  # hkl transform with R, direct lengths with its inverse
        assert inverse.T @ metric @ inverse == pytest.approx(metric, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("phase", SETTINGS, ids=lambda p: p.id)
def test_law_5_a_cell_obeys_its_crystal_system_however_it_is_strained(phase):
    crystal = phase.crystal
    low = reflections(crystal, 1.5, 60)
    model = phase_model(crystal, low, radiation("CuKa"), (3.0, 60.0))
    rng = np.random.default_rng(0)
    for _ in range(5):
        state = model.start().moved(rng.normal(scale=0.02, size=model.n_strain + 2))
        cell = model.cell(state)
        assert_cell_obeys(cell, crystal.space_group)
        assert np.all(np.abs(np.array(cell[:3]) / crystal.cell[:3] - 1.0) < 0.06)


def test_law_5_systems_and_settings_are_all_there():
    systems = {p.crystal.crystal_system for p in SETTINGS}
    assert systems == {"triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal",
                       "hexagonal", "cubic"}  # fmt: skip


@pytest.mark.parametrize("refine", [False, True])
def test_law_5_fractions_sum_to_one_and_cells_obey(refine, pattern, references):
    answer = identify(record(pattern), references, refine=refine)
    assert len(answer.phases) == 3
    # fractions are rounded to six digits each
    assert sum(p.weight_fraction for p in answer.phases) == pytest.approx(1.0, abs=3e-6)
    assert 0.0 <= answer.unknown.probability <= 1.0
    for phase in answer.phases:
        assert 0.0 <= phase.weight_fraction <= 1.0
        assert 0.0 < phase.confidence < 1.0
        c = phase.cell
        crystal = references.entries[references.index(phase.entry)].crystal
        assert_cell_obeys((c.a, c.b, c.c, c.alpha, c.beta, c.gamma), crystal.space_group)


def cut(pattern: Measurement, below: float) -> Measurement:
    kept = pattern.axis("two_theta") < below
    axis = Axis("two_theta", "deg", pattern.axis("two_theta")[kept])
    return replace(pattern, values=pattern.values[kept], axes=(axis,))


ELEMENTS = ("Al", "O", "Na", "Cl", "Zn")


@pytest.mark.parametrize("removed", ["half the range", "the elements", "counts"])
def test_law_6_confidence_does_not_grow_when_evidence_is_removed(
    removed, powder, pattern, references
):
    full = identify(record(pattern), references, elements=ELEMENTS, refine=False)
    if removed == "the elements":
        less = identify(record(pattern), references, refine=False)
    else:
        weaker = (
            cut(pattern, 45.0) if removed == "half the range"
            else powder(TRUE, counts=150.0, background=60.0)
        )  # fmt: skip
        less = identify(record(weaker), references, elements=ELEMENTS, refine=False)
    before = {p.entry: p.confidence for p in full.phases}
    after = {p.entry: p.confidence for p in less.phases}
    assert set(before) == set(TRUE)
    # A single phase may gain a little where its cell happens to fall nearer to the reference;
    # all together they must not.
    assert sum(after.get(e, 0.0) for e in TRUE) <= sum(before.values()) + 0.01
    assert all(after.get(e, 0.0) <= before[e] + 0.02 for e in TRUE)


@pytest.mark.parametrize("entry", ["quartz", "corundum", "calcite", "anatase", "halite"])
def test_law_6_a_phase_that_the_library_lacks_is_unknown(entry, powder, references):
    single = record(powder({entry: 1.0}))
    known = identify(single, references, refine=False)
    library = references.without([entry], look_alikes=True)
    lacking = identify(single, library, refine=False)
    assert known.unknown.probability < 0.3
    assert lacking.unknown.probability > 0.5
    assert lacking.unknown.unexplained_peaks


def test_law_7_a_library_that_was_stored_gives_bitwise_the_same_answer(
    tmp_path, pattern, references
):
    references.save(tmp_path / "library.h5")
    stored = Library.load(tmp_path / "library.h5")
    one, two, again = (
        identify(record(pattern), library, refine=False) for library in (references, stored, stored)
    )
    assert said(one) == said(two) == said(again)
    assert np.array_equal(one.curves.calculated, two.curves.calculated)
