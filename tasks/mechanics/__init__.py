"""Networks that predict stress and stiffness of grains, and their training."""

from xtalfuse.physics.moved import names_of

__getattr__ = names_of("xtalfuse.tasks.mechanics")
