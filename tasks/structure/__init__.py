"""Grains, pores and properties of a map or volume."""
