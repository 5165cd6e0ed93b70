"""Fits of the whole pattern: what they start from, their priors, their numbers."""
