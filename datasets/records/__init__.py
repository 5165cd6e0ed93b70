"""Measured specimens as a dataset: a manifest in, shards out, each record traced to its files."""
