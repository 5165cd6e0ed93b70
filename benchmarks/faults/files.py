"""Files that once were misread."""

from __future__ import annotations

from benchmarks.faults.case import Case

CASES: tuple[Case, ...] = ()
