"""Every command and every piece of Python on the pages does what the page says it does."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from xtalfuse.cli import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = ("xtalfuse", "python", "make", "pip", "python3", ".ci/run", ".ci/types", "pytest")

# Commands that are read here and not run, and why. All others run, in files that this test makes.
ONLY_READ = {
    "make": "starts these tests, or hours of benchmarks",
    "pip": "installs from the network",
    "python": "simulates, trains or measures for hours",
    "python3": "makes the environment that these tests run in",
    ".ci/run": "starts these tests",
    "xtalfuse --install-completion": "writes into the files of the user's shell",
    "xtalfuse demo": "runs in tests/app/test_demo.py",
    "xtalfuse doctor": "judges the machine, which may rightly fail",
}


def commands(text: str, *, prose: bool = True) -> Iterator[str]:
    """The commands of a page: in indented and in fenced shell blocks, and in its sentences."""
    plain = re.sub(r"^```(?!bash|sh\b|console).*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line[4:] for line in plain.splitlines() if line.startswith("    ")]
    for block in re.findall(r"^```(?:bash|sh|console)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        lines += block.splitlines()
    words = "\n".join(line for line in plain.splitlines() if not line.startswith("    "))
    # a lone `xtalfuse` or `python -m xtalfuse` in the text is the name of the program
    spans = re.findall(r"`([^`]+)`", words) if prose else []
    lines += [" ".join(span.split()) for span in spans if " " in span]
    for line in lines:
        command = re.split(r"\s{2,}#|\s+# ", line.removeprefix("$ "))[0].strip()
        command = command.removeprefix(".venv/bin/")
        if command.split()[:1] and command.split()[0] in PROGRAMS:
            yield command


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def check_xtalfuse(words: list[str]) -> None:
    """See that a command and its options exist."""
    command = typer.main.get_command(app)
    context = command.make_context("xtalfuse", [], resilient_parsing=True)
    while (commands := getattr(command, "commands", None)) and words and words[0][0] != "-":
        name = words.pop(0)
        assert name in commands, f"there is no command {name}"
        command = commands[name]
        context = command.make_context(name, [], parent=context, resilient_parsing=True)
    options = {o for p in command.get_params(context) for o in (*p.opts, *p.secondary_opts)}
    check_options(words, options)


def check_options(words: list[str], known: set[str]) -> None:
    unknown = [word for word in words if word.startswith("--") and word not in known]
    assert not unknown, f"there is no {unknown}"


def check_module(words: list[str]) -> None:
    """See that ``-m module`` exists and knows the options."""
    assert words[0] == "-m", words
    if words[1] == "xtalfuse":
        return check_xtalfuse(words[2:])
    if words[1] == "pytest":
        missing = [word for word in words[2:] if "/" in word and not (ROOT / word).exists()]
        assert not missing
        return None
    if words[1] in {"venv", "pip"}:
        return None
    if words[1].startswith("benchmarks."):
        place = ROOT / words[1].replace(".", "/")
        path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    else:
        spec = importlib.util.find_spec(words[1])
        assert spec, f"there is no module {words[1]}"
        path = Path(str(spec.origin))
    # a package runs its __main__, and takes options from what it lists
    package = path.name == "__init__.py"
    assert not package or path.with_name("__main__.py").is_file(), f"{words[1]} does not run"
    files = sorted(path.parent.glob("*.py")) if package else [path]
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    assert 'if __name__ == "__main__"' in source
    return check_options(words[2:], set(re.findall(r'"(--[\w-]+)"', source)))


def check_target(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    for word in words:
        if word.startswith("bench-"):
            check_module(["-m", f"benchmarks.{word.removeprefix('bench-')}"])
        elif "=" not in word and word != "NAME":
            assert word in targets, f"there is no target {word}"


def check(command: str) -> None:
    """See that everything that a command names exists."""
    program, *words = shlex.split(command.partition(" > ")[0], comments=True)
    if program == "xtalfuse":
        check_xtalfuse(words)
    elif program in {"python", "python3"} and words:
        check_module(words)
    elif program == "make":
        check_target(words)
    elif program.startswith(".ci/"):
        assert (ROOT / program).is_file()


def is_only_read(command: str) -> bool:
    first = command.split()
    return first[0] in ONLY_READ or " ".join(first[:2]) in ONLY_READ


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_what_a_page_names_exists(page: Path):
    for command in commands(page.read_text(encoding="utf-8")):
        try:
            check(command)
        except (AssertionError, FileNotFoundError) as error:
            pytest.fail(f"{page.name}: `{command}`: {error}")


@pytest.mark.parametrize(
    "command",
    [
        "xtalfuse identfy scan.xy", "xtalfuse identify scan.xy --wave CuKa",
        "xtalfuse library make cifs/", "python -m benchmarks.nothing",
        "python -m benchmarks.rings --nothing", "python -m xtalfuse.nothing", "make nothing",
        "make bench-nothing", ".ci/nothing", "python -m pytest tests/nothing.py",
    ],
)  # fmt: skip
def test_what_does_not_exist_is_told(command: str):
    with pytest.raises((AssertionError, FileNotFoundError, ModuleNotFoundError)):
        check(command)


def test_commands_are_found_wherever_they_stand():
    page = (
        "Text `xtalfuse a b` and\n`xtalfuse`.\n\n    xtalfuse c d   # why\n"
        "    .venv/bin/python -m e\n\n```bash\n$ make f\n```\n\n"
        "```python\nxtalfuse.g\n    xtalfuse h\n```\n\n    a <- b\n"
    )
    found = ["xtalfuse c d", "python -m e", "make f", "xtalfuse a b"]
    assert list(commands(page)) == found
    assert python_blocks(page) == ["xtalfuse.g\n    xtalfuse h\n"]


STAND_INS = {"FILE": "scan.xrdml", "FOLDER": "specimens/"}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_what_a_page_shows_runs(page: Path, desk: Path):
    text = page.read_text(encoding="utf-8")
    runner = CliRunner()
    for command in commands(text, prose=False):
        words = [STAND_INS.get(w, w) for w in shlex.split(command.partition(" > ")[0])]
        if is_only_read(command) or len(words) < 2:
            continue
        done = runner.invoke(app, words[1:])
        assert done.exit_code == 0, f"{page.name}: `{command}`: {done.output}{done.exception!r}"
    names: dict[str, object] = {"__name__": __name__}  # dataclasses look their module up
    for block in python_blocks(text):
        exec(compile(block, f"{page.name}, Python", "exec"), names)


def test_no_command_is_only_read_that_no_page_shows():
    shown = [each for page in PAGES for each in commands(page.read_text(encoding="utf-8"))]
    stale = [
        each
        for each in ONLY_READ
        if not any((command + " ").startswith(each + " ") for command in shown)
    ]
    assert not stale, f"take off ONLY_READ: {stale}"
