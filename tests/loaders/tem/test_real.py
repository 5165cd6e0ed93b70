"""Files of real electron microscopes: facts that are known of them, and damaged copies."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from xtalfuse.loaders import registry
from xtalfuse.loaders.reader import Certainty
from xtalfuse.loaders.record import Calibration, Measurement, Modality, UnreadableFileError
from xtalfuse.loaders.safe.guard import guarded
from xtalfuse.loaders.safe.head import FileHead

FACTS = tomllib.loads(Path(__file__).with_name("electron_formats.toml").read_text("utf-8"))
KNOWN, ASSUMED, UNKNOWN = Calibration.KNOWN, Calibration.ASSUMED, Calibration.UNKNOWN
EELS, EDS, IMAGE = Modality.EELS, Modality.EDS, Modality.IMAGE
DIFFRACTION = Modality.DIFFRACTION


@pytest.mark.parametrize("name", FACTS["measurement"])
def test_real_files_are_what_they_look_like(real: Path, name: str) -> None:
    modality, shape, unit, calibration = FACTS["measurement"][name]
    path = real / "tem" / name
    with FileHead.of(path) as head:
        assert Modality.XRD not in registry.choose(head).modalities
    m = guarded(registry.read, path)
    assert (m.modality, m.axes[-1].unit, m.calibration) == (modality, unit, calibration)
    assert list(m.values.shape) == shape == [a.values.size for a in m.axes]


@pytest.mark.parametrize("name", FACTS["refused"])
def test_real_files_that_hold_no_measurement_are_refused(real: Path, name: str) -> None:
    with pytest.raises(UnreadableFileError, match=re.escape(FACTS["refused"][name])):
        guarded(registry.read, real / "tem" / name)


def _sure(path: Path) -> dict[str, Certainty]:
    with FileHead.of(path) as head:
        return registry.certainties(head)


def test_no_file_of_a_diffractometer_is_claimed(real: Path) -> None:
    files = [p for p in (real / "xrd").rglob("*") if p.is_file()]
    assert len(files) > 50
    microscopes = {n for n, r in registry.READERS.items() if Modality.DIFFRACTION in r.modalities}
    microscopes |= {"emsa", "edax", "tofwerk", "delmic"}
    assert not [p.name for p in files if microscopes & set(_sure(p))]


def test_facts_of_real_instruments(real: Path) -> None:
    """Numbers that the files state or that follow from them by hand."""
    tem = real / "tem"
    titanate = registry.read(tem / "sto/EELS_STO.dm3")
    np.testing.assert_allclose(titanate.axis("energy")[[0, -1]], [350.0, 861.75])
    assert titanate.provenance.metadata["collection_angle_mrad"] == 33.0
    assert titanate.provenance.metadata["beam_energy_keV"] == 200.0
    # 64 pixels of 0.10157 1/nm, centred: the reader left this offset in 1/m
    rings = registry.read(tem / "readers/tia/old/64x64_diffraction_acquire.emi")
    assert rings.axis("kx")[0] == pytest.approx(-0.32503, abs=1e-5)
    stack = registry.read(tem / "readers/tia/old/16x16_STEM_BF_DF_acquire.emi")
    assert stack.axis("x")[0] == pytest.approx(-172.08, abs=0.01)
    assert stack.provenance.metadata["other_signals"]
    sums = registry.read(tem / "sto/EDS-STO.emd")  # the sum of four detectors, not one of them
    assert sums.values.sum() > 2 * 242 * 10
    assert sums.values.max() == 2126
    bismuth = registry.read(tem / "diffraction/bismuth.dm3")
    assert (bismuth.values.min(), bismuth.values.max()) == (156, 251)


def test_every_real_file_is_a_sane_measurement_or_refused_by_name(real: Path) -> None:
    good, refusals = 0, {}
    for path in sorted((real / "tem" / "readers").rglob("*")):
        if not path.is_file():
            continue
        try:
            m = registry.read(path)
        except UnreadableFileError as error:
            refusals[path.stem] = str(error)
            continue
        good += 1
        _assert_sane(m)
    assert good > 120
    for stem, message in refusals.items():
        assert stem in message
        assert ";" in message  # a cause, and then a remedy


def _assert_sane(m: Measurement) -> None:
    assert m.values.size > 1
    assert m.values.dtype.kind in "iuf"
    assert np.isfinite(m.values).all()
    assert m.values.max() > m.values.min()
    assert len({a.name for a in m.axes}) == m.values.ndim == len(m.axes)
    last = m.axes[-1]
    assert {EELS: "eV", EDS: "eV"}.get(m.modality, last.unit) == last.unit
    if m.modality in (IMAGE, DIFFRACTION) and m.calibration is UNKNOWN:
        assert last.unit == "px"


def test_damaged_copies_are_refused_or_whole(real: Path, tmp_path: Path) -> None:
    """30 files cut at 10, 50 and 90 % and with flipped bits: never a crash, never a filling.

    A plain list of numbers without a header cannot tell how long it was: a cut one is a
    shorter spectrum. Everything else that is cut must be refused.
    """
    rng = np.random.default_rng(6)
    names = list(FACTS["measurement"])
    chosen = [names[i] for i in rng.permutation(len(names))[:30]]
    for name in chosen:
        source = real / "tem" / name
        whole, raw = guarded(registry.read, source), source.read_bytes()
        for neighbour in map(Path, registry.companions(source)):
            (tmp_path / neighbour.name).write_bytes(neighbour.read_bytes())
        bare = source.suffix == ".msa" and not raw.startswith(b"#")
        flipped = np.frombuffer(raw, np.uint8).copy()
        where = rng.integers(0, flipped.size, max(3, flipped.size // 2000))
        flipped[where] ^= (1 << rng.integers(0, 8, where.size)).astype(np.uint8)
        copies = {cut: raw[: int(len(raw) * cut)] for cut in (0.1, 0.5, 0.9)}
        for cut, content in {**copies, None: flipped.tobytes()}.items():
            copy = tmp_path / source.name
            copy.write_bytes(content)
            try:
                m = guarded(registry.read, copy, seconds=20.0)
            except UnreadableFileError:
                continue
            _assert_sane(m)
            zeros = [float(np.mean(x.values == 0)) for x in (whole, m)]
            assert zeros[1] < zeros[0] + 0.1, (name, cut)
            # An .emi holds no data of its own: what is lost is text about the instrument.
            if cut is not None and not bare and source.suffix != ".emi":
                assert np.array_equal(m.values, whole.values), (name, cut)
