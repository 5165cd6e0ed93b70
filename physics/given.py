"""What a public function was given, held against what it wants."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def check_given(value: Any, kind: type, function: str, remedy: str) -> None:
    """See that an argument is of the kind that a function of the public names wants.

    Parameters
    ----------
    value : the argument
    kind : what it must be
    function : its name, for the message
    remedy : where such a thing comes from

    Raises
    ------
    TypeError
        If it is something else; the message says what came, what is wanted, and the remedy.
    """
    if not isinstance(value, kind):
        wanted = kind.__name__
        article = "an" if wanted[0] in "AEIOU" else "a"
        shown = repr(value)
        shown = f"{shown[:60]}..." if len(shown) > 60 else shown
        raise TypeError(
            f"{function} wants {article} {wanted} ({remedy}), "
            f"and was given {shown} ({type(value).__name__})"
        )


def as_path(value: Any, function: str) -> Path:
    """The path of a file or folder; raises TypeError with the name of the function."""
    if not isinstance(value, os.PathLike):
        check_given(value, str, function, "or a pathlib.Path of a file or folder")
    return Path(value)
