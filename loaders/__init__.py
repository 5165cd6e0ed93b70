"""Instrument files -> Measurement, safely.

`load` reads one file, `load_specimen` everything that instruments wrote about one specimen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xtalfuse.loaders.file import load
from xtalfuse.loaders.record import Measurement, Record, UnreadableFileError
from xtalfuse.loaders.safe.guard import Limits

if TYPE_CHECKING:
    from xtalfuse.loaders.specimen import load_specimen

__all__ = ["Limits", "Measurement", "Record", "UnreadableFileError", "load", "load_specimen"]


if not TYPE_CHECKING:  # pydantic, which describes specimens, takes time to import

    def __getattr__(name: str) -> Any:
        if name == "load_specimen":
            from xtalfuse.loaders.specimen import load_specimen

            return load_specimen
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
