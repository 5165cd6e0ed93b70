"""The table that a dataset is built from: read, in one system of units, checked by rules."""
