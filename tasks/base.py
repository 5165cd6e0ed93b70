"""What every task answers with, and how a task is declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar, cast, get_type_hints

from xtalfuse.loaders.record import FileReport
from xtalfuse.physics.registry import RENDERERS

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

T = TypeVar("T")


class _Beside:
    """Mark of a field that JSON does not hold; no schema is asked of its type."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.any_schema(metadata={"beside": True})


# A field of this type is kept beside what is written as JSON: arrays of a figure, a crystal.
Beside: TypeAlias = Annotated[T, _Beside]


@dataclass(frozen=True)
class Run:
    """Which run wrote a folder of results, and what else it wrote there.

    Parameters
    ----------
    id : hash of what was found, with the times that it took; the page holds it, too
    source : name of the file or folder that was worked on
    files : SHA-256 of each other file of the folder, by name
    """

    id: str
    source: str
    files: Mapping[str, str]


class Shown:
    """What shows itself: in a notebook as HTML, and as a figure.

    How is not known here; it is looked up among the renderers when it is asked for.
    """

    def _repr_html_(self) -> str:
        return cast(str, RENDERERS["html"](self))

    def plot(self) -> Figure:
        """The most telling figure, as a figure of matplotlib.

        Raises
        ------
        ValueError
            If there is nothing to draw.
        """
        return cast("Figure", RENDERERS["plot"](self))


@dataclass(frozen=True, kw_only=True)
class Result(Shown):
    """What a task says about one specimen.

    A result is frozen, can be pickled and knows no figure: what draws it stands in
    `xtalfuse.report`. Fields whose type is ``Beside[...]`` are not written as JSON.

    Parameters
    ----------
    specimen : name of the file or folder
    files : what became of each of its files
    warnings : what a reader must know before using a number
    seconds : spent on each step
    version : of xtalfuse
    run : that wrote it to a folder; None as long as none has
    """

    specimen: str
    files: tuple[FileReport, ...]
    warnings: tuple[str, ...]
    seconds: Mapping[str, float]
    version: str
    run: Run | None = None

    def to_dict(self) -> dict[str, Any]:
        """What is written as JSON: plain values, no arrays."""
        return cast(dict[str, Any], _plain(self))

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """JSON Schema (draft 2020-12) of `to_dict`, made from the types of the fields."""
        from pydantic import TypeAdapter

        from xtalfuse.tasks.schema import WrittenSchema

        made = TypeAdapter(cls).json_schema(mode="serialization", schema_generator=WrittenSchema)
        return {"$schema": WrittenSchema.schema_dialect, **made}


@cache
def _written(kind: type) -> tuple[str, ...]:
    """Names of the fields of a dataclass that JSON holds."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        f.name for f in fields(kind) if _Beside not in getattr(hints[f.name], "__metadata__", ())
    )


def _plain(value: Any) -> Any:
    """Dataclasses as dicts and tuples as lists, to any depth; all else as it is."""
    if is_dataclass(value):
        return {name: _plain(getattr(value, name)) for name in _written(cast(type, type(value)))}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


@dataclass(frozen=True)
class Task:
    """One thing that can be asked about a specimen. Nothing is imported before it is used.

    Parameters
    ----------
    name : by which it is asked for; of the command, too
    about : what it answers, one line
    result_at : ``"module:attribute"`` of its type of `Result`
    run_at : ``"module:attribute"`` of the function that answers
    """

    name: str
    about: str
    result_at: str
    run_at: str

    @property
    def result(self) -> type[Result]:
        """Type of the answer."""
        return cast(type[Result], resolve_name(self.result_at))

    @property
    def run(self) -> Callable[..., Result]:
        """The function that answers."""
        return cast(Callable[..., Result], resolve_name(self.run_at))


def package_version() -> str:
    """Version of xtalfuse that is installed, for the files it writes."""
    try:
        return version("xtalfuse")
    except PackageNotFoundError:
        return "unknown"
