"""What every report is made of: one page, pictures inside it, plain JSON, whole files."""

from __future__ import annotations

import base64
import math
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xtalfuse.datasets.sets.atomic import replacing
from xtalfuse.report.figures.pattern import png_bytes
from xtalfuse.report.notation import chance

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A figure inside the page: PNG as base64, and what it shows in words."""

    png: str
    alt: str

    @classmethod
    def of(cls, figure: Figure, alt: str) -> Picture:
        """A figure as it stands."""
        return cls(as_base64(png_bytes(figure)), alt)


def finite(value: Any) -> Any:
    """The same content in plain JSON types; numbers that are not finite become None."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return finite(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [finite(item) for item in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value if value is None else str(value)


def render_page(template: str, **content: Any) -> str:
    """A page as HTML. Everything that came from outside is escaped.

    Parameters
    ----------
    template : name of a template of this room; it extends ``page.html.j2``
    content : for that page ``specimen``, ``headline``, ``warnings``, ``files``, ``seconds`` and
        ``version``; if any, ``notes`` and ``group`` of the specimen, ``run`` that writes it, and
        ``script_hash`` of the only script that may run
    """
    import jinja2

    room = files("xtalfuse.report")

    def text_of(name: str) -> str:
        return (room / name).read_text(encoding="utf-8")

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(text_of),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    usual: dict[str, Any] = {"notes": "", "group": "", "run": "", "script_hash": ""}
    usual |= {"chance": chance, "file_name": file_name}
    return environment.get_template(template).render(usual | content)


def file_name(path: str) -> str:
    """A file without its folders: where they lie on a disk is nobody else's business."""
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]


def as_base64(content: bytes) -> str:
    """Bytes as text that a page can hold."""
    return base64.b64encode(content).decode("ascii")


def write_file(path: Path, content: bytes) -> None:
    """Write a file that is complete or absent."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
