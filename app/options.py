"""What a person writes on the command line, checked before any work begins."""

from __future__ import annotations

import difflib
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from xtalfuse.datasets.library.build import Library, Progress


T = TypeVar("T")
BUILTIN = "builtin"  # the name of the library that comes with the program


class UsageError(Exception):
    """Something was asked for in a way that cannot be answered; the message says how to."""


def element_symbols() -> tuple[str, ...]:
    """Symbols of all elements, hydrogen first."""
    import gemmi

    return tuple(gemmi.Element(number).name for number in range(1, 119))


def parse_elements(text: str | None) -> tuple[str, ...] | None:
    """Element symbols from ``"Al,O"`` or ``"Al O"``; None stays None.

    Raises
    ------
    UsageError
        If a symbol is not that of an element; the message says what may have been meant.
    """
    if text is None:
        return None
    known = element_symbols()
    written = [part for part in re.split(r"[,;\s]+", text.strip()) if part]
    for symbol in written:
        if symbol not in known:
            raise UsageError(f"--elements: {symbol!r} is no element; {_meant(symbol, known)}")
    if not written:
        raise UsageError("--elements: no element is given; write symbols such as Al,O")
    return tuple(dict.fromkeys(written))


def _meant(symbol: str, known: tuple[str, ...]) -> str:
    """What was probably meant: another spelling, a formula, or a similar symbol."""
    if symbol.capitalize() in known:
        return f"did you mean {symbol.capitalize()}?"
    parts = list(dict.fromkeys(re.findall(r"[A-Z][a-z]?", symbol)))
    rest = re.sub(r"[A-Z][a-z]?|[\d.()]", "", symbol)
    if len(parts) > 1 and not rest and all(part in known for part in parts):
        return f"did you mean {','.join(parts)}?"
    near = difflib.get_close_matches(symbol.capitalize(), known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else "write symbols such as Al,O"


def _checked(option: str, text: str | None, read: Callable[[str], T]) -> T | None:
    """What `read` makes of a text; None stays None, and a ValueError names the option."""
    try:
        return None if text is None else read(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def parse_wavelength(text: str | None) -> str | None:
    """The text itself, once it is sure that it names a radiation.

    Raises
    ------
    UsageError
        If it names neither an anode nor a wavelength in angstrom.
    """
    from xtalfuse.physics.units import radiation

    _checked("--wavelength", text, radiation)
    return text


def parse_prior(text: str) -> str:
    """The text itself, once it is sure that it names a prior.

    Raises
    ------
    UsageError
        If it does not.
    """
    from xtalfuse.fusion.evidence import Prior

    if text not in tuple(Prior):
        raise UsageError(f"--prior: {text!r} may be {' or '.join(Prior)}")
    return text


def parse_standard(text: str | None) -> str | None:
    """The text itself, once it is sure that it names an internal standard with its wt%.

    Raises
    ------
    UsageError
        If it is not a name and a number between 0 and 100.
    """
    if text is not None:  # a heavy import otherwise
        from xtalfuse.tasks.identify.powder.quantities.asked import parse_standard as parsed

        _checked("--standard", text, parsed)
    return text


def parse_modality(text: str | None, paths: Iterable[Path] = ()) -> str | None:
    """The kind of record that a person names, for files.

    Raises
    ------
    UsageError
        If there is no such kind, or one of the paths is a folder of many files.
    """
    if text is None:
        return None
    from xtalfuse.loaders.reader import stated_modality
    from xtalfuse.loaders.registry import folder_reader

    kind = str(_checked("--modality", text, stated_modality))
    for path in paths:
        if path.is_dir() and folder_reader(path) is None:
            raise UsageError(
                f"--modality: {path} is a folder; say in its specimen.yaml what each file is, as "
                f"files: {{NAME: {{modality: {kind}}}}}"
            )
    return kind


def parse_voxel_size(text: str | None) -> float | tuple[float, float, float] | None:
    """Voxel size in micrometre from ``"0.65"`` or ``"1.3,0.65,0.65"`` (z, y, x).

    Raises
    ------
    UsageError
        If it is neither one positive number nor three.
    """
    if text is None:
        return None
    from xtalfuse.loaders.reader import voxel_size

    try:
        numbers = tuple(float(part) for part in text.split(","))
        return voxel_size(numbers if len(numbers) > 1 else numbers[0])
    except ValueError:
        raise UsageError(
            f"--voxel-size: {text!r} is no size; write one number in um, or z,y,x"
        ) from None


def parse_materials(text: str | None) -> tuple[str, ...] | dict[str, str]:
    """Materials from ``"pore,gold"`` or ``"Ferrite=iron_alpha,Austenite=austenite"``.

    Raises
    ------
    UsageError
        If a name is empty or not known, or some materials are given by name of a phase and some
        are not.
    """
    from xtalfuse.tasks.structure.materials import check_material

    parts = [part.strip() for part in (text or "").split(",") if text]
    pairs = [tuple(side.strip() for side in part.rsplit("=", 1)) for part in parts]
    named = {len(pair) for pair in pairs}
    if len(named) > 1 or any(not side for pair in pairs for side in pair):
        raise UsageError(
            f"--phases: {text!r}; write materials in order, as pore,gold, or each with the name of "
            "its phase, as Ferrite=iron,Austenite=austenite"
        )
    for *_, material in pairs:
        try:
            check_material(material)
        except ValueError as error:
            raise UsageError(f"--phases: {error}") from None
    return {pair[0]: pair[1] for pair in pairs} if named == {2} else tuple(parts)


def check_section_step(step_um: float | None) -> None:
    """See that sections lie at a distance.

    Raises
    ------
    UsageError
        If it is no positive number.
    """
    if step_um is not None and not 0.0 < step_um < math.inf:
        raise UsageError(f"--section-step: {step_um:g} um; give a positive number")


def make_folder(path: Path) -> None:
    """Make the folder for results, so that a wrong place is told before any work.

    Raises
    ------
    UsageError
        If it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out: {path} cannot be made ({error.strerror})") from None


def open_library(path: Path | None, progress: Progress | None = None) -> Library:
    """The library in a file, or the built-in one; `progress` is told when that must be made.

    Parameters
    ----------
    path : file of a library; None or ``builtin`` for the one that comes with the program
    progress : is told (done, in all, what is going on)

    Raises
    ------
    UsageError
        If the file is missing or holds no library.
    """
    from xtalfuse.datasets.library.build import Library, builtin
    from xtalfuse.loaders.record import UnreadableFileError

    if path is None or str(path) == BUILTIN:
        return builtin(progress)
    if not path.is_file():
        raise UsageError(
            f"{path}: no such file; build a library with: xtalfuse library build CIFS --out {path}"
        )
    try:
        return Library.load(path)
    except UnreadableFileError as error:
        raise UsageError(str(error)) from None
