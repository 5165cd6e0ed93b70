"""Results -> pages, tables and figures; nothing else draws."""
