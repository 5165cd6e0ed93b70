"""One declaration puts a thing on the list, and a wrong name is answered with a near one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint

import pytest

from xtalfuse.physics.registry import Registry, UnknownNameError


@dataclass(frozen=True)
class Thing:
    name: str


@pytest.fixture
def package(tmp_path, monkeypatch) -> str:
    """A package of two modules that declare things, and one that declares nothing."""
    room = tmp_path / "a_room_of_things"
    room.mkdir()
    (room / "__init__.py").write_text("")
    (room / "two.py").write_text(f"from {__name__} import Thing\nTHINGS = Thing('b'), Thing('c')\n")
    (room / "one.py").write_text(f"from {__name__} import Thing\nTHINGS = Thing('a')\n")
    (room / "none.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    return "a_room_of_things"


def test_modules_of_a_room_are_found_in_one_order(package: str):
    things = Registry("thing", rooms=(package,), attribute="THINGS")
    assert list(things) == ["a", "b", "c"]
    assert things["b"] == Thing("b")


def test_other_packages_declare_by_entry_points(monkeypatch):
    point = EntryPoint("mine", f"{__name__}:Thing", "xtalfuse.things")
    monkeypatch.setattr(EntryPoint, "load", lambda self: Thing("theirs"))
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group: [point] if group == point.group else []
    )
    assert list(Registry("thing", "xtalfuse.things")) == ["theirs"]
    assert list(Registry("thing", "xtalfuse.others")) == []


def test_a_lazy_thing_is_imported_when_it_is_asked_for():
    things: Registry[object] = Registry("thing")
    things.add("absent", "no_such_module_anywhere:attribute")
    assert list(things) == ["absent"]
    with pytest.raises(ModuleNotFoundError):
        things["absent"]


def test_a_wrong_name_is_answered_with_a_near_one():
    readers: Registry[int] = Registry("reader")
    readers.add("xrdml", 1)
    with pytest.raises(UnknownNameError, match=r"^no reader 'xrdlm'; did you mean 'xrdml'\?$"):
        readers["xrdlm"]
    with pytest.raises(UnknownNameError, match=r"^no reader 'zzz'; there are xrdml$"):
        readers["zzz"]


def test_a_name_belongs_to_one_thing():
    things: Registry[int] = Registry("thing")
    things.add("a", 1)
    things.add("a", 1)
    with pytest.raises(ValueError, match="two things are called 'a'"):
        things.add("a", 2)
