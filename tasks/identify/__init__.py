"""Which phases a specimen holds."""

from xtalfuse.physics.moved import names_of

__getattr__ = names_of("xtalfuse.tasks.identify")
