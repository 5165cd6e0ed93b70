"""The whole pipeline on records of one specimen: what it says, and what it does not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from xtalfuse.loaders.record import (
    Axis,
    Beam,
    FileReport,
    Instrument,
    Measurement,
    Modality,
    Provenance,
    Record,
)
from xtalfuse.physics.crystal.cell import Crystal
from xtalfuse.physics.crystal.diffraction import reflections
from xtalfuse.physics.crystal.electron import ring_intensities
from xtalfuse.physics.crystal.ring_pattern import RingScene, ring_image
from xtalfuse.physics.spectroscopy import (
    detector_fwhm_ev,
    edge_profile,
    edges,
    power_law,
    xray_lines,
)
from xtalfuse.tasks.identify.answer import Answer, Cell
from xtalfuse.tasks.identify.pipeline import identify

TRUE = {"corundum": 0.5, "fluorite": 0.2, "zincite": 0.3}


def eds(counts: dict[str, float], name: str = "spectrum.msa") -> Measurement:
    """X-ray emission of a bulk specimen at 20 kV."""
    energy = np.arange(0.0, 20_000.0, 10.0)
    total = 40.0 * np.exp(-energy / 6000.0)
    for line in xray_lines():
        if line.element in counts and line.energy_ev < 20_000.0:
            sigma = float(detector_fwhm_ev(np.array(line.energy_ev), 130.0)) / 2.3548
            peak = np.exp(-0.5 * ((energy - line.energy_ev) / sigma) ** 2)
            total += counts[line.element] * line.weight * peak / sigma
    noisy = np.random.default_rng(3).poisson(total).astype(float)
    provenance = Provenance(name, "11" * 32, "simulation")
    axes = (Axis("energy", "eV", energy),)
    beam = Beam("electron", energy_kev=20.0)
    return Measurement(Modality.EDS, noisy, axes, "counts", provenance, beam)


def eels(atoms: dict[str, float], low: float, high: float, name: str = "edge.msa") -> Measurement:
    energy = np.arange(low, high, 0.5)
    total = power_law(energy, 3.0, 3.0)
    for edge in edges():
        if edge.element in atoms and low - 30.0 < edge.onset_ev < high:
            total += atoms[edge.element] * edge_profile(edge, energy)
    counts = np.random.default_rng(7).poisson(3000.0 * total).astype(float)
    axes = (Axis("energy", "eV", energy),)
    return Measurement(
        Modality.EELS, counts, axes, "counts",
        Provenance(name, "22" * 32, "simulation"),
    )  # fmt: skip


def rings(crystal: Crystal, scale: float | None = None) -> Measurement:
    """Electron diffraction rings of a fine powder, with its scale in 1/angstrom per pixel."""
    own = reflections(crystal, 0.9)
    g = 1.0 / own.d_spacings(crystal.cell)
    strength = ring_intensities(own, crystal.cell)
    strong = strength > 0.02 * strength.max()
    image = ring_image(g[strong] / 0.005, strength[strong] / strength.max(), RingScene())
    step, unit = (scale, "1/angstrom") if scale else (1.0, "px")
    axes = tuple(
        Axis(name, unit, step * np.arange(n)) for name, n in zip("yx", image.shape, strict=True)
    )
    provenance = Provenance("rings.dm3", "33" * 32, "simulation")
    return Measurement(Modality.DIFFRACTION, image, axes, "counts", provenance)


def record(*measurements: Measurement, elements: tuple[str, ...] | None = None) -> Record:
    files = tuple(
        FileReport(m.provenance.path, m.provenance.sha256, m.modality.value, m.provenance.reader,
                   True, "")
        for m in measurements
    )  # fmt: skip
    return Record("specimen", "group", measurements, files, elements)


@pytest.fixture(scope="module")
def pattern(powder) -> Measurement:
    return powder(TRUE)


@pytest.fixture(scope="module")
def alone(pattern, references):
    return identify(record(pattern), references, refine=False)


def fractions(answer) -> dict[str, float]:
    return {p.entry: p.weight_fraction for p in answer.phases}


def test_where_a_pattern_begins_changes_no_answer(powder):
    # points are joined two by two, so that one point less joins others; all of the built-in library
    whole = powder({"corundum": 0.5, "halite": 0.2, "zincite": 0.3})
    (axis,) = whole.axes
    cut = replace(whole, values=whole.values[1:], axes=(replace(axis, values=axis.values[1:]),))
    answers = [identify(record(pattern), refine=False) for pattern in (whole, cut)]
    assert [{p.name for p in a.phases} for a in answers] == [{"Corundum", "Halite", "Zincite"}] * 2
    assert max(a.unknown.probability for a in answers) < 0.3


def test_a_powder_pattern_alone(alone, references):
    assert fractions(alone) == pytest.approx(TRUE, abs=0.02)
    assert list(fractions(alone)) == ["corundum", "zincite", "fluorite"]  # largest first
    assert alone.elements == {}
    assert alone.unknown.probability < 0.3
    assert alone.unknown.unexplained_peaks == ()
    for phase in alone.phases:
        entry = references.entries[references.index(phase.entry)]
        assert phase.name == entry.name
        assert phase.space_group_number == entry.crystal.space_group_number
        assert 0.5 < phase.confidence < 1.0
        assert "elements" not in phase.evidence  # nobody asked a spectrum
        assert phase.cell.a == pytest.approx(entry.crystal.cell[0], rel=1e-3)
        assert phase.weight_fraction_su > 0.0
    fluorite = next(p for p in alone.phases if p.entry == "fluorite")
    assert (fluorite.cell_su.alpha, fluorite.cell.alpha) == (None, 90.0)
    assert [f.used for f in alone.files] == [True]
    assert 0.0 < alone.fit["r_wp"] < 0.2


def test_a_phase_is_a_pymatgen_structure_with_its_measured_cell(alone):
    phase = next(p for p in alone.phases if p.entry == "corundum")
    structure = phase.structure()
    assert structure.composition.reduced_formula == "Al2O3"
    assert structure.lattice.a == pytest.approx(phase.cell.a, rel=1e-9)
    assert structure.lattice.c == pytest.approx(phase.cell.c, rel=1e-9)
    assert structure.properties["cell_of_reference"] == []
    with pytest.raises(ValueError, match=r"result\.json holds none"):
        from_json(alone.to_dict()).phases[0].structure()


def test_curves_show_what_the_fit_is_made_of(alone):
    curves = alone.curves
    assert set(curves.contributions) == set(TRUE) == set(curves.ticks_deg)
    total = curves.background + sum(curves.contributions.values())
    assert total == pytest.approx(curves.calculated)
    assert curves.observed.shape == curves.two_theta_deg.shape


def test_the_answer_is_plain_json(alone):
    text = json.dumps(alone.to_dict(), allow_nan=False)
    assert json.loads(text)["phases"][0]["entry"] == "corundum"


@pytest.fixture(scope="module")
def supported(pattern, references):
    spectra = (
        eds({"Al": 60_000, "O": 50_000, "Ca": 15_000, "F": 9_000, "Zn": 20_000}),
        eels({"Ca": 1.0, "O": 3.0}, 320.0, 600.0),
    )
    return identify(record(pattern, *spectra), references, refine=False)


def test_spectra_that_agree_are_evidence_for_the_phases(supported):
    assert fractions(supported) == pytest.approx(TRUE, abs=0.02)
    corundum = next(p for p in supported.phases if p.entry == "corundum")
    assert corundum.evidence["elements"]["Al"] > 0.9
    assert not any("conflict" in text for text in supported.warnings)
    assert all(f.used for f in supported.files)
    assert supported.elements["Zn"]["probability"] > 0.9
    assert any("spectrum.msa" in source for source in supported.elements["Zn"]["sources"])


def test_an_element_that_no_spectrum_can_show_is_absent_from_the_answer(supported):
    # hydrogen has no X-ray line and no core edge
    assert "H" not in supported.elements


def test_spectra_cut_the_list_of_rivals(pattern, references):
    given = identify(record(pattern, elements=("Al", "O", "Ca", "F", "Zn")), references,
                     refine=False)  # fmt: skip
    allowed = {
        e.id for e in references.entries if e.crystal.elements <= set(["Al", "O", "Ca", "F", "Zn"])
    }
    assert fractions(given) == pytest.approx(TRUE, abs=0.02)
    for phase in given.phases:
        assert phase.evidence["xrd"]["candidates"] == len(allowed) < len(references)
    assert given.elements["Al"] == {"probability": 1.0, "sources": ["given"]}


def test_a_spectrum_of_another_specimen_is_flagged_and_the_pattern_keeps_its_say(
    pattern, references, alone
):
    foreign = eds({"Fe": 60_000, "Ni": 30_000, "Cr": 20_000}, "steel.msa")
    answer = identify(record(pattern, foreign), references, refine=False)
    assert answer.warnings[0].startswith("conflict: steel.msa")
    assert fractions(answer) == pytest.approx(fractions(alone), abs=1e-6)
    assert answer.unknown.probability == alone.unknown.probability


def test_wrong_elements_by_hand_are_obeyed_and_give_unknown(pattern, references):
    answer = identify(record(pattern), references, elements=("Cu", "Au"), refine=False)
    assert not set(fractions(answer)) & set(TRUE)
    assert answer.unknown.probability > 0.9
    assert len(answer.unknown.unexplained_peaks) > 3


def test_elements_of_the_call_replace_those_of_the_record(pattern, references):
    wrong = record(pattern, elements=("Cu",))
    answer = identify(wrong, references, elements=("Al", "O", "Ca", "F", "Zn"), refine=False)
    assert set(fractions(answer)) == set(TRUE)


def test_without_diffraction_there_are_elements_and_no_phases(references):
    answer = identify(record(eds({"Ti": 50_000, "O": 30_000})), references)
    assert answer.phases == ()
    assert answer.unknown.probability == 1.0
    assert answer.elements["Ti"]["probability"] > 0.9
    assert "no diffraction record" in answer.warnings[0]
    (panel,) = answer.panels  # the spectrum with what was fitted to it
    assert [name for name, _ in panel.lines] == ["model", "background"]
    assert "Ti Ka" in dict(panel.marks)


def test_an_empty_record_says_nothing(references):
    answer = identify(record(), references)
    assert (answer.phases, answer.elements, answer.unknown.probability) == ((), {}, 1.0)
    assert "no record" in answer.warnings[0]


def test_a_spectrum_without_a_core_edge_costs_only_itself(pattern, references, alone):
    energy = np.arange(-5.0, 40.0, 0.1)
    values = 1e5 * np.exp(-0.5 * (energy / 0.5) ** 2) + 100.0 / (1.0 + ((energy - 15) / 2) ** 2)
    low_loss = replace(eels({}, 400.0, 500.0, "plasmon.msa"), values=values,
                       axes=(Axis("energy", "eV", energy),))  # fmt: skip
    answer = identify(record(pattern, low_loss), references, refine=False)
    assert [f.used for f in answer.files] == [True, False]
    assert "no core edge" in answer.files[1].reason
    assert fractions(answer) == fractions(alone)


def test_two_powder_patterns_one_is_used_and_the_other_has_a_reason(powder, pattern, references):
    short = powder(TRUE, two_theta=(30.0, 40.0, 0.03), counts=300.0, name="short.xy")
    for order in ((pattern, short), (short, pattern)):
        answer = identify(record(*order), references, refine=False)
        report = {f.path: f for f in answer.files}
        assert report["powder.xy"].used
        assert not report["short.xy"].used
        assert "powder.xy is the better powder pattern" in report["short.xy"].reason
        assert set(fractions(answer)) == set(TRUE)


@pytest.fixture(scope="module")
def gold(references) -> Crystal:
    return references.entries[references.index("gold")].crystal


def test_rings_without_a_camera_constant_give_no_cell(gold, references):
    answer = identify(record(rings(gold)), references)
    (phase,) = answer.phases
    assert phase.weight_fraction is None
    assert phase.cell == Cell(None, None, None, None, None, None)
    structure = phase.structure()  # nothing was measured: the cell of the reference
    assert structure.lattice.a == pytest.approx(phase.crystal.cell[0])
    assert structure.properties["cell_measured"] == []
    # face-centred cubic metals differ only by their scale
    class_ = {phase.entry, *phase.equivalents}
    assert {"gold", "silver", "copper"} <= class_
    assert phase.confidence <= 0.5
    assert answer.fit["r_wp"] is None
    assert answer.panels


def test_rings_with_a_camera_constant_give_what_they_show(gold, references):
    answer = identify(record(rings(gold, 0.005)), references)
    (phase,) = answer.phases
    assert {"gold", "silver"} <= {phase.entry, *phase.equivalents}
    assert "copper" not in {phase.entry, *phase.equivalents}  # 12 % away
    # camera constants are good to a percent or two
    assert phase.cell.a == pytest.approx(gold.cell[0], rel=0.02)
    assert phase.cell_su.a > 0.0


@pytest.mark.parametrize("share", [0.02, 0.005])
@pytest.mark.parametrize("scale", [None, 0.005])
def test_gold_rings_and_a_spectrum_with_little_gold_are_gold(gold, references, share, scale):
    # a film on carbon and a copper grid: what a spectrum shows weakly is there all the same
    seen = eds({"Cu": 6e4, "C": 4e4, "Au": 1e5 * share})
    answer = identify(record(rings(gold, scale), seen), references)
    (phase,) = answer.phases
    assert answer.elements["Au"]["probability"] > 0.95
    # copper has the same ratios, and is there too: only a scale can tell
    assert {phase.entry, *phase.equivalents} == ({"gold"} if scale else {"gold", "copper"})
    assert phase.confidence > (0.9 if scale else 0.3)


def test_rings_never_change_the_numbers_of_a_powder_pattern(pattern, references, gold, alone):
    answer = identify(record(pattern, rings(gold, 0.005)), references, refine=False)
    assert fractions(answer) == fractions(alone)
    assert [p.cell for p in answer.phases] == [p.cell for p in alone.phases]
    assert "rings" in answer.phases[0].evidence
    assert [panel.title for panel in answer.panels] == ["rings.dm3: rings"]


@pytest.mark.parametrize(("entry", "flagged"), [("periclase", True), ("silicon", False)])
def test_rings_that_no_phase_of_the_pattern_has_are_flagged(powder, references, entry, flagged):
    crystal = references.entries[references.index(entry)].crystal
    both = record(powder({"silicon": 1.0}), rings(crystal, 0.005))
    answer = identify(both, references, refine=False)
    assert set(fractions(answer)) == {"silicon"}
    assert any(t.startswith("conflict: rings.dm3") for t in answer.warnings) is flagged


def test_a_specimen_that_the_library_lacks_is_unknown(powder, references):
    library = references.without(["quartz"])
    answer = identify(record(powder({"quartz": 1.0})), library, refine=False)
    assert answer.unknown.probability > 0.5
    peaks = answer.unknown.unexplained_peaks
    assert answer.phases == ()
    # quartz 101 is the strongest line: 3.343 angstrom
    assert peaks[0].d_angstrom == pytest.approx(3.343, rel=0.002)
    assert all(0.0 < p.relative_intensity <= 1.2 for p in peaks)


def test_the_file_says_that_it_is_no_powder(pattern, references):
    provenance = replace(pattern.provenance, warnings=("range assumed",))
    film = replace(pattern, provenance=provenance, instrument=Instrument(powder_doubtful=True))
    answer = identify(record(film), references, refine=False)
    assert any("speak against a powder" in text for text in answer.warnings)
    assert "powder.xy: range assumed" in answer.warnings


def test_refinement_keeps_the_phases_and_refines_their_cells(powder, references):
    measured = powder({"corundum": 0.7, "fluorite": 0.3}, strain={"fluorite": 0.002})
    answer = identify(record(measured), references)
    assert fractions(answer) == pytest.approx({"corundum": 0.7, "fluorite": 0.3}, abs=0.03)
    assert "refinement" in answer.seconds
    fluorite = next(p for p in answer.phases if p.entry == "fluorite")
    reference = references.entries[references.index("fluorite")].crystal.cell[0]
    # zero and displacement are free beside the cell
    assert fluorite.cell.a == pytest.approx(1.002 * reference, rel=3e-4)
    assert fluorite.cell.a == pytest.approx(fluorite.cell.c, rel=1e-9)


def from_json(document: dict) -> Answer:
    """The answer that a document of the promised form stands for."""
    return TypeAdapter(Answer).validate_json(json.dumps(document), strict=True)


@pytest.mark.parametrize(
    "answer_of",
    [
        lambda alone, library, gold, pattern: alone,
        lambda alone, library, gold, pattern: identify(
            record(pattern, eds({"Al": 50_000, "O": 30_000}), rings(gold, 0.005)),
            library,
            refine=False,
        ),
        lambda alone, library, gold, pattern: identify(record(rings(gold)), library),
        lambda alone, library, gold, pattern: identify(record(), library),
    ],
    ids=["pattern", "all modalities", "rings", "nothing"],
)
def test_what_is_written_has_the_form_of_the_schema(answer_of, alone, references, gold, pattern):
    document = answer_of(alone, references, gold, pattern).to_dict()
    # nothing is written that the schema does not name: it would be lost on the way back
    assert from_json(document).to_dict() == document


def test_a_document_of_another_form_is_told(alone):
    document = alone.to_dict()
    del document["phases"][0]["evidence"]["xrd"]["margin"]
    with pytest.raises(ValidationError, match="margin"):
        from_json(document)
