"""The child side of `guard`: runs one reader at a time and sends back what it returned.

Requests come in through standard input and answers leave through the original standard
output, each a length and a pickle. What a reader prints goes nowhere, so it cannot disturb
the answers.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import queue
import signal
import struct
import sys
import threading
import time
import warnings
from dataclasses import dataclass
from typing import IO, Any

from xtalfuse.loaders.safe.processes import die_with_parent

HEADER = struct.Struct("<Q")
READY = b"ready"
GRACE_SECONDS = 10.0  # after the parent's own limit: ends a child whose parent is gone
ENDING_SECONDS = 1.0  # a child that is at rest ends in order meanwhile


@dataclass(frozen=True)
class Request:
    """One call: ``module:qualname(path, *args, **kwargs)`` within limits."""

    sys_path: tuple[str, ...]
    module: str
    qualname: str
    path: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    seconds: float
    memory_bytes: int


@dataclass(frozen=True)
class Failure:
    """An exception of the reader, as text: its class may not exist in the parent."""

    kind: str
    message: str
    reason: str = ""


def receive(stream: IO[bytes]) -> bytes | None:
    """Next message of `stream`; None where the other side has gone."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    (length,) = HEADER.unpack(header)
    body = stream.read(length)
    return body if len(body) == length else None


def send(stream: IO[bytes], body: bytes) -> None:
    """Write one message to `stream`."""
    stream.write(HEADER.pack(len(body)))
    stream.write(body)
    stream.flush()


def _resolve(module: str, qualname: str) -> Any:
    target: Any = importlib.import_module(module)
    for part in qualname.split("."):
        target = getattr(target, part)
    return target


def _limit_memory(extra_bytes: int) -> None:
    """Let the address space grow by `extra_bytes` from now on (POSIX; elsewhere no limit)."""
    try:
        import resource
    except ImportError:
        return
    import psutil

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = psutil.Process().memory_info().vms + extra_bytes
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    # macOS refuses this limit; the parent watches the resident size there.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


def _set_alarm(seconds: float) -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _answer(request: Request) -> Any:
    for entry in request.sys_path:
        if entry not in sys.path:
            sys.path.append(entry)
    try:
        function = _resolve(request.module, request.qualname)
        _limit_memory(request.memory_bytes)
        return function(request.path, *request.args, **request.kwargs)
    except BaseException as error:  # SystemExit of a reader must not end the worker
        refused = any(c.__name__ == "UnreadableFileError" for c in type(error).__mro__)
        kind = "UnreadableFileError" if refused else type(error).__name__
        return Failure(kind, str(error), str(getattr(error, "reason", "")))


def _take_in(stream: IO[bytes], waiting: queue.SimpleQueue[bytes | None]) -> None:
    """Pass messages on; when the other side is gone, so is this process, whatever it is doing."""
    while (body := receive(stream)) is not None:
        waiting.put(body)
    waiting.put(None)
    time.sleep(ENDING_SECONDS)
    os._exit(0)


def main() -> None:
    """Serve requests until standard input closes."""
    die_with_parent()
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "r+b") as nowhere:
        for descriptor in (0, 1, 2):
            os.dup2(nowhere.fileno(), descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides on Ctrl-C
    warnings.simplefilter("ignore")
    send(outgoing, READY)
    waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_take_in, args=(incoming, waiting), daemon=True).start()
    while (body := waiting.get()) is not None:
        request: Request = pickle.loads(body)
        _set_alarm(request.seconds + GRACE_SECONDS)
        result = _answer(request)
        try:
            message = pickle.dumps(result, protocol=5)
        except Exception as error:  # any object may refuse to be pickled in its own way
            message = pickle.dumps(Failure(type(error).__name__, f"result not portable: {error}"))
        del result
        send(outgoing, message)
        _set_alarm(0.0)
