"""What is set up before any command: signals that end it, and a terminal that knows few letters."""

from __future__ import annotations

import codecs
import contextlib
import os
import signal
import socket
import sys
import threading
import time
import unicodedata
from types import FrameType

# A batch system asks with SIGTERM, a terminal that is closed says SIGHUP (not on Windows).
ENDING = [
    signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if name in signal.Signals.__members__
]
GRACE_SECONDS = 3.0  # batch systems kill after 10 to 90 s; what is left is swept at the next start
ERRORS = "xtalfuse-plain"
_asked: list[int] = []  # the signal that asked this process to end

# What the program itself prints, for terminals that lack it; blocks are those of a curve.
_PLAIN = dict(zip("▁▂▃▄▅▆▇█", "_.-~=+*#", strict=True)) | {
    "Å": "A", "°": " deg", "µ": "u", "μ": "u", "²": "2", "³": "3", "±": "+-", "×": "x",
    "θ": "theta", "α": "alpha", "β": "beta", "γ": "gamma", "λ": "lambda", "χ": "chi",
    "σ": "sigma", "Σ": "Sigma", "Δ": "Delta", "…": "...", "–": "-", "−": "-", "→": "->", "·": ".",
    "≤": "<=", "≥": ">=", "≈": "~", "\N{NO-BREAK SPACE}": " ", "\N{REPLACEMENT CHARACTER}": "?",
    "\N{MACRON}": "-", "\N{COMBINING OVERLINE}": "-", "\N{COMBINING MACRON}": "-",
}  # fmt: skip


class Stopped(KeyboardInterrupt):
    """A signal asked the program to end, as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def code_of(stop: KeyboardInterrupt) -> int:
    """Exit code of a program that was asked to end, as shells have it: 128 and the signal."""
    return 128 + getattr(stop, "number", signal.SIGINT)


def prepare() -> None:
    """Set up this process for a command; only the start of the program calls it."""
    codecs.register_error(ERRORS, _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ERRORS)
    waker, woken = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    for number in ENDING:
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup has SIGHUP ignored
            signal.signal(number, _stop)
    # the socket of the signals goes along: it is closed when nobody has it any more
    threading.Thread(target=_see_to_it, args=(waker, woken), daemon=True).start()


def leave() -> None:
    """End at once where a signal asked for it, when all is tidied up.

    What is left of the way out could hide it: typer gives a code of its own, and an interpreter
    that is taken down beside threads that read may abort.
    """
    if _asked:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(128 + _asked[0])


def _stop(number: int, frame: FrameType | None) -> None:
    _asked.append(number)
    for again in ENDING:
        signal.signal(again, signal.SIG_DFL)  # a second one ends the program at once
    raise Stopped(number)


def _see_to_it(waker: socket.socket, woken: socket.socket) -> None:
    """End the program where it does not end by itself: the main thread may be deep in a library."""
    while (number := woken.recv(1)[0]) not in ENDING:
        pass
    time.sleep(GRACE_SECONDS)
    os._exit(128 + number)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Text for a terminal that cannot show it: our signs in ASCII, names as ``\\xe4``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(_plain_letter, text)), error.end


def _plain_letter(letter: str) -> str:
    if letter in _PLAIN:
        return _PLAIN[letter]
    if unicodedata.category(letter) == "So":  # frames, bars, spinners
        return "*"
    return letter.encode("ascii", "backslashreplace").decode("ascii")
