"""The reference library: built from structures, stored, read."""

from xtalfuse.physics.moved import names_of

__getattr__ = names_of("xtalfuse.datasets.library")
