"""Powder patterns that once were identified wrongly."""

from __future__ import annotations

from benchmarks.faults.case import Case

CASES: tuple[Case, ...] = ()
