"""``xtalfuse doctor``: whether everything that the program needs is there and works."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import typer

from xtalfuse.terminal import JsonOption, bar, print_json

LEAST_MEMORY_GIB = 4.0  # a search in the built-in library takes about 1.5
OPTIONAL = {"xarray": "measurement.to_xarray()", "ipywidgets": "progress bars in notebooks"}


class State(StrEnum):
    """How one thing stands."""

    FINE = "ok"
    NOTE = "note"  # works without it
    BROKEN = "broken"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what was found and, where it is not fine, what to do."""

    name: str
    state: State
    found: str
    remedy: str = ""


def doctor(as_json: JsonOption = False) -> None:
    """Say what is installed, whether it works, and what to do where it does not.

    [bold]Example[/bold]

    xtalfuse doctor --json > doctor.json   (to send with a question)
    """
    checks: list[Check] = []
    with bar(spinner=True) as progress:
        progress.add_task("looking", total=None)
        for check in examine():
            checks.append(check)
    broken = [check for check in checks if check.state is State.BROKEN]
    if as_json:
        print_json({"ok": not broken, "checks": [vars(check) for check in checks]})
    else:
        _show(checks)
    raise typer.Exit(1 if broken else 0)


def _show(checks: list[Check]) -> None:
    from rich.table import Table
    from rich.text import Text

    from xtalfuse.display import consoles, shown

    style = {State.FINE: "green", State.NOTE: "yellow", State.BROKEN: "bold red"}
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        text = Text(shown(check.found))
        if check.remedy:
            text.append(f"; {shown(check.remedy)}", style=style[check.state])
        table.add_row(Text(check.state, style=style[check.state]), check.name, text)
    console = consoles()[0]
    console.print(table)
    broken = sum(check.state is State.BROKEN for check in checks)
    told = (
        "Everything that is needed works." if not broken else f"{broken} of these must be mended."
    )
    console.print(Text(f"\n{told}", style="bold red" if broken else "bold green"))


def examine() -> Iterator[Check]:
    """Each check, as soon as it is done; none of them raises."""
    from importlib.metadata import version

    yield Check("python", State.FINE, f"{sys.version.split()[0]} ({sys.platform})")
    yield Check("xtalfuse", State.FINE, version("xtalfuse"))
    yield from _dependencies()
    yield from _optional()
    yield _tried("device", _device, "install torch again for this machine")
    yield _memory()
    yield from _folders()
    yield _tried("library", _library, "empty the cache folder and try again")
    yield _tried("reading", _reading, "see whether this user may start processes")


def _dependencies() -> Iterator[Check]:
    """Each package that xtalfuse requires: installed, new enough, and importable."""
    from importlib.metadata import packages_distributions, requires

    from packaging.requirements import Requirement

    modules: dict[str, str] = {}
    for module, names in packages_distributions().items():
        for name in names:
            # of the modules of a package the one that is called like it, else the first
            known = modules.setdefault(_plain(name), module)
            if _plain(module) == _plain(name) != _plain(known):
                modules[_plain(name)] = module
    for text in requires("xtalfuse") or []:
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            yield _dependency(wanted.name, str(wanted.specifier), modules)


def _dependency(name: str, specifier: str, modules: dict[str, str]) -> Check:
    import warnings
    from importlib import import_module
    from importlib.metadata import PackageNotFoundError, version

    from packaging.specifiers import SpecifierSet

    remedy = f"run: pip install '{name}{specifier}'"
    try:
        found = version(name)
    except PackageNotFoundError:
        return Check(name, State.BROKEN, "not installed", remedy)
    if not SpecifierSet(specifier).contains(found, prereleases=True):
        return Check(name, State.BROKEN, f"{found}, wanted {specifier}", remedy)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import_module(modules.get(_plain(name), name))
    except Exception as error:  # a broken package may raise anything
        told = f"{found}, cannot be imported ({type(error).__name__}: {error})"
        return Check(name, State.BROKEN, told, f"run: pip install --force-reinstall '{name}'")
    return Check(name, State.FINE, found)


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def _optional() -> Iterator[Check]:
    from importlib.metadata import PackageNotFoundError, version

    for name, use in OPTIONAL.items():
        try:
            yield Check(name, State.FINE, f"{version(name)}, for {use}")
        except PackageNotFoundError:
            yield Check(name, State.NOTE, f"not installed; only for {use}", f"pip install {name}")


def _tried(name: str, look: Callable[[], str], remedy: str) -> Check:
    """What a look finds; whatever it raises is told with the remedy."""
    try:
        return Check(name, State.FINE, look())
    except Exception as error:
        return Check(name, State.BROKEN, f"{type(error).__name__}: {error}", remedy)


def _device() -> str:
    from xtalfuse.fusion.training.device import choose_device

    return f"{choose_device()} (where networks run)"


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    free, total = memory.available / 2**30, memory.total / 2**30
    found = f"{free:.1f} of {total:.1f} GiB free"
    if free < LEAST_MEMORY_GIB:
        return Check("memory", State.NOTE, found, "close other programs, or give --jobs 1")
    return Check("memory", State.FINE, found)


def _folders() -> Iterator[Check]:
    from xtalfuse.datasets.library.build import cache_folder

    cache = cache_folder()
    yield _writable("cache", cache, "set XDG_CACHE_HOME to a folder of yours")
    yield _writable("results", Path.cwd(), "give --out, or work in another folder")


def _writable(name: str, folder: Path, remedy: str) -> Check:
    """Whether a file can be written; a folder that is missing is made, as it would be in use."""
    import tempfile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check(name, State.NOTE, f"{folder}: cannot be written ({error.strerror})", remedy)
    return Check(name, State.FINE, f"{folder} can be written")


def _library() -> str:
    from xtalfuse.datasets.library.build import builtin

    return f"built in, {len(builtin())} entries"


def _reading() -> str:
    """Read a measured file that comes with the dependencies, in a child process as always."""
    from xtalfuse.demo import demo_jobs
    from xtalfuse.loaders import load

    job = demo_jobs(Path())[0][0]
    measurement = load(job.path, wavelength=job.options.wavelength)
    return f"{job.path.name}: {len(measurement.values)} points"
