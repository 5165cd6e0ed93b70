"""Networks that predict stress and stiffness of grains, and their training."""
