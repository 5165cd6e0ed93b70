"""Simulated microstructures, maps and volumes."""
