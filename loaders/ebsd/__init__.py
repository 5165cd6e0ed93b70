"""Orientation maps."""
