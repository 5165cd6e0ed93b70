"""Weights that come with the package: a safetensors file and, beside it, how they were made.

``name.json`` holds the sha256 of ``name.safetensors`` and the configuration: size of the
network, seed, command, training data. Damaged weights load without complaint, which is why
the hash is always checked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xtalfuse.datasets.sets.atomic import replacing
from xtalfuse.loaders.record import UnreadableFileError

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = Path(__file__).parents[1] / "weights"


class WeightsError(UnreadableFileError):
    """Weights that cannot be trusted: the message names file, cause and remedy."""


def save_weights(path: str | Path, state: Mapping[str, Tensor], config: Mapping[str, Any]) -> str:
    """Write weights and their configuration, each file whole or not at all.

    Parameters
    ----------
    path : ``name.safetensors``; the configuration goes to ``name.json`` beside it
    state : name -> tensor, as of ``Module.state_dict()``
    config : plain JSON values

    Returns
    -------
    sha256 of the safetensors file
    """
    from safetensors.torch import save

    path = Path(path)
    content = save({name: each.detach().cpu().contiguous() for name, each in state.items()})
    sha256 = hashlib.sha256(content).hexdigest()
    text = json.dumps({"sha256": sha256, **config}, indent=1, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    with replacing(path.with_suffix(".json")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return sha256


def load_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and configuration.

    Parameters
    ----------
    path : ``name.safetensors``, or the bare name of weights that come with the package

    Raises
    ------
    WeightsError
        If a file is missing or damaged, or the two do not belong together.
    """
    from safetensors.torch import load

    path = Path(path)
    if path.suffix != ".safetensors":
        path = WEIGHTS / f"{path.name}.safetensors"
    try:
        content = path.read_bytes()
        config = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        expected = config.pop("sha256")
    except FileNotFoundError as error:
        raise WeightsError(
            f"{error.filename}: no such file; install the package again or train the weights"
        ) from None
    except (ValueError, KeyError, AttributeError) as error:
        raise WeightsError(
            f"{path.with_suffix('.json')}: not a configuration of weights ({error}); "
            "install the package again or train the weights"
        ) from None
    if hashlib.sha256(content).hexdigest() != expected:
        raise WeightsError(
            f"{path}: its sha256 is not that of {path.with_suffix('.json').name}: the weights "
            "were damaged or belong to another configuration; install the package again"
        )
    return load(content), config
