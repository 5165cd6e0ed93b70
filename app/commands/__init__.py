"""The commands of `xtalfuse`, one file each; `xtalfuse.cli` puts them together."""
