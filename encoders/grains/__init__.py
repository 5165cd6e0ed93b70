"""Orientation maps -> grains and their sizes."""
