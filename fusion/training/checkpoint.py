"""Checkpoints of training: one file, complete or not at all, checked by sha256, no pickle.

A state is dicts, lists, tuples, plain values and tensors, nested at will, which is what torch
modules, optimizers and random generators give. Tensors are stored as safetensors; the rest is
JSON in the header of the same file.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xtalfuse.datasets.sets.atomic import replacing
from xtalfuse.loaders.record import UnreadableFileError


class CheckpointError(UnreadableFileError):
    """A checkpoint that cannot be trusted: the message names file, cause and remedy."""


def save_checkpoint(path: str | Path, state: Any) -> None:
    """Write a state; what `path` held before is replaced only when all is on disk.

    Raises
    ------
    TypeError
        If the state holds anything but dicts, lists, tuples, tensors and plain values.
    OSError
        If the file cannot be written.
    """
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    tree = json.dumps(_described(state, tensors))
    content = save(tensors, {"tree": tree})
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(hashlib.sha256(content).digest())
        file.write(content)


def load_checkpoint(path: str | Path) -> Any:
    """The state that was saved, tensors on the CPU.

    Raises
    ------
    CheckpointError
        If the file is absent, cut or changed.
    """
    from safetensors.torch import load

    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; check the path or train from the start")
    whole = path.read_bytes()
    digest, content = whole[:32], whole[32:]
    if hashlib.sha256(content).digest() != digest:
        raise CheckpointError(
            f"{path}: its content does not match its sha256: the file was damaged, or is no "
            "checkpoint; take an older one or train from the start"
        )
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    return _restored(json.loads(header["__metadata__"]["tree"]), load(content))


def _described(state: Any, tensors: dict[str, Tensor]) -> Any:
    """`state` as JSON that keeps types; its tensors are gathered by number."""
    if isinstance(state, Tensor):
        name = str(len(tensors))
        tensors[name] = state.detach().cpu().clone().contiguous()
        return {"tensor": name}
    if isinstance(state, dict):
        pairs = [[_described(k, tensors), _described(v, tensors)] for k, v in state.items()]
        return {"dict": pairs}
    if isinstance(state, list | tuple):
        return {type(state).__name__: [_described(each, tensors) for each in state]}
    if state is None or isinstance(state, bool | int | float | str):
        return state
    raise TypeError(f"a checkpoint cannot hold {type(state).__name__}; use plain values or tensors")


def _restored(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {_restored(k, tensors): _restored(v, tensors) for k, v in content}
    items = [_restored(each, tensors) for each in content]
    return tuple(items) if kind == "tuple" else items


def random_state(device: torch.device) -> dict[str, Tensor]:
    """States of torch's random generators: of the CPU and of the accelerator in use."""
    states = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        states[device.type] = torch.get_device_module(device).get_rng_state(device)
    return states


def set_random_state(states: dict[str, Tensor], device: torch.device) -> None:
    """Set the generators to what `random_state` gave; that of another device is left alone."""
    torch.set_rng_state(states["cpu"])
    if device.type != "cpu" and device.type in states:
        torch.get_device_module(device).set_rng_state(states[device.type], device)
