"""Electron diffraction images -> rings and spots."""
