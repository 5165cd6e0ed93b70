"""File -> Measurement, safely."""
