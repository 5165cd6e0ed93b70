"""Labelled samples on disk: stored whole, read lazily."""
