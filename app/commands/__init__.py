"""The commands of `xtalfuse`, one file each."""
