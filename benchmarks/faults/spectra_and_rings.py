"""Spectra and ring patterns that once went wrong."""

from __future__ import annotations

from benchmarks.faults.case import Case, shows

CASES: tuple[Case, ...] = (
    Case("lanthanum_over_nickel.msa", "O, La, Ni, no Cu", shows(sure="O La Ni", never="Cu")),
    Case("tantalum_oxide_wide.msa", "O; Ta at least possible", shows(sure="O", named="Ta")),
)
