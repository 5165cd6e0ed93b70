"""The laws about files: no wavelength is assumed; damage is a clear error and costs no other."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from xtalfuse.loaders import UnreadableFileError, load, load_specimen
from xtalfuse.loaders.record import Measurement, Modality, Record
from xtalfuse.tasks.identify.pipeline import identify

TRUE = {"corundum": 0.5, "halite": 0.2, "zincite": 0.3}


@pytest.fixture(scope="module")
def pattern(powder) -> Measurement:
    return powder(TRUE)


TABLES = {
    ".xy": "{:.2f} {:.0f}\n", ".dat": "{:.2f}\t{:.0f}\n", ".txt": "{:.2f}  {:.0f}\n",
    ".csv": "{:.2f},{:.0f}\n", ".xye": "{:.2f} {:.0f} 10.0\n",
}  # fmt: skip


def table(folder: Path, pattern: Measurement, suffix: str) -> Path:
    path = folder / f"scan{suffix}"
    rows = zip(pattern.axis("two_theta"), pattern.values, strict=True)
    path.write_text("".join(TABLES[suffix].format(x, y) for x, y in rows))
    return path


@pytest.mark.parametrize("suffix", TABLES)
def test_law_4_a_file_without_a_wavelength_is_refused(suffix, tmp_path, pattern):
    path = table(tmp_path, pattern, suffix)
    with pytest.raises(UnreadableFileError, match=r"(?s)scan.*wavelength"):
        load(path)
    given = load(path, wavelength="CoKa")
    assert given.radiation is not None
    assert given.radiation.name == "CoKa"
    assert given.values.shape == pattern.values.shape


def _zip_start() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("RawData.xml", "<a/>")
    return buffer.getvalue()[:60]


_JUNK = bytes(range(256)) * 8
DAMAGED = {
    "empty.xy": b"",
    "empty.dm3": b"",
    "words.xy": b"this is no pattern\n" * 50,
    "nan.xy": "".join(f"{10 + 0.02 * i:.2f} nan\n" for i in range(500)).encode(),
    "cut.xrdml": b'<?xml version="1.0"?><xrdMeasurements xmlns="http://www.xrdml.com/x"><xrd',
    "cut.raw": b"RAW1.01\0" + _JUNK[:300],
    "cut.ras": b"*RAS_DATA_START\n*RAS_HEADER_START\n*DISP_LINE_COLOR 1\n",
    "cut.brml": _zip_start(),
    "cut.rasx": _zip_start(),
    "cut.xlsx": _zip_start(),
    "cut.json": b'{"two_theta": [1,2',
    "cut.dm3": b"\0\0\0\x03\0\0\x01\0\0\0\0\x01" + _JUNK,
    "cut.dm4": b"\0\0\0\x04\0\0\0\0\0\0\x01\0\0\0\0\x01" + _JUNK,
    "cut.msa": b"#FORMAT      : EMSA/MAS Spectral Data File\n#VERSION     : 1.0\n",
    "cut.emd": b"\x89HDF\r\n\x1a\n" + _JUNK,
    "cut.hspy": b"\x89HDF\r\n\x1a\n" + _JUNK,
    "cut.tif": b"II*\0\x08\0\0\0" + _JUNK[:40],
    "cut.ser": b"II\x97\x01\x20\x02" + _JUNK,
    "cut.mrc": _JUNK[:1024],
    "cut.png": b"\x89PNG\r\n\x1a\n" + _JUNK[:50],
}


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory, powder) -> Record:
    """A specimen whose folder holds one good file and many damaged ones."""
    folder = tmp_path_factory.mktemp("specimen")
    for name, content in DAMAGED.items():
        (folder / name).write_bytes(content)
    table(folder, powder(TRUE), ".xye")
    return load_specimen(folder, wavelength="CuKa")


@pytest.mark.parametrize("name", DAMAGED)
def test_law_8_a_damaged_file_names_itself_the_cause_and_the_remedy(name, spoiled):
    (report,) = [f for f in spoiled.files if Path(f.path).name == name]
    assert not report.used
    assert report.modality is None
    # one line that a person can act on, and no traceback
    assert len(report.reason) > 20
    assert "\n" not in report.reason
    assert "Traceback" not in report.reason
    assert any(verb in report.reason for verb in ("export", "copy", "save", "give", "measure"))


def test_law_8_damaged_files_cost_no_other_record(spoiled, references):
    (good,) = [f for f in spoiled.files if f.used]
    assert Path(good.path).name == "scan.xye"
    assert [m.modality for m in spoiled.measurements] == [Modality.XRD]
    answer = identify(spoiled, references, refine=False)
    assert {p.entry for p in answer.phases} == set(TRUE)
    assert len(answer.files) == len(DAMAGED) + 1


@pytest.mark.parametrize("name", ["empty.dm3", "cut.xrdml", "cut.hspy", "words.xy"])
def test_law_8_loading_it_alone_is_one_kind_of_error(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(DAMAGED[name])
    with pytest.raises(UnreadableFileError, match=name):
        load(path)
