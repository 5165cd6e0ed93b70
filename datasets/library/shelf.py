"""A library of reference structures, in memory or in a file: `Library` and its `Entry`.

Reflections of all entries lie in flat arrays with offsets, so that ten thousand open in under
a second and one is a slice. `xtalfuse.datasets.library.build` builds them.
"""

from __future__ import annotations

import gc
import json
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xtalfuse.datasets.cif.species import formula_amounts
from xtalfuse.datasets.library.compile import Compiled
from xtalfuse.datasets.library.lookalike import LookAlikes
from xtalfuse.datasets.records.store import StoreError, read_arrays, write_arrays
from xtalfuse.physics.crystal.cell import Crystal, Site
from xtalfuse.physics.crystal.diffraction import Reflections
from xtalfuse.physics.given import as_path

if TYPE_CHECKING:
    from pymatgen.core import Structure

FORMAT = "xtalfuse-library-1"
LARGE = ("hkl", "multiplicity", "geometric")  # checked entry by entry when they are used


@dataclass(frozen=True)
class Entry:
    """One structure of a library."""

    id: str
    name: str
    formula: str
    crystal: Crystal
    citation: str
    source: str
    class_id: int  # entries of one class cannot be told apart by a powder pattern
    warnings: tuple[str, ...] = ()  # what validation found unusual, but possible
    notes: tuple[str, ...] = ()  # what was assumed or corrected while reading


