"""Orientation maps in HDF5, by the program that wrote them."""
