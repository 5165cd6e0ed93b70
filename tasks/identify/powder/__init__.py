"""Phases of one powder pattern: rank, search, fit, judge, refine."""
