"""CT volumes -> phases, particles, pores."""
