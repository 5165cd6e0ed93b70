"""Grain graphs on disk: HDF5 for programs, tables of grains and boundaries for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xtalfuse.datasets.records.store import StoreError, read_arrays, write_arrays
from xtalfuse.datasets.sets.atomic import replacing
from xtalfuse.physics.grains.crystal_map import MapPhase
from xtalfuse.physics.grains.graph import GrainGraph

if TYPE_CHECKING:
    import pandas as pd

KIND, SCHEMA = "grain graph", 1

# name -> kind of number and shape, n grains and m boundaries
_ARRAYS: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "orientation": ("f", ("n", 4)), "phase": ("i", ("n",)), "size": ("f", ("n",)),
    "centroid": ("f", ("n", 3)), "shape": ("f", ("n", 3, 3)), "on_border": ("u", ("n",)),
    "edges": ("i", (2, "m")), "area": ("f", ("m",)), "normal": ("f", ("m", 3, 3)),
    "misorientation": ("f", ("m",)), "axis": ("f", ("m", 3)),
}  # fmt: skip


def save_graph(path: str | Path, graph: GrainGraph) -> str:
    """Write a graph as one HDF5 file, whole or not at all; returns the sha256 of its content.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    arrays = {name: np.asarray(getattr(graph, name)) for name in _ARRAYS}
    arrays["on_border"] = arrays["on_border"].astype(np.uint8)
    attributes = {
        "kind": KIND,
        "schema": SCHEMA,
        "phases": [asdict(phase) for phase in graph.phases],
        "dimension": graph.dimension,
        "period": None if graph.period is None else [float(length) for length in graph.period],
        "length_unit": "um",
    }
    return write_arrays(path, arrays, attributes)


def load_graph(path: str | Path) -> GrainGraph:
    """Read a graph that `save_graph` wrote.

    Raises
    ------
    StoreError
        If the file is absent, damaged, of another kind, or written by a later version.
    """
    path = Path(path)
    arrays, attributes, _ = read_arrays(path)
    if attributes.get("kind") != KIND:
        raise StoreError(f"{path.name}: holds no grain graph; give the .h5 of a microstructure")
    if attributes.get("schema") != SCHEMA:
        raise StoreError(
            f"{path.name}: written in form {attributes.get('schema')!r}, this version reads "
            f"{SCHEMA}; install the version that wrote it, or build it again"
        )
    _check_shapes(path, arrays)
    held = {name: np.array(arrays[name]) for name in _ARRAYS}
    held["on_border"] = held["on_border"].astype(bool)
    try:
        phases = tuple(_phase(entry) for entry in attributes["phases"])
        period = attributes["period"]
        graph = GrainGraph(
            phases=phases,
            dimension=int(attributes["dimension"]),
            period=None if period is None else np.array(period, float).reshape(3),
            **held,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path.name}: {error} in its description; build it again") from None
    _check_numbers(path, graph)
    return graph


def _phase(entry: Mapping[str, Any]) -> MapPhase:
    values = dict(entry)
    cell = values.pop("cell")
    return MapPhase(**values, cell=None if cell is None else tuple(cell))


