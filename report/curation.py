"""The page on which a person decides about doubtful labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files

from markupsafe import Markup

from xtalfuse.report.figures.pattern import pattern_figure
from xtalfuse.report.page import Picture, as_base64, render_page
from xtalfuse.tasks.curate import Doubt

MOST_PICTURES = 200


def curation_page(name: str, doubts: Sequence[Doubt]) -> str:
    """HTML with each doubtful label, its pattern with what was found, and a key for each decision.

    Parameters
    ----------
    name : of the dataset
    """
    script = files("xtalfuse.report").joinpath("curation.js").read_text(encoding="utf-8")
    pictures = {
        doubt.id: Picture.of(pattern_figure(doubt.answer), f"pattern of {doubt.id}")
        for doubt in doubts[:MOST_PICTURES]
    }
    return render_page(
        "curation.html.j2",
        specimen=name,
        headline=f"{len(doubts)} labels that the pattern contradicts",
        warnings=(),
        files=(),
        seconds={},
        version=version("xtalfuse"),
        doubts=doubts,
        pictures=pictures,
        script=Markup(script),
        script_hash=f"sha256-{as_base64(hashlib.sha256(script.encode()).digest())}",
    )