class Library:
    """Reference structures, immutable; made by `Library.load`, `build` or `builtin`.

    Reflections are read from the file when they are asked for; a library may be sent to
    another process, which maps the same file.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        arrays: dict[str, np.ndarray],
        rows: np.ndarray | None = None,
        path: Path | None = None,
        sha256: str = "",
    ) -> None:
        """Of parts that exist; users call `load`, `from_structures` or `build`.

        Parameters
        ----------
        entries : the structures
        arrays : reflections of all rows, flat, as `pack` makes them
        rows : (n,) int, row of each entry in the arrays; None where they are all there
        path, sha256 : of the file that holds them, None and empty in memory
        """
        self.entries = tuple(entries)
        self.path = path
        self.sha256 = sha256
        self._arrays = arrays
        self._rows = np.arange(len(self.entries)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.entries)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.path is None:
            return Library, (self.entries, self._arrays, self._rows)
        return _reopen, (self.path, self._rows, self.sha256)

    def reflections(self, index: int) -> Reflections:
        """Reflections of entry `index`, d >= 0.7 angstrom, for the cell of its crystal.

        Raises
        ------
        StoreError
            If they do not match the checksum they were stored with.
        """
        row, a = int(self._rows[index]), self._arrays
        lines = slice(int(a["line_start"][row]), int(a["line_start"][row + 1]))
        elements = a["element"][int(a["element_start"][row]) : int(a["element_start"][row + 1])]
        first = int(a["geometric_start"][row])
        geometric = a["geometric"][first : int(a["geometric_start"][row + 1])]
        parts = [
            np.asarray(part) for part in (a["hkl"][lines], a["multiplicity"][lines], geometric)
        ]
        if _crc(*parts) != a["crc"][row]:
            raise StoreError(
                f"{self.path}: the reflections of {self.entries[index].id} are damaged; "
                "build the library again"
            )
        shape = (lines.stop - lines.start, len(elements))
        return Reflections(parts[0], parts[1], parts[2].reshape(shape), np.asarray(elements))

    @cached_property
    def _places(self) -> dict[str, int]:
        return {entry.id: position for position, entry in enumerate(self.entries)}

    @cached_property
    def _here(self) -> dict[int, int]:
        """Where each stored row stands in this library."""
        return {row: position for position, row in enumerate(self._rows.tolist())}

    def index(self, entry_id: str) -> int:
        """Index of the entry called `entry_id`.

        Raises
        ------
        KeyError
            If there is none; the message names similar ones.
        """
        import difflib

        if entry_id in self._places:
            return self._places[entry_id]
        near = difflib.get_close_matches(entry_id, list(self._places), 3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise KeyError(f"no entry {entry_id!r} in the library{hint}")

    def equivalents(self, index: int) -> tuple[str, ...]:
        """Ids of the other entries that a powder pattern cannot tell apart from this one.

        All members of its class, and entries alike to this one but not to the whole class.
        """
        row = int(self._rows[index])
        start = self._arrays["alike_start"]
        alike = self._arrays["alike"][int(start[row]) : int(start[row + 1])]
        return tuple(self.entries[self._here[r]].id for r in alike.tolist() if r in self._here)

    def select(self, elements: Collection[str]) -> np.ndarray:
        """(m,) indices of the entries that hold no other elements than these."""
        allowed = {"H" if symbol == "D" else symbol for symbol in elements}
        return np.array(
            [i for i, e in enumerate(self.entries) if e.crystal.elements <= allowed], dtype=int
        )

    def find(self, text: str) -> list[int]:
        """Indices of entries whose id, name or formula has `text`; exact ones first."""
        wanted = text.strip().lower()
        ranked = []
        for position, entry in enumerate(self.entries):
            names = [entry.id.lower(), entry.name.lower(), entry.formula.lower()]
            if any(wanted in name for name in names):
                ranked.append((wanted not in names, position))
        return [position for _, position in sorted(ranked)]

    def subset(self, indices: Iterable[int]) -> Library:
        """The library of these entries only, in this order; classes keep their numbers."""
        chosen = np.array(list(indices), dtype=int)
        entries = [self.entries[int(i)] for i in chosen]
        return Library(entries, self._arrays, self._rows[chosen], self.path, self.sha256)

    def without(self, ids: Collection[str], *, look_alikes: bool = False) -> Library:
        """The library without these entries, and without all that look like them if asked."""
        gone = set(ids)
        if look_alikes:
            for entry_id in ids:
                gone.update(self.equivalents(self.index(entry_id)))
        return self.subset(i for i, e in enumerate(self.entries) if e.id not in gone)

    def info(self) -> dict[str, Any]:
        """What the library holds, as plain values."""
        elements = sorted({symbol for entry in self.entries for symbol in entry.crystal.elements})
        lines = self._arrays["line_start"]
        return {
            "path": str(self.path) if self.path else None,
            "sha256": self.sha256,
            "entries": len(self),
            "classes": len({entry.class_id for entry in self.entries}),
            "with_warnings": sum(bool(entry.warnings) for entry in self.entries),
            "elements": elements,
            "reflections": int((lines[self._rows + 1] - lines[self._rows]).sum()),
        }

    def save(self, path: str | Path) -> str:
        """Write the library, atomically; returns the sha256 of its content."""
        if len(self._rows) != len(self._arrays["line_start"]) - 1:
            compiled = [_compiled(self, i) for i in range(len(self))]
            return from_compiled(compiled).save(path)
        return write_arrays(path, self._arrays, {"format": FORMAT})

    @classmethod
    def from_structures(
        cls,
        structures: Sequence[Structure],
        names: Sequence[str] | None = None,
        out: str | Path | None = None,
    ) -> Library:
        """A library of pymatgen structures; no CIF files are needed.

        Parameters
        ----------
        structures : of any cell and setting; the space group is found with spglib. A site
            property ``b_iso`` or ``u_iso`` (angstrom^2) is its displacement parameter
        names : of the entries; their formulas by default
        out : a file to write the library to as well

        Raises
        ------
        ValueError
            If a structure cannot be one (distances, occupancies, bond valences, as for CIF
            files); the message names it, the cause and the remedy.
        """
        from xtalfuse.datasets.library.pymatgen import compile_structures

        library = from_compiled(compile_structures(structures, names))
        if out is None:
            return library
        library.save(out)
        return cls.load(out)

    @classmethod
    def load(cls, path: str | Path) -> Library:
        """Open a library file.

        Structures are checked against their sha256 at once, reflections when they are used.

        Raises
        ------
        StoreError
            If the file is absent, damaged or no library; the message says what to do.
        """
        path = as_path(path, "Library.load")
        arrays, attributes, sha256 = read_arrays(path, unchecked=LARGE)
        if attributes.get("format") != FORMAT:
            raise StoreError(
                f"{path.name}: not a library of this version ({attributes.get('format')!r}); "
                "build it again with: xtalfuse library build"
            )
        return cls(_entries(arrays), arrays, None, path.absolute(), sha256)


def _reopen(path: Path, rows: np.ndarray, sha256: str) -> Library:
    whole = Library.load(path)
    if whole.sha256 != sha256:
        raise StoreError(f"{path.name}: the library was replaced while it was in use; start again")
    return whole.subset(rows)


def _entries(arrays: dict[str, np.ndarray]) -> list[Entry]:
    """All entries; the garbage collector would look a hundred thousand new sites through."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return [_entry(row) for row in json.loads(bytes(arrays["entries"]).decode())]
    finally:
        if collecting:
            gc.enable()


