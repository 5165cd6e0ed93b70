"""Elasticity, homogenization and plasticity."""
