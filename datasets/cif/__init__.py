"""CIF files -> checked crystal structures."""
