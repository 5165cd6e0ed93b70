"""Places that have moved: the old ones work for one more release, and say where to look."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from importlib.abc import InspectLoader
else:  # importing importlib.abc takes a fifth of the time of `import xtalfuse`
    InspectLoader = object

# Old module -> the modules that hold its names now; the first is what `python -m` runs.
MOVED: dict[str, tuple[str, ...]] = {
    f"xtalfuse.{old}": tuple(f"xtalfuse.{home}" for home in homes.split())
    for old, homes in {
        "datasets.elastic": "datasets.constants.elastic",
        "datasets.grains": "datasets.sets.graphs",
        "datasets.library": "datasets.library.build datasets.library.shelf",
        "datasets.strength": "datasets.constants.strength",
        "tasks.answer": "tasks.identify.answer tasks.base",
        "tasks.identify": "tasks.identify.pipeline",
        "tasks.materials": "tasks.structure.materials",
        "tasks.mechanics": "tasks.mechanics.grains",
        "tasks.microstructure": "tasks.structure.analyse tasks.structure.result",
        "tasks.microstructure_report": "report.structure",
        "tasks.properties": "tasks.structure.properties.elastic tasks.structure.properties.base "
        "tasks.structure.stiffness physics.estimate",
        "tasks.report": "report.phases",
        "tasks.train_grains": "tasks.mechanics.train_grains",
        "tasks.train_volume": "tasks.mechanics.train_foam",
    }.items()
}


def names_of(old: str) -> Callable[[str], object]:
    """What a package that was a module has for ``__getattr__``: its names, each with a warning."""

    def find(name: str) -> object:
        for home in MOVED[old] if not name.startswith("_") else ():
            if hasattr(import_module(home), name):
                told = (
                    f"{old}.{name} is now {home}.{name}; the old place goes with the next release"
                )
                warnings.warn(told, DeprecationWarning, stacklevel=2)
                return getattr(import_module(home), name)
        raise AttributeError(f"module {old!r} has no attribute {name!r}")

    return find


class OldPlaces(InspectLoader):
    """Finds a module that has moved; it stands last, so that it is asked only for what is gone."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self, origin=name) if name in MOVED else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None  # a module as always

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__getattr__"] = names_of(module.__name__)

    def get_source(self, name: str) -> None:
        return None

    def get_code(self, name: str) -> CodeType | None:
        """The code behind ``python -m``, whose reader sees no DeprecationWarning."""
        home = MOVED[name][0]
        warnings.warn(f"python -m {name} is now python -m {home}", FutureWarning, stacklevel=2)
        spec = importlib.util.find_spec(home)
        assert spec is not None
        return cast("InspectLoader", spec.loader).get_code(home)


def install() -> None:
    """See to it that old places are found, once."""
    if not any(isinstance(finder, OldPlaces) for finder in sys.meta_path):
        sys.meta_path.append(OldPlaces())
