"""How models are trained on any device."""
