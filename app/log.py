"""How much the program says: results alone, the usual, or each step as it is done."""

from __future__ import annotations

import logging
import sys

QUIET, USUAL, VERBOSE = logging.ERROR, logging.NOTSET, logging.INFO
_ALL = "xtalfuse"  # the logger above those of all modules
_HANDLER = "xtalfuse-terminal"


def set_level(level: int) -> None:
    """Say this much from here on, in this process: `QUIET`, `USUAL` or `VERBOSE`."""
    logger = logging.getLogger(_ALL)
    logger.setLevel(level)
    for handler in [h for h in logger.handlers if h.name == _HANDLER]:
        logger.removeHandler(handler)
    if level == VERBOSE:
        handler = logging.StreamHandler(sys.stderr)
        handler.name = _HANDLER
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)


def level() -> int:
    """What `set_level` was told last."""
    return logging.getLogger(_ALL).level


def is_quiet() -> bool:
    """Whether only results and errors are wanted."""
    return level() == QUIET