def _entry(row: dict[str, Any]) -> Entry:
    sites = tuple(Site(s[0], (s[1], s[2], s[3]), s[4], s[5]) for s in row["sites"])
    crystal = Crystal(tuple(row["cell"]), row["space_group"], sites)
    return Entry(
        row["id"],
        row["name"],
        row["formula"],
        crystal,
        row["citation"],
        row["source"],
        row["class"],
        tuple(row["warnings"]),
        tuple(row["notes"]),
    )


def unpack(arrays: dict[str, np.ndarray]) -> list[Compiled]:
    """The entries that `pack` put into arrays."""
    library = Library(_entries(arrays), arrays)
    return [_compiled(library, index) for index in range(len(library))]


def _compiled(library: Library, index: int) -> Compiled:
    e = library.entries[index]
    return Compiled(
        e.id, e.name, e.formula, e.crystal, e.citation, e.source, e.warnings, e.notes,
        library.reflections(index),
    )  # fmt: skip


def pack(compiled: Sequence[Compiled], alike: LookAlikes | None = None) -> dict[str, np.ndarray]:
    """Flat arrays of many entries: what a library file holds."""
    n = len(compiled)
    lines = [item.reflections for item in compiled]
    class_ids = np.arange(n) if alike is None else alike.class_ids
    pairs = np.empty((0, 2), int) if alike is None else alike.pairs
    both = np.concatenate([pairs, pairs[:, ::-1]]) if len(pairs) else pairs
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    rows = [_row(item, int(k)) for item, k in zip(compiled, class_ids, strict=True)]
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()
    return {
        "entries": np.frombuffer(text, np.uint8),
        "hkl": np.concatenate([r.hkl for r in lines] or [np.empty((0, 3))]).astype(np.int16),
        "multiplicity": np.concatenate([r.multiplicity for r in lines] or [np.empty(0)]).astype(
            np.int16
        ),
        "geometric": np.concatenate([r.geometric.ravel() for r in lines] or [np.empty(0)]).astype(
            np.complex64
        ),
        "crc": np.array([_crc(r.hkl, r.multiplicity, r.geometric) for r in lines], np.uint32),
        "element": np.concatenate([r.elements for r in lines] or [np.empty(0)]).astype(np.uint8),
        "line_start": _starts([len(r) for r in lines]),
        "geometric_start": _starts([r.geometric.size for r in lines]),
        "element_start": _starts([len(r.elements) for r in lines]),
        "alike": both[:, 1].astype(np.int32),
        "alike_start": _starts(np.bincount(both[:, 0], minlength=n)),
    }


def _crc(hkl: np.ndarray, multiplicity: np.ndarray, geometric: np.ndarray) -> int:
    """Checksum of the reflections of one entry, in the types they are stored in."""
    value = zlib.crc32(np.ascontiguousarray(hkl, np.int16).data)
    value = zlib.crc32(np.ascontiguousarray(multiplicity, np.int16).data, value)
    return zlib.crc32(np.ascontiguousarray(geometric, np.complex64).data, value)


def _starts(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.asarray(lengths, np.int64))]).astype(np.int64)


def _row(item: Compiled, class_id: int) -> dict[str, Any]:
    return {
        "id": item.id,
        "name": item.name,
        "formula": item.formula,
        "citation": item.citation,
        "source": item.source,
        "class": class_id,
        "warnings": list(item.warnings),
        "notes": list(item.notes),
        "cell": list(item.crystal.cell),
        "space_group": item.crystal.space_group,
        "sites": [[s.species, *s.position, s.occupancy, s.b_iso] for s in item.crystal.sites],
    }


def from_compiled(compiled: Sequence[Compiled]) -> Library:
    """A library in memory; look-alikes are searched for."""
    from xtalfuse.datasets.library.lookalike import look_alikes

    alike = look_alikes(
        [c.crystal for c in compiled],
        [c.reflections for c in compiled],
        [formula_amounts(c.formula) for c in compiled],
    )
    arrays = pack(compiled, alike)
    entries = [_entry(_row(c, int(k))) for c, k in zip(compiled, alike.class_ids, strict=True)]
    return Library(entries, arrays)
