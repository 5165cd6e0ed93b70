"""Signals that end a command, and terminals that know few letters."""

from __future__ import annotations

import codecs
import subprocess
import sys

import pytest

from xtalfuse.start import ERRORS, _plain

PROGRAM = """
import sys, time, types
from xtalfuse import start
from xtalfuse.__main__ import main

start.GRACE_SECONDS = 0.3

def work():
    while True:
        try:
            print("ready", flush=True)
            time.sleep(30)
        except KeyboardInterrupt:
            if sys.argv[1] == "orderly":
                raise

sys.modules["xtalfuse.cli"] = types.SimpleNamespace(main=work)
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("way", "said"), [("orderly", "stopped\n"), ("deaf", "")])
def test_sigterm_ends_a_command_as_ctrl_c_does(way: str, said: str):
    command = [sys.executable, "-c", PROGRAM, way]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True) as process:
        process.stdout.readline()
        process.terminate()
        assert process.wait(timeout=10) == 143
        assert process.stderr.read() == said


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("a = 4.76 Å ± 0.01 Å", "ascii", "a = 4.76 A +- 0.01 A"),
        ("2θ, Cu Kα, µm³, R̄3c", "ascii", "2theta, Cu Kalpha, um3, R-3c"),
        ("Å ▁▄█ ⠙ …", "cp1252", "Å _~# * …"),
        ("probe_ä.xy", "ascii", "probe_\\xe4.xy"),  # a name is never made another one
    ],
)
def test_a_terminal_of_few_letters_shows_what_it_can(text: str, encoding: str, shown: str):
    codecs.register_error(ERRORS, _plain)
    assert text.encode(encoding, ERRORS).decode(encoding) == shown
