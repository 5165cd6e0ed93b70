"""Runs third-party readers in a child process with limits, so that no file can hurt us.

A damaged file makes readers raise, loop for ever, ask for petabytes or crash the
interpreter. `guarded` turns all of that into an `UnreadableFileError`. One child stays warm
and serves many files; it is replaced when it dies, when it is too slow, or when it has grown
old. The caller needs no ``if __name__ == "__main__"`` guard. `xtalfuse.loaders.safe.checks` looks
at what came back.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from xtalfuse.loaders.record import Reason, UnreadableFileError
from xtalfuse.loaders.safe._worker import READY, Failure, Request, receive, send
from xtalfuse.loaders.safe.head import missing_package, refused

Result = TypeVar("Result")

FILES_PER_WORKER = 200  # readers leak: a worker that has served this many is replaced
IDLE_WORKERS = 2
POLL_SECONDS = 0.1
START_SECONDS = 60.0
LARGEST = "XTALFUSE_LARGEST_GB"
MEMORY_FOR_SIZE = 6  # a text in memory: its bytes, its characters, its lines, their numbers
DAMAGED = "the file is damaged or of another format; export it again from the instrument"

_CHILD = "from xtalfuse.loaders.safe._worker import main; main()"

# What a reader may return: our own types, arrays, and plain Python values.
_ALLOWED = {
    "builtins": {"complex", "set", "frozenset", "slice", "range", "bytearray"},
    "collections": {"OrderedDict"},
    "pathlib": {"PosixPath", "WindowsPath"},
    "numpy": {"dtype", "ndarray"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
}


@dataclass(frozen=True)
class Limits:
    """What reading one file may cost.

    Parameters
    ----------
    seconds : for a small file; larger ones get more
    memory_gb : that the reader may take
    largest_gb : size of a file; None for what its format allows, or what
        ``XTALFUSE_LARGEST_GB`` says. Where it is given, large files may take more memory.

    Raises
    ------
    ValueError
        If one of them is no positive number.
    """

    seconds: float = 60.0
    memory_gb: float = 4.0
    largest_gb: float | None = None

    def __post_init__(self) -> None:
        said = os.environ.get(LARGEST)
        if self.largest_gb is None and said:
            object.__setattr__(self, "largest_gb", positive(said, LARGEST))
        for name in ("seconds", "memory_gb", "largest_gb"):
            if getattr(self, name) is not None:
                positive(getattr(self, name), name)

    def memory_for(self, size: int) -> float:
        """GB of memory that a file of `size` bytes may take."""
        by_size = 0.0 if self.largest_gb is None else MEMORY_FOR_SIZE * size / 1e9
        return max(self.memory_gb, by_size)


def positive(value: Any, name: str) -> float:
    """A number above zero, from a number or a text; raises ValueError with the name."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not 0.0 < number < float("inf"):
        raise ValueError(f"{name} {value!r}: give a number above zero")
    return number


class _PlainUnpickler(pickle.Unpickler):
    """Accepts data only: a child that was subverted by a file cannot run code here."""

    def find_class(self, module: str, name: str) -> Any:
        if name in _ALLOWED.get(module, ()):
            return super().find_class(module, name)
        if module.startswith("xtalfuse.") and "." not in name:
            found = super().find_class(module, name)
            if isinstance(found, type) and found.__module__ == module:
                return found
        raise pickle.UnpicklingError(f"a reader returned a {module}.{name}")


def _start() -> subprocess.Popen[bytes]:
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")}
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **threads, "PYTHONPATH": path, "MPLBACKEND": "Agg"},
        start_new_session=True,
    )


class _Worker:
    """One child process and the thread that collects its answers."""

    def __init__(self) -> None:
        self.served = 0
        self._answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        started: queue.SimpleQueue[subprocess.Popen[bytes] | OSError] = queue.SimpleQueue()
        threading.Thread(target=self._serve, args=(started,), daemon=True).start()
        process = started.get()
        if isinstance(process, OSError):
            raise process
        self.process = process
        try:
            ready = self._answers.get(timeout=START_SECONDS) == READY
        except queue.Empty:
            ready = False
        if not ready:  # no file is to blame
            raise RuntimeError(f"the process that reads files does not start: {self.stop()}")

    def _serve(self, started: queue.SimpleQueue[subprocess.Popen[bytes] | OSError]) -> None:
        """Start the child and collect what it sends.

        One thread does both: the kernel ends the child with the thread that started it.
        """
        try:
            process = _start()
        except OSError as error:
            started.put(error)
            return
        started.put(process)
        assert process.stdout is not None
        body: bytes | None = b""
        while body is not None:
            try:
                body = receive(process.stdout)
            except (OSError, ValueError):  # the pipe was closed under us: same as its end
                body = None
            self._answers.put(body)
        process.stdout.close()

    def ask(self, request: Request) -> bytes | None:
        """The answer; None if the child died.

        Raises
        ------
        TimeoutError
            If `request.seconds` pass without an answer.
        MemoryError
            If the child holds more than `request.memory_bytes` beyond what it began with.
        """
        assert self.process.stdin is not None
        self.served += 1
        try:
            held = psutil.Process(self.process.pid).memory_info().rss
            send(self.process.stdin, pickle.dumps(request))
        except (BrokenPipeError, psutil.NoSuchProcess):
            return None
        deadline = time.monotonic() + request.seconds
        while True:
            try:
                return self._answers.get(timeout=POLL_SECONDS)
            except queue.Empty:
                if time.monotonic() > deadline:
                    raise TimeoutError from None
            with contextlib.suppress(psutil.NoSuchProcess):
                grown = psutil.Process(self.process.pid).memory_info().rss - held
                if grown > request.memory_bytes:
                    raise MemoryError

    def stop(self) -> str:
        """End the child, collect it, and say how it ended."""
        with contextlib.suppress(OSError, ProcessLookupError):
            self.process.stdin.close()  # type: ignore[union-attr]
        try:
            self.process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait()
        code = self.process.returncode
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"


