"""Fractions, cells and sizes of the phases that a search has found, with their uncertainties."""
