"""xtalfuse: phases, grains and properties of a specimen, from whatever its instruments recorded.

>>> import xtalfuse
>>> record = xtalfuse.load_specimen("specimen/")  # doctest: +SKIP
>>> answer = xtalfuse.identify(record)  # doctest: +SKIP
>>> [(phase.name, phase.weight_fraction) for phase in answer.phases]  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from xtalfuse.physics import moved

if TYPE_CHECKING:
    from xtalfuse.datasets.library.build import Library
    from xtalfuse.loaders import load, load_specimen
    from xtalfuse.report.phases import write_report
    from xtalfuse.report.structure import write_microstructure
    from xtalfuse.tasks.identify.pipeline import identify
    from xtalfuse.tasks.structure.analyse import analyse

    __version__: str

__all__ = [
    "Library",
    "__version__",
    "analyse",
    "identify",
    "load",
    "load_specimen",
    "write_microstructure",
    "write_report",
]

# Public name -> module that holds it. Each is imported when it is first asked for, so that
# `import xtalfuse` and `xtalfuse --help` do not wait for torch, HyperSpy or matplotlib.
_HOMES = {
    "Library": "xtalfuse.datasets.library.build",
    "analyse": "xtalfuse.tasks.structure.analyse",
    "identify": "xtalfuse.tasks.identify.pipeline",
    "load": "xtalfuse.loaders",
    "load_specimen": "xtalfuse.loaders",
    "write_microstructure": "xtalfuse.report.structure",
    "write_report": "xtalfuse.report.phases",
}


moved.install()


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("xtalfuse")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'xtalfuse' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
