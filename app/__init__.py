"""xtalfuse: which phases a specimen holds, from whatever its instruments recorded."""
