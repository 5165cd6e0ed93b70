"""``specimen.yaml``: what the instruments of a specimen could not know."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    field_validator,
    model_validator,
)

from xtalfuse.loaders.reader import ReadOptions
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.guard import check_file
from xtalfuse.physics.units import radiation

DESCRIPTIONS = ("specimen.yaml", "specimen.yml")
MOST_YAML_BYTES = 100_000


def check_elements(symbols: str | Iterable[str]) -> tuple[str, ...]:
    """Element symbols in their usual spelling, each once; deuterium is hydrogen.

    Parameters
    ----------
    symbols : ``["Al", "O"]``, ``"Al,O"`` or ``"Al O"``, in small or large letters

    Raises
    ------
    ValueError
        If one of them is no element, or there is none; TypeError if they are no texts.
    """
    import gemmi

    given: list[Any] = [symbols]
    if isinstance(symbols, Iterable) and not isinstance(symbols, str):
        given = [*symbols]
    if not all(isinstance(text, str) for text in given):
        raise TypeError(f"elements {symbols!r}: give symbols, such as ['Al', 'O']")
    found = []
    for symbol in (part for text in given for part in re.split(r"[,;\s]+", text) if part):
        element = gemmi.Element(symbol)
        if element.atomic_number == 0 or element.name.lower() != symbol.lower():  # "Al2O3"
            raise ValueError(f"{symbol!r} is not a chemical element; give symbols such as Al, O")
        found.append("H" if element.name == "D" else element.name)
    if not found:
        raise ValueError("elements: none is given; give symbols such as Al, O, or leave them out")
    return tuple(dict.fromkeys(found))


def _as_list(value: Any) -> Any:
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _as_symbols(value: Any) -> Any:
    # YAML reads the symbols of nitrogen and yttrium, N and Y, as text but No and Yes not.
    items = _as_list(value)
    if isinstance(items, list) and any(isinstance(item, bool) for item in items):
        raise ValueError("an element symbol was read as true or false: put it in quotes")
    return items


class FileStatement(BaseModel):
    """What a person says of one file in ``specimen.yaml``, under ``files``; it wins over the file.

    Units as in `loaders.reader.ReadOptions`: beam energy in keV, camera length in mm, voxel in um.
    """

    model_config = ConfigDict(extra="forbid")

    modality: str | None = None
    wavelength: str | FiniteFloat | None = None
    beam_energy: FiniteFloat | None = None
    camera_length: FiniteFloat | None = None
    scale: FiniteFloat | None = None
    units: str | None = None
    offset: FiniteFloat | None = None
    voxel_size: FiniteFloat | tuple[FiniteFloat, FiniteFloat, FiniteFloat] | None = None
    scan: int | None = None

    @model_validator(mode="after")
    def _possible(self) -> FileStatement:
        self.over(ReadOptions())
        return self

    def over(self, options: ReadOptions) -> ReadOptions:
        """The options for this file, from those for all files."""
        said = {
            _OPTION_OF.get(key, key): value
            for key, value in self.model_dump().items()
            if value is not None
        }
        return replace(options, **said)


_OPTION_OF = {
    "beam_energy": "beam_energy_kev",
    "camera_length": "camera_length_mm",
    "units": "unit",
    "voxel_size": "voxel_size_um",
}


class Description(BaseModel):
    """Content of ``specimen.yaml``: what the instruments could not know."""

    model_config = ConfigDict(extra="forbid")

    wavelength: Annotated[str | FiniteFloat | None, Field(description="CuKa or 1.5406")] = None
    elements: Annotated[tuple[str, ...] | None, BeforeValidator(_as_symbols)] = None
    camera_length: Annotated[FiniteFloat, Field(gt=0)] | None = None  # mm
    section_step: Annotated[FiniteFloat, Field(gt=0)] | None = None  # um, of serial sections
    files: dict[str, FileStatement] = Field(default_factory=dict)
    notes: str = ""
    group: str | None = None

    @field_validator("wavelength")
    @classmethod
    def _radiation(cls, value: str | float | None) -> str | float | None:
        if value is not None:
            radiation(value)
        return value

    @field_validator("elements")
    @classmethod
    def _elements(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if value is None else check_elements(value)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping that a person wrote.

    Raises
    ------
    UnreadableFileError
        If it is none.
    """
    import yaml

    if check_file(path, may_be_empty=True).stat().st_size > MOST_YAML_BYTES:
        raise UnreadableFileError(f"{path.name}: too long for a description; keep notes short")
    try:
        content = yaml.safe_load(path.read_text("utf-8-sig")) or {}
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        cause = " ".join(str(error).split())[:160]
        raise UnreadableFileError(f"{path.name}: not YAML ({cause}); correct it") from None
    if not isinstance(content, dict):
        raise UnreadableFileError(f"{path.name}: not a list of 'key: value'; correct it")
    return {str(key): value for key, value in content.items()}


def read_description(path: Path) -> Description:
    """Content of a ``specimen.yaml``.

    Raises
    ------
    UnreadableFileError
        If it is no YAML mapping, or a key is unknown or has a wrong value; the message names
        the key.
    """
    content = read_yaml(path)
    try:
        return Description.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise UnreadableFileError(_explained(path, first)) from None


def _explained(path: Path, error: Any) -> str:
    place = [str(part) for part in error["loc"]] or ["content"]
    inside = place[0] == "files" and len(place) > 1
    where = f"files: {place[1]}: " if inside else ""
    key = place[-1] if not inside or len(place) == 3 else ""
    known = list((FileStatement if inside else Description).model_fields)
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys are {', '.join(known)}"
        return f"{path.name}: {where}unknown key {key!r}; {hint}"
    cause = str(error["msg"]).removeprefix("Value error, ")
    where += f"{place[0] if not inside else key}: " if key or not inside else ""
    return f"{path.name}: {where}{cause}; correct the value"
