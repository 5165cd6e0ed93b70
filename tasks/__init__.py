"""Evidence and physics -> answers. This is the list of what can be asked."""

from __future__ import annotations

from xtalfuse.physics.registry import Registry
from xtalfuse.tasks.base import Task

TASKS: Registry[Task] = Registry("task", "xtalfuse.tasks")

for _task in (
    Task(
        "identify",
        "which phases a specimen holds, how much of each, and their cells",
        result_at="xtalfuse.tasks.identify.answer:Answer",
        run_at="xtalfuse.tasks.identify.pipeline:identify",
    ),
    Task(
        "microstructure",
        "grains, boundaries, pores and properties of an orientation map or a volume",
        result_at="xtalfuse.tasks.structure.result:Microstructure",
        run_at="xtalfuse.tasks.structure.analyse:analyse",
    ),
):
    TASKS.add(_task.name, _task)
