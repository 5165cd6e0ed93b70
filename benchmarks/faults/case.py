"""One input that once went wrong, and what is right for it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xtalfuse.encoders.spectrum.elements import ElementEvidence


class WrongError(Exception):
    """What came is not what is right; the message says what came."""


@dataclass(frozen=True)
class Case:
    """One input: a file or folder below ``shared/faults/SECTION``.

    Parameters
    ----------
    file : its name
    right : what is right, in words, for the table
    check : (path) -> what came, in words; raises `WrongError` where that is not right
    """

    file: str
    right: str
    check: Callable[[Path], str]


def refused(*words: str) -> Callable[[Path], str]:
    """Right is a refusal that speaks of all of `words` (small letters)."""
    return partial(_refused, words)


def _refused(words: tuple[str, ...], path: Path) -> str:
    from xtalfuse.loaders import UnreadableFileError, load

    try:
        measurement = load(path)
    except UnreadableFileError as error:
        if all(word in str(error).lower() for word in words):
            return f"refused: {error}"
        raise WrongError(f"refused with other words: {error}") from None
    raise WrongError(f"read as {measurement.modality}")


def loaded(
    given: str | None = None,
    *,
    modality: str = "xrd",
    wavelength: float | None = None,
    ends: tuple[float, float] | None = None,
    points: int | None = None,
    lowest: float | None = None,
    highest: float | None = None,
) -> Callable[[Path], str]:
    """Right is a measurement of one axis with these numbers, up to the rounding of the file.

    Parameters
    ----------
    given : wavelength by hand
    modality : of the measurement
    wavelength : of its strongest line, angstrom
    ends : first and last value of its axis
    points : how many
    lowest, highest : values
    """

    def check(path: Path) -> str:
        from xtalfuse.loaders import load

        found = load(path, wavelength=given)
        axis, used = found.axes[-1].values, found.radiation
        pairs = [
            (wavelength, used.primary_angstrom if used else None),
            *zip(ends or (None, None), (axis[0], axis[-1]), strict=True),
            (points, axis.size),
            (lowest, found.values.min()),
            (highest, found.values.max()),
        ]
        came = f"{found.modality}, {axis.size} points, {axis[0]:.6g} to {axis[-1]:.6g}"
        came += f", {found.values.min():g} to {found.values.max():g}"
        came += f", {used.name}" if used else ""
        same = all(abs(is_ - ought) <= 2e-5 * abs(ought) + 1e-4 for ought, is_ in pairs if ought)
        return holds(same and found.modality == modality, came)

    return check


def identified(path: Path, wavelength: str | None = None, **options: Any) -> dict[str, Any]:
    """``result.json`` of ``identify``; without refinement unless `options` ask for it."""
    from xtalfuse import identify
    from xtalfuse.loaders import load_specimen

    record = load_specimen(path, wavelength=wavelength)
    return identify(record, **{"refine": False, **options}).to_dict()


def phases(
    *names: str,
    wavelength: str | None = "CuKa",
    seconds: float = 60.0,
    elements: tuple[str, ...] | None = None,
) -> Callable[[Path], str]:
    """Right are these phases and no others, with "unknown" improbable, within a time.

    Parameters
    ----------
    names : in small letters, each the beginning of the name of one phase
    wavelength : by hand; None where the file has it
    seconds : of the search at most
    elements : that are named
    """

    def check(path: Path) -> str:
        answer = identified(path, wavelength, elements=elements)
        found = sorted(p["name"].lower() for p in answer["phases"])
        spent, unknown = answer["seconds"]["search"], answer["unknown"]["probability"]
        came = ", ".join(
            f"{p['name']} {p['weight_fraction']:.3f} ({p['confidence']:.2f})"
            for p in answer["phases"]
        )
        same = len(found) == len(names) and all(map(str.startswith, found, sorted(names)))
        right = same and unknown < 0.5 and spent < seconds
        return holds(right, f"{came}; unknown {unknown:.2f}; {spent:.1f} s")

    return check


def analysed(path: Path, *options: str) -> dict[str, Any]:
    """``properties.json`` of the command ``microstructure``, run as a person would."""
    import json
    import subprocess
    import sys

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "xtalfuse", "microstructure", str(path), *options]
        ran = subprocess.run(
            [*command, "--out", folder, "--quiet"], capture_output=True, text=True, check=False
        )
        found = sorted(Path(folder).rglob("properties.json"))
        if not found:
            raise WrongError(f"exit {ran.returncode}: {ran.stderr.strip()[-300:]}")
        result: dict[str, Any] = json.loads(found[0].read_text("utf-8"))
    return result


def holds(right: bool, came: str) -> str:
    """`came`, if it is right.

    Raises
    ------
    WrongError
        If it is not.
    """
    if not right:
        raise WrongError(came)
    return came


def _elements(path: Path) -> ElementEvidence:
    from xtalfuse.encoders.spectrum.elements import element_evidence
    from xtalfuse.loaders import load

    return element_evidence(load(path))


def shows(*, sure: str = "", named: str = "", never: str = "") -> Callable[[Path], str]:
    """Right is a spectrum that shows all of `sure`, names `named` at least as possible, and
    shows none of `never` (symbols with blanks between)."""

    def check(path: Path) -> str:
        evidence = _elements(path)
        seen, possible = evidence.present(), evidence.possible()
        came = f"{', '.join(sorted(seen))}; possible: {', '.join(sorted(possible)) or 'none'}"
        right = seen >= set(sure.split()) and seen | possible >= set(named.split())
        return holds(right and not seen & set(never.split()), came)

    return check
