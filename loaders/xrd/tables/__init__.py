"""Patterns in plain tables: text, sheets, JSON."""
