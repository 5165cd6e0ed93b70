"""One way to list what the program can do: readers, encoders, tasks, properties, sample sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class UnknownNameError(KeyError):
    """A name that nothing is registered under; the message says which names come near."""

    def __str__(self) -> str:
        return str(self.args[0])


class Registry(Mapping[str, T], Generic[T]):
    """Named things of one kind, in the order in which they were declared.

    A thing gets in by one declaration: `add`, here or in a package that names it in its entry
    points; or, where `rooms` are given, by standing in a module of one of these packages under
    the name `attribute`. Nothing is imported before it is asked for.

    Parameters
    ----------
    kind : what is listed, in the singular, for messages: ``"reader"``
    entry_points : group in which other packages may declare more: ``"xtalfuse.readers"``;
        each entry is a thing or a tuple of things with a ``name``
    rooms : packages whose modules are searched
    attribute : of these modules: a thing, or a tuple of things, each with a ``name``

    Examples
    --------
    >>> metals = Registry("metal")
    >>> metals.add("copper", 29)
    >>> metals.add("pi", "math:pi")  # imported when it is asked for
    >>> metals["copper"], round(metals["pi"], 2)
    (29, 3.14)
    >>> metals["coper"]
    Traceback (most recent call last):
    ...
    xtalfuse.physics.registry.UnknownNameError: no metal 'coper'; did you mean 'copper'?
    """

    def __init__(
        self,
        kind: str,
        entry_points: str | None = None,
        *,
        rooms: tuple[str, ...] = (),
        attribute: str = "",
    ) -> None:
        self.kind = kind
        self.entry_points = entry_points
        self.rooms = rooms
        self.attribute = attribute
        self._items: dict[str, T | str] = {}
        self._complete = not (rooms or entry_points)

    def add(self, name: str, item: T | str) -> None:
        """Register a thing, or the place ``"module:attribute"`` where it stands.

        Raises
        ------
        ValueError
            If the name is taken by another thing.
        """
        if self._items.get(name, item) != item:
            raise ValueError(f"two {self.kind}s are called {name!r}; rename one")
        self._items[name] = item

    def __getitem__(self, name: str) -> T:
        self._collect()
        if name not in self._items:
            raise UnknownNameError(f"no {self.kind} {name!r}{self._suggestion(name)}")
        item = self._items[name]
        if isinstance(item, str):
            module, _, attribute = item.partition(":")
            item = cast(T, getattr(import_module(module), attribute))
            self._items[name] = item
        return item

    def __iter__(self) -> Iterator[str]:
        self._collect()
        return iter(tuple(self._items))

    def __len__(self) -> int:
        self._collect()
        return len(self._items)

    def _suggestion(self, name: str) -> str:
        import difflib

        near = difflib.get_close_matches(name, self._items, n=1)
        if near:
            return f"; did you mean {near[0]!r}?"
        return f"; there are {', '.join(self._items)}" if self._items else ""

    def _collect(self) -> None:
        """Find what modules of the rooms and other packages declare, once."""
        if self._complete:
            return
        from importlib.metadata import entry_points
        from pkgutil import iter_modules

        for room in self.rooms:
            for module in iter_modules(import_module(room).__path__, f"{room}."):
                found = getattr(import_module(module.name), self.attribute, ())
                if found is not self:  # the module that makes the list
                    self._declare(found)
        if self.entry_points:
            for entry in sorted(entry_points(group=self.entry_points), key=lambda e: e.name):
                try:
                    self._declare(entry.load())
                except Exception as error:  # another package's fault must not cost our own things
                    import logging

                    logging.getLogger(__name__).warning(
                        "%s %s of %s cannot be used (%s: %s); update or remove that package",
                        self.kind, entry.name, entry.value, type(error).__name__, error,
                    )  # fmt: skip
        self._complete = True

    def _declare(self, found: T | tuple[T, ...]) -> None:
        items: tuple[Any, ...] = found if isinstance(found, tuple) else (found,)
        for item in items:
            self.add(item.name, item)


# What shows a result, by kind ("html", "plot"). The front door fills it, for results, which
# know no figure, to look up; it stands here because `import xtalfuse` loads nothing heavier.
RENDERERS: Registry[Any] = Registry("renderer")
