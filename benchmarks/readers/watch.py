"""What reading or writing costs: seconds, processor time and memory of this process's children."""

from __future__ import annotations

import threading
import time

import psutil


class Watch:
    """Seconds, CPU seconds and the growth of memory while it watches.

    Parameters
    ----------
    own : whether the memory of this process counts beside that of its children

    Attributes
    ----------
    seconds, cpu_seconds : of wall and of processors, this process and its children
    peak_mb : most memory above the beginning
    """

    def __init__(self, own: bool = True) -> None:
        self._own = own

    def __enter__(self) -> Watch:
        self._spent: dict[int, tuple[float, float]] = {}  # process -> CPU seconds, first and last
        self.peak_mb, self._begun = 0.0, False
        self._before, self._begun = self._now(), True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._start = time.perf_counter(), time.process_time()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds = time.perf_counter() - self._start[0]
        self._stop.set()
        self._thread.join()
        self._now()
        children = sum(last - first for first, last in self._spent.values())
        self.cpu_seconds = children + time.process_time() - self._start[1]

    def _look(self) -> None:
        while not self._stop.wait(0.02):
            self.peak_mb = max(self.peak_mb, self._now() - self._before)

    def _now(self) -> float:
        own = psutil.Process()
        held = own.memory_info().rss if self._own else 0
        for child in own.children(recursive=True):
            try:
                held += child.memory_info().rss
                spent = sum(child.cpu_times()[:2])
            except psutil.Error:
                continue
            # a child that comes later is charged with its whole life
            first = 0.0 if self._begun else spent
            self._spent[child.pid] = (self._spent.get(child.pid, (first, 0.0))[0], spent)
        return held / 1e6
