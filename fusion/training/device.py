"""Where training runs: CPU, CUDA, ROCm, MPS or XPU; one process or many under torchrun."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed

BACKENDS = {"cuda": "nccl", "xpu": "xccl"}  # of collectives; gloo everywhere else


def choose_device(name: str = "auto") -> torch.device:
    """The device called `name`; ``"auto"`` is the accelerator of this machine, else the CPU.

    Raises
    ------
    ValueError
        If the name is no device, or this machine has no such device.
    """
    # without check_available this names what the wheel was built for, present or not
    present = torch.accelerator.current_accelerator(check_available=True)
    if name == "auto":
        return present or torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"{name!r} is no device; use auto, cpu, cuda, mps or xpu") from None
    if device.type != "cpu" and (present is None or present.type != device.type):
        there = present.type if present else "none"
        raise ValueError(
            f"no {device.type} on this machine (accelerator: {there}); use --device auto or cpu"
        )
    return device


@dataclass(frozen=True)
class World:
    """The processes that train together.

    Parameters
    ----------
    device : of this process
    rank : number of this process
    size : number of processes
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0


@contextmanager
def world(name: str = "auto") -> Iterator[World]:
    """This process among those that torchrun started, or alone.

    Parameters
    ----------
    name : device, as of `choose_device`; each process of a machine takes its own accelerator
    """
    device = choose_device(name)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(device)
        return
    if device.type != "cpu":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        device = torch.device(device.type, local % torch.accelerator.device_count())
        torch.accelerator.set_device_index(device.index)
    distributed.init_process_group(BACKENDS.get(device.type, "gloo"))
    try:
        yield World(device, distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()
