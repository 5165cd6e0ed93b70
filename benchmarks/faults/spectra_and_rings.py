"""Spectra and ring patterns that once went wrong."""

from __future__ import annotations

from benchmarks.faults.case import Case

CASES: tuple[Case, ...] = ()
