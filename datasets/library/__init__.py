"""The reference library: built from structures, stored, read."""
