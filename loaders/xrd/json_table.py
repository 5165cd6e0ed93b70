"""Patterns in a JSON object: ``.json``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from xtalfuse.loaders.reader import Certainty
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import FileHead
from xtalfuse.loaders.xrd.read import powder_reader
from xtalfuse.loaders.xrd.scan import Scan
from xtalfuse.loaders.xrd.table import INTENSITY, TWO_THETA, Table, pattern_of


def sniff(head: FileHead) -> Certainty:
    """Whether an object speaks of an angle theta at its beginning."""
    known = head.text.startswith("{") and "theta" in head.text.lower()[:200]
    return Certainty.LIKELY if known else Certainty.NONE


def read(path: Path) -> Scan:
    """Pattern of a JSON object that holds a list of angles and a list of intensities.

    Raises
    ------
    UnreadableFileError
        If the file is no such object.
    """
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnreadableFileError(f"{path.name}: damaged JSON ({error}); export it again") from None
    lists = (
        {k: v for k, v in content.items() if isinstance(v, list)}
        if isinstance(content, dict)
        else {}
    )
    angle = next((v for k, v in lists.items() if TWO_THETA.search(k)), None)
    intensity = next((v for k, v in lists.items() if INTENSITY.search(k)), None)
    if angle is None or intensity is None or len(angle) != len(intensity):
        raise UnreadableFileError(
            f"{path.name}: no two lists of equal length for 2theta and intensity; export it as .xy"
        )
    try:
        values = np.array([angle, intensity], float).T
    except (TypeError, ValueError):
        raise UnreadableFileError(
            f"{path.name}: the lists hold more than numbers; export .xy"
        ) from None
    rest = json.dumps({k: v for k, v in content.items() if k not in lists}).replace("\\", "")
    return pattern_of(path, Table(values, ("2theta", "intensity"), rest, ()), "json table")


READERS = powder_reader(
    "json", "JSON object with lists of 2theta and intensity", (".json",), sniff, read
)
