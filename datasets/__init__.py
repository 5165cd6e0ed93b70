"""Many records: build, store, simulate; the reference phase library."""
