"""Records as flat arrays and plain JSON values, and back, to the same bits."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from xtalfuse.loaders.record import Measurement, Modality, Record

# |g| = 1/d of powder patterns, 1/angstrom: d from 20 to 0.5 angstrom covers what X-ray tubes see.
# A step of 9e-4 in ln |g| is 0.013 degrees of two theta at 30 degrees, half a usual step.
POWDER_G = np.exp(np.linspace(np.log(0.05), np.log(2.0), 4096)).astype(np.float32)
_FLAGS = ":bool"  # ends the name of an array of truth values


def pack(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """A value of our own types as JSON; its arrays go into `arrays`, under the names it holds."""
    if isinstance(value, np.ndarray):
        name = name.replace("/", "|")  # which would be a folder in HDF5
        flags = value.dtype == bool  # HDF5 has no such type
        arrays[name] = value.view(np.uint8) if flags else value
        return name + _FLAGS * flags
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: pack(getattr(value, field.name), f"{name}.{field.name}", arrays)
            for field in fields(value)
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): pack(item, f"{name}.{key}", arrays) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [pack(item, f"{name}.{k}", arrays) for k, item in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    return value


def unpack(kind: Any, content: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """The value of this type that `pack` wrote."""
    if kind is np.ndarray:
        array = arrays[content.removesuffix(_FLAGS)]
        return array.view(bool) if content.endswith(_FLAGS) else array
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if content is None:
            return None
        return unpack(next(one for one in inner if one is not type(None)), content, arrays)
    if origin is tuple:
        if Ellipsis in inner:
            inner = (inner[0],) * len(content)
        return tuple(unpack(one, item, arrays) for one, item in zip(inner, content, strict=True))
    if origin is dict:
        return {key: unpack(inner[1], item, arrays) for key, item in content.items()}
    if origin is Literal or kind is Any or content is None:
        return content
    if is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        return kind(**{key: unpack(hints[key], item, arrays) for key, item in content.items()})
    if isinstance(kind, type) and issubclass(kind, (Enum, float)):
        return kind(content)
    return content


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def pack_record(record: Record, name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(what is known of a record, its arrays by name); powder patterns also on `POWDER_G`."""
    arrays: dict[str, np.ndarray] = {}
    content = pack(record, name, arrays)
    for k, measurement in enumerate(record.measurements):
        profile = on_common_axis(measurement)
        if profile is not None:
            arrays[f"{name}.powder.{k}"] = profile
    return content, arrays


def unpack_record(content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Record:
    """The record that `pack_record` wrote."""
    return unpack(Record, content, arrays)


def on_common_axis(measurement: Measurement) -> np.ndarray | None:
    """(4096,) float32 intensity of a powder pattern over `POWDER_G`, 1 at its highest point.

    It is not a number outside the range that was measured. None for what is no pattern, or has
    no wavelength: the scattering vector is 2 sin(theta) / wavelength.
    """
    radiation = measurement.radiation
    if measurement.modality is not Modality.XRD or radiation is None:
        return None
    angle = measurement.axis("two_theta")
    g = 2.0 * np.sin(np.radians(0.5 * angle)) / radiation.primary_angstrom
    values = np.asarray(measurement.values, float)
    top = float(np.nanmax(values))
    if not top > 0.0:
        return None
    return np.interp(POWDER_G, g, values / top, np.nan, np.nan).astype(np.float32)
