"""Which phases a specimen holds."""
