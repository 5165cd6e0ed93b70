"""What the terminal and JSON say of an orientation map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xtalfuse.physics.grains.crystal_map import CrystalMap


def map_document(found: CrystalMap) -> dict[str, Any]:
    """Points, grid, step, phases with their share of the points, and quality maps."""
    import numpy as np

    sections, rows, columns = found.shape
    share = [float(np.mean(found.phase == i)) for i in range(len(found.phases))]
    return {
        "points": len(found.phase),
        "grid": str(found.grid),
        "sections": sections,
        "rows": rows,
        "columns": columns,
        "step_um": list(found.step),
        "not_indexed": float(np.mean(found.phase < 0)),
        "phases": [
            {"name": p.name, "laue": p.laue, "cell": p.cell, "fraction": f}
            for p, f in zip(found.phases, share, strict=True)
        ],
        "quality": sorted(found.quality),
    }


def map_rows(found: CrystalMap) -> list[tuple[str, str]]:
    """(name, text) lines for the terminal."""
    said = map_document(found)
    stack = said["sections"] > 1
    size = f"{said['rows']} rows, {said['columns']} columns"
    steps = found.step if stack else found.step[:2]
    rows = [
        ("points", f"{said['points']} on a {said['grid']} grid"),
        ("size", f"{said['sections']} sections, {size}" if stack else size),
        ("step", " x ".join(f"{step:.6g}" for step in steps) + " um"),
    ]
    for phase in said["phases"]:
        cell = "" if phase["cell"] is None else f", {_cell_text(phase['cell'])}"
        rows.append(("phase", f"{phase['name']}: {phase['fraction']:.1%}, {phase['laue']}{cell}"))
    rows.append(("not indexed", f"{said['not_indexed']:.1%}"))
    if said["quality"]:
        rows.append(("quality", ", ".join(said["quality"])))
    return rows


def _cell_text(cell: tuple[float, ...]) -> str:
    lengths = " ".join(f"{x:g}" for x in cell[:3])
    if all(x == 90.0 for x in cell[3:]):
        return f"{lengths} Å"
    return f"{lengths} Å, {' '.join(f'{x:g}' for x in cell[3:])}°"
