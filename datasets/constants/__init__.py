"""Typed tables of published material constants."""
