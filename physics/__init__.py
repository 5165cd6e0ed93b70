"""Equations, units and symmetry: no files, no networks."""
