"""xtalfuse: phases, grains and properties of a specimen, from whatever its instruments recorded.

>>> import xtalfuse
>>> record = xtalfuse.load_specimen("specimen/")
>>> answer = xtalfuse.identify(record, elements=["Al", "O"])
>>> [phase.name for phase in answer.phases]
['Corundum']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from xtalfuse.physics import moved
from xtalfuse.physics.registry import RENDERERS

if TYPE_CHECKING:
    from xtalfuse.datasets.library.build import Library
    from xtalfuse.encoders import ENCODERS
    from xtalfuse.loaders import load, load_specimen
    from xtalfuse.loaders.record import Measurement, Record, UnreadableFileError
    from xtalfuse.loaders.registry import READERS
    from xtalfuse.loaders.signal import from_hyperspy
    from xtalfuse.report.phases import write_report
    from xtalfuse.report.structure import write_microstructure
    from xtalfuse.tasks import TASKS
    from xtalfuse.tasks.identify.answer import Answer
    from xtalfuse.tasks.identify.pipeline import identify
    from xtalfuse.tasks.structure.analyse import analyse
    from xtalfuse.tasks.structure.properties import PROPERTIES
    from xtalfuse.tasks.structure.result import Microstructure
    from xtalfuse.terminal import progress_bar

    __version__: str

__all__ = [
    "ENCODERS",
    "PROPERTIES",
    "READERS",
    "TASKS",
    "Answer",
    "Library",
    "Measurement",
    "Microstructure",
    "Record",
    "UnreadableFileError",
    "__version__",
    "analyse",
    "from_hyperspy",
    "identify",
    "load",
    "load_specimen",
    "progress_bar",
    "write_microstructure",
    "write_report",
]

# Public name -> module that holds it. Each is imported when it is first asked for, so that
# `import xtalfuse` and `xtalfuse --help` do not wait for torch, HyperSpy or matplotlib.
_HOMES = {
    "ENCODERS": "xtalfuse.encoders",
    "PROPERTIES": "xtalfuse.tasks.structure.properties",
    "READERS": "xtalfuse.loaders.registry",
    "TASKS": "xtalfuse.tasks",
    "Answer": "xtalfuse.tasks.identify.answer",
    "Library": "xtalfuse.datasets.library.build",
    "Measurement": "xtalfuse.loaders.record",
    "Microstructure": "xtalfuse.tasks.structure.result",
    "Record": "xtalfuse.loaders.record",
    "UnreadableFileError": "xtalfuse.loaders.record",
    "analyse": "xtalfuse.tasks.structure.analyse",
    "from_hyperspy": "xtalfuse.loaders.signal",
    "identify": "xtalfuse.tasks.identify.pipeline",
    "load": "xtalfuse.loaders",
    "load_specimen": "xtalfuse.loaders",
    "progress_bar": "xtalfuse.terminal",
    "write_microstructure": "xtalfuse.report.structure",
    "write_report": "xtalfuse.report.phases",
}


moved.install()
RENDERERS.add("html", "xtalfuse.report.notebook:html_of")
RENDERERS.add("plot", "xtalfuse.report.notebook:plot")


if not TYPE_CHECKING:  # a checker of types knows the names from above, and sees slips of the pen

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            return version("xtalfuse")
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        raise AttributeError(f"module 'xtalfuse' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
