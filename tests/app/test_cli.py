"""The commands: what they print, what they write and the code they end with.

Reading and identifying are replaced by small stand-ins here; they have tests of their own.
"""

from __future__ import annotations

import errno
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from typer.testing import CliRunner

from xtalfuse import cli
from xtalfuse.batch import work
from xtalfuse.loaders.record import (
    Axis,
    Beam,
    Calibration,
    FileReport,
    Measurement,
    Modality,
    Provenance,
    Record,
    UnreadableFileError,
    calibrated,
)
from xtalfuse.physics.units import radiation
from xtalfuse.tasks.identify.answer import Answer

run = CliRunner()


def measurement(path: Path, **changes) -> Measurement:
    """A powder pattern of one peak."""
    two_theta = np.arange(20.0, 60.0, 0.05)
    values = 100.0 + 900.0 * np.exp(-(((two_theta - 35.0) / 0.2) ** 2))
    whole = Measurement(
        Modality.XRD,
        values,
        (Axis("two_theta", "deg", two_theta),),
        "counts",
        Provenance(str(path), "ab" * 32, "stand-in", {"anode": "Cu"}),
        Beam("x-ray", radiation("CuKa")),
    )
    return replace(whole, **changes)


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> dict:
    """Stand-ins for reading and identifying; returns what they were called with."""
    calls: dict = {}

    def load(path, *, wavelength=None, **_):
        calls["wavelength"] = wavelength
        if "bad" in Path(path).name:
            raise UnreadableFileError(f"{path}: cut short; copy it again from the instrument")
        return measurement(path)

    def load_specimen(path, *, wavelength=None, elements=None, scan=None, **_):
        calls.update(wavelength=wavelength, elements=elements, scan=scan)
        files = [path] if path.is_file() else sorted(path.iterdir())
        good = [file for file in files if "bad" not in file.name]
        reports = [
            FileReport(str(file), "cd" * 32, "xrd", "stand-in", True, "")
            if file in good
            else FileReport(str(file), None, None, None, False, f"{file.name}: cut short")
            for file in files
        ]
        return Record(path.stem, path.stem, tuple(map(measurement, good)), tuple(reports), elements)

    def identify(record, library=None, *, elements=None, refine=True, **_):
        calls.update(elements=elements, refine=refine, library=library)
        if "crash" in record.specimen:
            raise ZeroDivisionError("a fault of ours")
        if "stop" in record.specimen:
            raise KeyboardInterrupt
        drawn = {} if calls.get("draw") else {"curves": None, "panels": ()}  # drawing takes time
        return replace(answer, specimen=record.specimen, files=record.files, **drawn)

    monkeypatch.setattr("xtalfuse.loaders.load", load, raising=False)
    monkeypatch.setattr("xtalfuse.loaders.load_specimen", load_specimen, raising=False)
    stand_in = ModuleType("xtalfuse.tasks.identify.pipeline")
    stand_in.identify = identify
    monkeypatch.setitem(sys.modules, "xtalfuse.tasks.identify.pipeline", stand_in)
    # batch first: it takes open_library over when it is imported, and remembers what it opened
    monkeypatch.setattr("xtalfuse.batch._library", lambda *_: "library")
    monkeypatch.setattr("xtalfuse.options.open_library", lambda *_: "library")
    return calls


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("good.xy", "other.xy", "bad.xy", "crash.xy", "stop.xy", "mix/a.xy", "mix/bad.xy"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("20 1\n")
    return tmp_path


def identify(*arguments: str):
    return run.invoke(cli.app, ["identify", "--jobs", "1", *arguments])


def test_an_answer_is_printed_and_written(pipeline, here: Path):
    pipeline["draw"] = True
    done = identify("good.xy")
    assert done.exit_code == 0, done.output
    for text in ("Corundum", "86.2(4)", "a = 4.75936(8) Å", "98 %", "warning: fluorite"):
        assert text in done.stdout
    folder = here / "xtalfuse-results" / "good"
    assert {path.name for path in folder.iterdir()} == {
        "result.json",
        "report.html",
        "pattern.png",
        "phases.csv",
    }


def test_options_reach_the_pipeline(pipeline, here: Path):
    options = ("--elements", "Al,O", "--wavelength", "CoKa", "--no-refine", "--scan", "2")
    done = identify("good.xy", *options)
    assert done.exit_code == 0, done.output
    assert pipeline["elements"] == ("Al", "O")
    assert pipeline["wavelength"] == "CoKa"
    assert (pipeline["refine"], pipeline["scan"]) == (False, 2)


def test_json_is_all_that_stands_on_stdout(pipeline, here: Path):
    alone = json.loads(identify("good.xy", "--json").stdout)
    assert alone["specimen"] == "good"
    assert alone["phases"][0]["cell"]["a"] == 4.75936
    several = json.loads(identify("good.xy", "crash.xy", "--json").stdout)
    assert [document["specimen"] for document in several] == ["good", "crash.xy"]
    assert "ZeroDivisionError" in several[1]["error"]


def test_json_has_the_order_of_the_arguments(pipeline, here: Path, monkeypatch):
    monkeypatch.setattr("xtalfuse.batch.work_on_all", lambda jobs, _: map(work, reversed(jobs)))
    documents = json.loads(identify("other.xy", "good.xy", "crash.xy", "--json").stdout)
    assert [document["specimen"] for document in documents] == ["other", "good", "crash.xy"]
    results = here / "xtalfuse-results"
    assert documents[1]["run"] == json.loads((results / "good/result.json").read_text())["run"]


def test_results_that_cannot_be_written_are_no_fault_of_ours(pipeline, here: Path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("xtalfuse.report.phases.one_run", full)
    done = identify("good.xy", "--quiet")
    assert done.exit_code == 2
    assert "No space left on device" in done.stderr
    assert "free some space" in done.stderr
    assert list((here / "xtalfuse-results").iterdir()) == []


@pytest.mark.parametrize(
    ("paths", "code"),
    [
        (["good.xy", "other.xy"], 0),
        (["mix"], 3),
        (["good.xy", "bad.xy"], 3),
        (["bad.xy"], 4),
        (["bad.xy", "good.xy", "crash.xy"], 1),
    ],
)
def test_exit_codes(pipeline, here: Path, paths, code):
    assert identify(*paths).exit_code == code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.xy"], "no such file"),
        (["good.xy", "--elements", "al"], "did you mean Al?"),
        (["good.xy", "--wavelength", "Xx"], "CuKa"),
        (["good.xy", "--prior", "some"], "may be usual or none"),
        (["good.xy", "--nonsense"], "No such option"),
        (["good.xy", "--jobs", "0"], "jobs"),
        (["good.xy", "--out", "good.xy/results"], "cannot be made"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_to_do(pipeline, here: Path, arguments, message):
    done = run.invoke(cli.app, ["identify", *arguments])
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_a_refused_file_is_named_with_its_cause_and_no_traceback(pipeline, here: Path):
    done = identify("mix")
    assert "not used" in done.stdout
    assert "bad.xy: cut short" in done.stdout
    assert "Traceback" not in done.output
    result = json.loads((here / "xtalfuse-results" / "mix" / "result.json").read_text())
    assert [file["used"] for file in result["files"]] == [True, False]


def test_nothing_usable_is_unknown_in_the_result_too(pipeline, here: Path):
    identify("bad.xy")
    result = json.loads((here / "xtalfuse-results" / "bad" / "result.json").read_text())
    assert result["phases"] == []
    assert result["unknown"]["probability"] == 1.0
    assert result["files"][0]["reason"] == "bad.xy: cut short"


def test_a_crash_is_one_line_and_a_file(pipeline, here: Path):
    done = identify("crash.xy", "good.xy")
    assert "Traceback" not in done.output
    assert "ZeroDivisionError" in done.stdout
    crash = here / "xtalfuse-results" / "crash" / "crash.txt"
    assert "a fault of ours" in crash.read_text()
    assert (here / "xtalfuse-results" / "good" / "result.json").is_file()


def test_ctrl_c_keeps_what_is_finished(pipeline, here: Path):
    done = identify("good.xy", "stop.xy", "other.xy")
    assert done.exit_code == 130
    assert "1 of 3" in done.stderr
    assert (here / "xtalfuse-results" / "good" / "result.json").is_file()
    assert not (here / "xtalfuse-results" / "other").exists()


def test_control_characters_do_not_reach_the_terminal(pipeline, here: Path):
    path = here / "\x1b[2Jbad.xy"
    path.write_text("20 1\n")
    done = identify(str(path))
    assert "\x1b[2J" not in done.output


def test_read_tells_what_is_in_a_file(pipeline, here: Path):
    done = run.invoke(cli.app, ["read", "good.xy"])
    assert done.exit_code == 0
    for text in ("powder X-ray diffraction", "CuKa", "known", "800 points", "Nothing speaks"):
        assert text in done.stdout
    document = json.loads(run.invoke(cli.app, ["read", "good.xy", "--json"]).stdout)
    assert document["modality"] == "xrd"
    assert document["axes"][0]["last"] == pytest.approx(59.95)


def test_read_shows_the_files_of_a_folder_as_a_table(pipeline, here: Path):
    (here / "mix" / "inside").mkdir()
    (here / "mix" / "inside" / "c.xy").write_text("20 1\n")
    done = run.invoke(cli.app, ["read", "mix"], env={"COLUMNS": "160"})
    assert done.exit_code == 3  # one of them is refused
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert "20 to 59.95 deg" in rows["a.xy"]
    assert "1.54" in rows["a.xy"]
    assert rows["a.xy"].rstrip().endswith("yes")
    assert "no: cut short" in rows["bad.xy"]
    (document,) = json.loads(run.invoke(cli.app, ["read", "mix", "--json"]).stdout)
    assert [file["trusted"] for file in document["files"][:2]] == [True, False]
    assert document["files"][0]["shape"] == [800]


def test_quiet_prints_where_the_report_is_and_nothing_else(pipeline, here: Path):
    done = identify("good.xy", "bad.xy", "crash.xy", "--quiet")
    results = here / "xtalfuse-results"
    assert [Path(line).resolve() for line in done.stdout.splitlines()] == [
        results / "good" / "report.html",
        results / "bad" / "report.html",
    ]
    assert "ZeroDivisionError" in done.stderr


def test_verbose_tells_the_steps(pipeline, here: Path):
    done = identify("mix", "--verbose")
    for text in ("mix: reading", "a.xy: xrd by stand-in", "bad.xy: cut short", "written"):
        assert text in done.stderr
    assert identify("good.xy").stderr == ""


def test_read_doubts_what_is_not_calibrated(pipeline, here: Path, monkeypatch):
    plain = measurement(here / "good.xy")
    assumed = replace(plain, axes=calibrated(plain.axes, Calibration.ASSUMED))
    monkeypatch.setattr("xtalfuse.loaders.load", lambda *_, **__: assumed)
    assert "Read with care: the calibration is assumed" in run.invoke(
        cli.app, ["read", "good.xy"]
    ).stdout.replace("\n", " ")


def test_read_refuses_with_cause_and_remedy(pipeline, here: Path):
    done = run.invoke(cli.app, ["read", "bad.xy"])
    assert done.exit_code == 4
    assert "copy it again from the instrument" in done.stderr
    assert done.stdout == ""


def test_a_fault_outside_every_specimen_is_told_in_one_line(monkeypatch, capsys):
    def broken():
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr().err
    assert ended.value.code == 1
    assert "nobody foresaw this" in told
    assert "Traceback" not in told
    written = Path(next(word for word in told.split() if "xtalfuse-crash" in word).rstrip(";"))
    assert "nobody foresaw this" in written.read_text()
    written.unlink()


def test_help_has_examples_and_version():
    done = run.invoke(cli.app, ["identify", "--help"])
    assert "xtalfuse identify scan.xrdml" in done.stdout
    assert run.invoke(cli.app, ["--version"]).stdout.startswith("xtalfuse ")


def test_the_schema_of_a_task_is_printed():
    result = run.invoke(cli.app, ["schema", "identify"])
    assert result.exit_code == 0
    assert "phases" in json.loads(result.stdout)["required"]


def test_the_schema_of_an_unknown_task_names_the_nearest():
    result = run.invoke(cli.app, ["schema", "identfy"])
    assert result.exit_code == 2
    assert "did you mean 'identify'" in result.stderr
