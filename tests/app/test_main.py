"""Where the command starts, and how much it says."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from xtalfuse import cli, log
from xtalfuse.__main__ import main


def test_it_runs_as_a_module():
    command = [sys.executable, "-m", "xtalfuse", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("xtalfuse ")


def test_ctrl_c_while_loading_is_one_line(monkeypatch, capsys):
    class Stopped:
        """Stands for a module during whose import Ctrl-C is pressed."""

        def __getattr__(self, name: str):
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "xtalfuse.cli", Stopped())
    monkeypatch.setattr("xtalfuse.__main__.prepare", lambda: None)  # signals are those of pytest
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "stopped\n"


def test_ctrl_c_before_a_command_has_begun_is_one_line(monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("xtalfuse.datasets.constants.elastic.elastic_records", stopped)
    done = CliRunner().invoke(cli.app, ["materials"])
    assert (done.exit_code, done.stderr) == (130, "error: stopped\n")


@pytest.mark.parametrize(
    ("words", "level"),
    [
        (["materials", "copper"], log.USUAL),
        (["--quiet", "materials", "copper"], log.QUIET),
        (["materials", "copper", "-q"], log.QUIET),
        (["materials", "--verbose", "copper"], log.VERBOSE),
    ],
)
def test_how_much_is_said_may_stand_anywhere(words, level):
    done = CliRunner().invoke(cli.app, words)
    assert done.exit_code == 0, done.output
    assert log.level() == level
    log.set_level(log.USUAL)


def test_quiet_and_verbose_contradict():
    assert CliRunner().invoke(cli.app, ["materials", "-q", "-v"]).exit_code == 2


def test_behind_two_dashes_everything_is_a_name():
    done = CliRunner().invoke(cli.app, ["materials", "--", "-q"])
    assert done.exit_code == 2
    assert "'-q'" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_commands(shell: str):
    ask = {"_XTALFUSE_COMPLETE": f"source_{shell}"}
    done = CliRunner().invoke(cli.app, [], env=ask, prog_name="xtalfuse")
    assert done.exit_code == 0
    assert "_XTALFUSE_COMPLETE" in done.stdout
