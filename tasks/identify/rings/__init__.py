"""Phases of ring patterns."""
