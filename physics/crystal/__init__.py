"""Cells, structure factors, powder and ring patterns, line profiles."""
