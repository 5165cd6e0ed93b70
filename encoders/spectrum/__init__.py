"""EELS and EDS spectra -> elements."""