def _check_shapes(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    if missing := sorted(set(_ARRAYS) - set(arrays)):
        raise StoreError(f"{path.name}: no array {missing[0]!r}; build it again")
    if arrays["size"].ndim != 1 or arrays["area"].ndim != 1:
        raise StoreError(f"{path.name}: sizes or areas are no list of numbers; build it again")
    count = {"n": len(arrays["size"]), "m": len(arrays["area"])}
    for name, (kind, shape) in _ARRAYS.items():
        expected = tuple(count[s] if isinstance(s, str) else s for s in shape)
        found = arrays[name]
        if found.shape != expected or found.dtype.kind != kind:
            raise StoreError(
                f"{path.name}: {name} is {found.dtype} {found.shape} where {expected} is "
                "expected; build it again"
            )


def _check_numbers(path: Path, graph: GrainGraph) -> None:
    first, second = graph.edges
    wrong = {
        "the dimension": graph.dimension not in (2, 3),
        "a boundary": bool(
            ((first < 0) | (first >= second)).any() or second.max(initial=-1) >= len(graph)
        ),
        "a phase": bool(
            (graph.phase < 0).any() or graph.phase.max(initial=-1) >= len(graph.phases)
        ),
    }
    for what in (what for what, is_wrong in wrong.items() if is_wrong):
        raise StoreError(f"{path.name}: {what} is out of range; build it again")


def grain_table(graph: GrainGraph, extra: Mapping[str, np.ndarray] | None = None) -> pd.DataFrame:
    """One row for each grain; the unit of a column stands in its name.

    Parameters
    ----------
    graph : of a section or a volume
    extra : further columns (n,), by their names: ``{"gos_deg": ...}``

    Returns
    -------
    columns ``grain``, ``phase``, size, equivalent diameter, centroid, Bunge Euler angles (NaN
    where the phase has none), axes ratio and direction of the longest axis of the ellipsoid
    with the same second moments, number of neighbours, whether the edge cuts the grain, then
    those of `extra`
    """
    import pandas as pd

    from xtalfuse.physics.orientation.disorientation import to_euler

    axes = graph.dimension
    spread, direction = np.linalg.eigh(graph.shape[:, :axes, :axes])
    longest = np.zeros((len(graph), 3))
    longest[:, :axes] = direction[:, :, -1]
    crystalline = np.array([phase.laue is not None for phase in graph.phases], bool)[graph.phase]
    euler = np.degrees(to_euler(graph.orientation)) if len(graph) else np.zeros((0, 3))
    euler = np.where(crystalline[:, None], euler, np.nan)
    table: dict[str, Any] = {
        "grain": np.arange(len(graph)),
        "phase": [graph.phases[number].name for number in graph.phase],
        "area_um2" if axes == 2 else "volume_um3": graph.size,
        "equivalent_diameter_um": graph.diameter,
        **{f"{name}_um": graph.centroid[:, k] for k, name in enumerate("xyz")},
        **{name: euler[:, k] for k, name in enumerate(("phi1_deg", "Phi_deg", "phi2_deg"))},
        "aspect_ratio": np.sqrt(spread[:, -1] / np.maximum(spread[:, 0], 1e-300)),
        **{f"long_axis_{name}": longest[:, k] for k, name in enumerate("xyz")},
        "neighbours": np.bincount(graph.edges.ravel(), minlength=len(graph)),
        "on_border": graph.on_border,
        **(extra or {}),
    }
    return pd.DataFrame(table)


def boundary_table(
    graph: GrainGraph, extra: Mapping[str, np.ndarray] | None = None
) -> pd.DataFrame:
    """One row for each pair of grains that touch; the unit of a column stands in its name.

    Parameters
    ----------
    graph : of a section or a volume
    extra : further columns (m,), by their names: ``{"sigma": ...}``
    """
    import pandas as pd

    first, second = graph.edges
    sides = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    table: dict[str, Any] = {
        "grain_a": first,
        "grain_b": second,
        "phase_a": [graph.phases[number].name for number in graph.phase[first]],
        "phase_b": [graph.phases[number].name for number in graph.phase[second]],
        "length_um" if graph.dimension == 2 else "area_um2": graph.area,
        **{f"normal_{'xyz'[a]}{'xyz'[b]}": graph.normal[:, a, b] for a, b in sides},
        "misorientation_deg": np.degrees(graph.misorientation),
        **{f"axis_{name}": graph.axis[:, k] for k, name in enumerate("xyz")},
        **(extra or {}),
    }
    return pd.DataFrame(table)


_FORMULA = tuple("=+-@＝＋－＠")  # the wide ones as well, which Japanese spreadsheets take


def harmless(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: such a text gets an apostrophe before it.

    Names come from files of others. Spreadsheets take ``=``, ``+``, ``-``, ``@`` at the
    beginning for a formula, also behind a tab or a line end (OWASP, "CSV injection"). Numbers
    stay as they are.
    """
    if not isinstance(cell, str):
        return cell
    return f"'{cell}" if cell[:1] in tuple("\t\r\n") or cell.lstrip()[:1] in _FORMULA else cell


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, whole or not at all; numbers keep seven digits.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    table = table.rename(columns=harmless)
    for name in table.select_dtypes(exclude=["number", "bool"]):
        table[name] = table[name].map(harmless)
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.7g", encoding="utf-8")
