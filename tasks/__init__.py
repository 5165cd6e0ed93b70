"""Evidence and physics -> answers."""
