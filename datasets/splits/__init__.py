"""What may be learned from a dataset: copies, parts that share nothing, what a split leaks."""