_idle: list[_Worker] = []
_lock = threading.Lock()


def _take() -> _Worker:
    with _lock:
        while _idle:
            worker = _idle.pop()
            if worker.process.poll() is None:
                return worker
            worker.stop()
    return _Worker()


def _give_back(worker: _Worker) -> None:
    with _lock:
        if worker.served < FILES_PER_WORKER and len(_idle) < IDLE_WORKERS:
            _idle.append(worker)
            return
    worker.stop()


def shutdown() -> None:
    """End all idle workers; called at exit, and safe to call at any time."""
    with _lock:
        workers, _idle[:] = list(_idle), []
    for worker in workers:
        worker.stop()


atexit.register(shutdown)
if hasattr(os, "register_at_fork"):  # a forked process must not share its parent's pipes
    os.register_at_fork(after_in_child=_idle.clear)


def check_file(path: str | Path, *, may_be_empty: bool = False) -> Path:
    """The absolute path, if it is a regular file with something in it.

    Raises
    ------
    UnreadableFileError
        If it is absent, empty, not a regular file (a device or pipe), or not permitted.
    """
    path = Path(path)
    if not path.exists():
        raise UnreadableFileError(
            f"{path.name}: no such file; check the path {path}", Reason.MISSING
        )
    if not path.is_file():
        raise UnreadableFileError(
            f"{path.name}: not a regular file; give the file itself", Reason.NO_FILE
        )
    if not os.access(path, os.R_OK):
        raise UnreadableFileError(
            f"{path.name}: may not be read; check its permissions", Reason.NOT_PERMITTED
        )
    if path.stat().st_size == 0 and not may_be_empty:
        raise UnreadableFileError(
            f"{path.name}: the file is empty; copy or export it again", Reason.EMPTY
        )
    return path.absolute()


def guarded(
    function: Callable[..., Result],
    path: str | Path,
    *args: Any,
    seconds: float = 60.0,
    memory_gb: float = 4.0,
    **kwargs: Any,
) -> Result:
    """``function(path, *args, **kwargs)`` in a guarded child process.

    Parameters
    ----------
    function : importable by name (not a lambda, not defined in ``__main__``)
    path : file to read; must exist and hold something
    args, kwargs : plain values for `function`
    seconds : wall-clock limit
    memory_gb : how much memory the reader may take

    Returns
    -------
    What `function` returned: our own types, arrays and plain Python values only.

    Raises
    ------
    UnreadableFileError
        If the reader raises, crashes, is too slow or takes too much memory; the message
        names file, cause and remedy.
    ValueError
        If `function` cannot be found by name from another process.
    """
    module, qualname = function.__module__, function.__qualname__
    if module == "__main__" or "<" in qualname:
        raise ValueError(f"{module}.{qualname} cannot be imported by name; put it in a module")
    absolute = check_file(path)
    memory_bytes = int(memory_gb * 1e9)
    request = Request(
        tuple(sys.path), module, qualname, str(absolute), args, kwargs, seconds, memory_bytes
    )
    worker = _take()
    try:
        body = worker.ask(request)
    except TimeoutError:
        worker.stop()
        raise UnreadableFileError(
            f"{absolute.name}: reading took longer than {seconds:g} s and was stopped; {DAMAGED}",
            Reason.TOO_SLOW,
        ) from None
    except MemoryError:
        worker.stop()
        raise _too_large(absolute, memory_gb) from None
    except BaseException:  # interrupted: a late answer must not be taken for the next file's
        worker.stop()
        raise
    if body is None:
        ending = worker.stop()
        raise UnreadableFileError(
            f"{absolute.name}: the reader crashed ({ending}); {DAMAGED}", Reason.CRASHED
        )
    _give_back(worker)
    return _unpack(body, absolute, memory_gb)


def _too_large(path: Path, memory_gb: float) -> UnreadableFileError:
    return UnreadableFileError(
        f"{path.name}: reading needs more than {memory_gb:g} GB of memory; the file is damaged "
        "or declares more than it holds; if it is truly that large, crop it first",
        Reason.TOO_LARGE,
    )


def _unpack(body: bytes, path: Path, memory_gb: float) -> Any:
    try:
        result = _PlainUnpickler(io.BytesIO(body)).load()
    except pickle.UnpicklingError as error:
        raise UnreadableFileError(f"{path.name}: {error}, which is refused; {DAMAGED}") from None
    if not isinstance(result, Failure):
        return result
    if result.kind == "UnreadableFileError":
        raise UnreadableFileError(result.message, Reason(result.reason or Reason.REFUSED))
    if "MemoryError" in result.kind:
        raise _too_large(path, memory_gb)
    cause = " ".join(result.message.split())[:200] or "no message"
    if lacking := missing_package(result.kind, cause):
        raise refused(path.name, *lacking, reason=Reason.LACKING)
    raise UnreadableFileError(f"{path.name}: {result.kind}: {cause}; {DAMAGED}", Reason.DAMAGED)
