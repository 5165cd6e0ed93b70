"""Spectra as text: every broken habit of real EMSA/MAS files, each in the smallest file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xtalfuse.loaders import registry
from xtalfuse.loaders.record import Calibration, Modality, UnreadableFileError
from xtalfuse.loaders.safe.head import FileHead

ENERGY = 500.0 + 0.5 * np.arange(100)
COUNTS = np.round(1e4 * np.exp(-ENERGY / 300.0) + 300.0 * (ENERGY > 532.0))
HEADER = {
    "FORMAT": "EMSA/MAS Spectral Data File", "VERSION": "1.0", "TITLE": "oxygen K",
    "NPOINTS": "100.", "NCOLUMNS": "1", "XUNITS": "eV", "DATATYPE": "XY", "XPERCHAN": "0.5",
    "OFFSET": "500.0", "SIGNALTYPE": "ELS", "BEAMKV   -kV": "200.0", "CONVANGLE-mR": "12.5",
    "COLLANGLE-mR": "0.0",
}  # fmt: skip


def emsa(path: Path, lines: list[str], end: bool = True, **changed: str) -> Path:
    header = {**HEADER, **changed}
    text = [f"#{key:<12}: {value}" for key, value in header.items()]
    text += ["#SPECTRUM    : Spectral Data Starts Here", *lines]
    text += ["#ENDOFDATA   : End Of Data and File"] if end else []
    path.write_text("\n".join(text) + "\n")
    return path


def pairs(separator: str = ", ") -> list[str]:
    return [f"{e:.2f}{separator}{c:.1f}" for e, c in zip(ENERGY, COUNTS, strict=True)]


def test_complete_header_gives_a_known_energy_axis_and_the_instrument(tmp_path: Path) -> None:
    m = registry.read(emsa(tmp_path / "a.msa", pairs()))
    assert m.modality is Modality.EELS
    assert m.calibration is Calibration.KNOWN
    assert m.axes[0].unit == "eV"
    np.testing.assert_allclose(m.axis("energy"), ENERGY)
    np.testing.assert_allclose(m.values, COUNTS)
    assert m.value_unit == "counts"
    assert m.provenance.metadata["beam_energy_keV"] == 200.0
    assert m.provenance.metadata["convergence_angle_mrad"] == 12.5
    assert "collection_angle_mrad" not in m.provenance.metadata  # 0 means "not recorded"
    assert len(m.provenance.sha256) == 64


@pytest.mark.parametrize(("unit", "factor"), [("Energy Loss (eV)", 1.0), ("keV", 1e3), ("EV", 1.0)])
def test_energy_units_are_converted_to_ev(tmp_path: Path, unit: str, factor: float) -> None:
    lines = [f"{e / factor:.6f}, {c:.1f}" for e, c in zip(ENERGY, COUNTS, strict=True)]
    changed = {"XUNITS": unit, "OFFSET": f"{500 / factor}", "XPERCHAN": f"{0.5 / factor}"}
    m = registry.read(emsa(tmp_path / "a.msa", lines, **changed))
    np.testing.assert_allclose(m.axis("energy"), ENERGY, atol=2e-3)  # six decimals of a keV
    assert m.calibration is Calibration.KNOWN


@pytest.mark.parametrize("unit", ["", "<undefined>"])
def test_a_missing_unit_is_assumed_and_said(tmp_path: Path, unit: str) -> None:
    m = registry.read(emsa(tmp_path / "a.msa", pairs(), XUNITS=unit, SIGNALTYPE=""))
    assert m.calibration is Calibration.ASSUMED
    assert any("energy unit" in warning for warning in m.provenance.warnings)
    assert m.modality is Modality.EELS  # 50 eV at half an eV: no X-ray spectrum is like that


@pytest.mark.parametrize("separator", ["\t", ",", " ", ";"])
def test_a_file_of_two_columns_only_is_read_not_returned_empty(
    tmp_path: Path, separator: str
) -> None:
    path = tmp_path / "bare.msa"
    path.write_text("\n".join(pairs(separator)))  # without a last line feed, as exported
    m = registry.read(path)
    assert (m.modality, m.calibration) == (Modality.EELS, Calibration.ASSUMED)
    np.testing.assert_allclose(m.values, COUNTS)
    assert any("no header" in warning for warning in m.provenance.warnings)


@pytest.mark.parametrize("separator", ["\t", ";", " ", "; "])
def test_decimal_commas_are_not_separators(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "bare.msa"
    path.write_text("\n".join(pairs(separator)).replace(".", ","))
    m = registry.read(path)
    np.testing.assert_allclose(m.axis("energy"), ENERGY)
    np.testing.assert_allclose(m.values, COUNTS)


def test_a_wide_coarse_spectrum_without_header_is_eds(tmp_path: Path) -> None:
    energy = 10.0 * np.arange(2000)
    path = tmp_path / "bare.msa"
    path.write_text("\n".join(f"{e} {100 + e % 7}" for e in energy))
    assert registry.read(path).modality is Modality.EDS


def test_columns_named_as_energy_are_recognised_under_any_name(tmp_path: Path) -> None:
    path = tmp_path / "spectrum.csv"
    path.write_text("Energy loss (eV),Counts\n" + "\n".join(pairs(",")))
    assert registry.choose(FileHead.of(path)).name == "emsa"
    m = registry.read(path)
    assert (m.modality, m.calibration) == (Modality.EELS, Calibration.KNOWN)


def test_a_powder_pattern_is_not_taken_for_a_spectrum(tmp_path: Path) -> None:
    for head in ("2theta,counts\n", "", "# 2theta counts\n"):
        path = tmp_path / "pattern.xy"
        path.write_text(head + "10.0 5\n10.1 6\n")
        assert "emsa" not in registry.certainties(FileHead.of(path))


def test_only_intensities_take_their_energies_from_the_header(tmp_path: Path) -> None:
    rows = [", ".join(f"{c:.1f}" for c in COUNTS[i : i + 5]) for i in range(0, 100, 5)]
    changed = {"DATATYPE": "Y", "NCOLUMNS": "5", "SIGNALTYPE": "EDS"}
    m = registry.read(emsa(tmp_path / "a.msa", rows, **changed))
    np.testing.assert_allclose(m.axis("energy"), ENERGY)
    assert m.modality is Modality.EDS


def test_pairs_declared_as_intensities_are_still_pairs(tmp_path: Path) -> None:
    m = registry.read(emsa(tmp_path / "a.msa", pairs(), DATATYPE="Y"))
    np.testing.assert_allclose(m.values, COUNTS)


def test_fewer_channels_than_declared_is_a_cut_file(tmp_path: Path) -> None:
    for end in (True, False):
        path = emsa(tmp_path / "a.msa", pairs()[:60], end=end)
        with pytest.raises(UnreadableFileError, match=r"60 channels where NPOINTS declares 100"):
            registry.read(path)


def test_more_channels_than_declared_are_kept_with_a_warning(tmp_path: Path) -> None:
    m = registry.read(emsa(tmp_path / "a.msa", pairs(), NPOINTS="99"))
    assert m.values.size == 100
    assert any("NPOINTS" in warning for warning in m.provenance.warnings)


def test_a_column_file_cut_inside_its_last_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bare.msa"
    path.write_text("\n".join(pairs())[: -len(pairs()[-1])] + "54, 2")  # was 549.50, ...
    with pytest.raises(UnreadableFileError, match="cut"):
        registry.read(path)


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        ([], "no spectrum"),
        (["500.0, 1", "oops, 2"], "line 16 is not numbers"),
        (["500.0, 1", "500.5"], "lacks the intensity"),
        ([f"{e}, nan" for e in ENERGY], "not finite"),
        ([f"{e}, 0.0" for e in ENERGY], "are 0"),
        (
            [f"{e}, {c}" for e, c in zip(ENERGY[::-1] % 7, COUNTS, strict=True)],
            "monotonic|spectrum",
        ),
        (
            [f"{1e9 * e}, {c}" for e, c in zip(ENERGY, COUNTS, strict=True)],
            "not those of a spectrum",
        ),
    ],
)
def test_damage_is_refused_with_its_cause(tmp_path: Path, lines: list[str], cause: str) -> None:
    path = emsa(tmp_path / "broken.msa", lines)
    with pytest.raises(UnreadableFileError, match=cause) as caught:
        registry.read(path)
    assert "broken.msa" in str(caught.value)


def test_a_spectrum_filled_up_with_zeros_is_refused(tmp_path: Path) -> None:
    lines = [
        f"{e}, {c if i < 60 else 0.0}" for i, (e, c) in enumerate(zip(ENERGY, COUNTS, strict=True))
    ]
    with pytest.raises(UnreadableFileError, match="exact zeros"):
        registry.read(emsa(tmp_path / "a.msa", lines))


def test_the_quiet_end_of_an_xray_spectrum_is_not_damage(tmp_path: Path) -> None:
    """Beyond the beam energy no X-ray is made: half of a 20 keV scale may be empty."""
    energy = 10.0 * np.arange(2000)
    mean = 200.0 * np.clip(10_000.0 - energy, 0.0, None) / (energy + 500.0)  # Kramers (1923)
    counts = np.random.default_rng(0).poisson(mean)
    assert (counts == 0).mean() > 0.4
    lines = [f"{e}, {c}" for e, c in zip(energy, counts, strict=True)]
    changed = {"NPOINTS": "2000", "OFFSET": "0", "XPERCHAN": "10", "SIGNALTYPE": "EDS"}
    m = registry.read(emsa(tmp_path / "a.msa", lines, **changed))
    assert m.modality is Modality.EDS


def test_falling_energies_are_turned_round(tmp_path: Path) -> None:
    m = registry.read(emsa(tmp_path / "a.msa", pairs()[::-1], OFFSET="549.5", XPERCHAN="-0.5"))
    np.testing.assert_allclose(m.axis("energy"), ENERGY)
    np.testing.assert_allclose(m.values, COUNTS)


def test_elements_declared_by_the_software_are_kept(tmp_path: Path) -> None:
    path = emsa(tmp_path / "a.msa", pairs(), SIGNALTYPE="EDS", **{"#OXINSTELEMS": "8,22,38"})
    assert registry.read(path).provenance.metadata["elements"] == ["O", "Ti", "Sr"]


def test_xray_absorption_under_the_name_of_energy_loss_is_pointed_out(tmp_path: Path) -> None:
    m = registry.read(emsa(tmp_path / "a.msa", pairs(), TITLE="Al2O3_Al_K_1xray"))
    assert any("X-ray absorption" in warning for warning in m.provenance.warnings)


@pytest.mark.parametrize(
    "first",
    ["Energy loss,Intensity", "energy_loss;counts", "Energy Loss (eV)\tCounts", "Energy_eV,I"],
)
def test_columns_headed_by_an_energy_are_a_spectrum_with_or_without_a_unit(tmp_path, first):
    from xtalfuse.loaders import load

    mark = next(c for c in ",;\t" if c in first)
    path = tmp_path / "columns.csv"
    lines = [f"{400 + 0.5 * k:.1f}{mark}{1000 + k % 7}" for k in range(200)]
    path.write_text("\n".join([first, *lines]) + "\n", "utf-8")
    assert load(path).modality == "eels"


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("<TubeType>ixtube-Rh-30</TubeType><Voltage>50</Voltage><Anode>45</Anode>", "Rh, 50 kV"),
        ("<Anode>42</Anode><Voltage>40</Voltage>", "Mo, 40 kV"),
        ("<TubeType>W tube</TubeType>", "W tube"),
    ],
)
def test_an_x_ray_tube_is_told_from_a_beam_of_electrons(tmp_path, block, said):
    from xtalfuse.loaders.tem.vendor import tube_of

    path = tmp_path / "a.spx"
    path.write_text(f'<ClassInstance Type="TRTXrfHeader">{block}</ClassInstance>', "utf-8")
    assert said in tube_of(path)
    path.write_text('<ClassInstance Type="TRTSpectrumHeader"></ClassInstance>', "utf-8")
    assert tube_of(path) is None
