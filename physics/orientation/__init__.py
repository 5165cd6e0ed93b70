"""Rotations, crystal symmetry, disorientations, poles and their densities."""
