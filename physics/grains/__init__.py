"""Points of a map, and the graph of grains and boundaries."""
