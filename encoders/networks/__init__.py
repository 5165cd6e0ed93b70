"""Learned encoders and their weights."""
