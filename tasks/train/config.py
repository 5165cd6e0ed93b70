"""What ``xtalfuse train`` is told: one YAML file, typed, every mistake named with its place."""

from __future__ import annotations

import difflib
import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from xtalfuse.encoders.tokens import TOKEN_ENCODERS
from xtalfuse.loaders.record import UnreadableFileError

Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=1)]


class ConfigError(UnreadableFileError):
    """A configuration that cannot be trained; the message lists all that is wrong."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TargetConfig(_Strict):
    """One label that is learned.

    `kind` is number or class, `unit` what it must have in the dataset, `scale` how a number is
    learned: linear, log (always positive) or bounded (between `low` and `high`).
    """

    kind: Literal["number", "class"] = "number"
    unit: str = ""
    scale: Literal["linear", "log", "bounded"] = "linear"
    low: FiniteFloat = 0.0
    high: FiniteFloat = 1.0

    @model_validator(mode="after")
    def _ordered(self) -> TargetConfig:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        return self


class NetworkConfig(_Strict):
    """Size of the network; `latents` above 0 where specimens have thousands of tokens."""

    width: Count = 64
    layers: Count = 2
    heads: Count = 4
    latents: Annotated[int, Field(ge=0)] = 0
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1

    @model_validator(mode="after")
    def _divided(self) -> NetworkConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class TrainingConfig(_Strict):
    """How each network is trained; `absent` is the rate at which a whole input is left out."""

    steps: Count = 1000
    batch: Count = 32
    learning_rate: Annotated[FiniteFloat, Field(gt=0.0)] = 1e-3
    weight_decay: Annotated[FiniteFloat, Field(ge=0.0)] = 0.05
    absent: Annotated[float, Field(ge=0.0, lt=1.0)] | dict[str, Share] = 0.3
    seed: int = 0


class Config(_Strict):
    """A training.

    `dataset` is a folder of ``xtalfuse dataset build``, `split` one of its stored splits, whose
    part `learn` is learned from and whose other parts are never looked at; `inputs` are names of
    the list of token encoders; `columns` are labels that are known beforehand; `folds` is the
    number of networks, each tested on the fold that it did not see; `coverage` of the intervals.
    """

    dataset: Path
    split: str
    learn: str = "train"
    targets: Annotated[dict[str, TargetConfig], Field(min_length=1)]
    inputs: Annotated[tuple[str, ...], Field(min_length=1)]
    columns: tuple[str, ...] = ()
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    coverage: Share = 0.9
    network: NetworkConfig = NetworkConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="after")
    def _named(self) -> Config:
        for name in self.inputs:
            try:
                TOKEN_ENCODERS[name]
            except KeyError as error:
                raise ValueError(str(error)) from None
        both = sorted(set(self.targets) & set(self.columns))
        if both:
            raise ValueError(f"{both[0]!r} is a target and a column; a model would be told it")
        if ("columns" in self.inputs) != bool(self.columns):
            raise ValueError("the input 'columns' and the list `columns` go together")
        rates = self.training.absent
        strange = sorted(set(rates) - set(self.inputs)) if isinstance(rates, dict) else []
        if strange:
            raise ValueError(f"training.absent names {strange[0]!r}, which is no input")
        return self

    @property
    def absent(self) -> dict[str, float]:
        """Input -> rate at which training leaves it out; nothing is left out of one alone."""
        rates = self.training.absent
        if isinstance(rates, dict):
            return dict(rates)
        return dict.fromkeys(self.inputs, rates) if len(self.inputs) > 1 else {}

    def sha256(self, build: str) -> str:
        """Of all that the result depends on.

        Parameters
        ----------
        build : sha256 of the build of the dataset
        """
        content = self.model_dump(mode="json", exclude={"dataset"})
        return hashlib.sha256(json.dumps([content, build], sort_keys=True).encode()).hexdigest()


def read_config(path: str | Path) -> Config:
    """The configuration of a YAML file; a path in it starts from the folder of the file.

    Raises
    ------
    ConfigError
        If it is absent, no YAML, or says what cannot be; each mistake is one line.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; write one: xtalfuse train --init DATASET"
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: no YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: not a table of names and values; see docs/training.md")
    try:
        config = Config.model_validate(content)
    except ValidationError as error:
        lines = [f"{path}: {_told(each)}" for each in error.errors()]
        raise ConfigError("\n".join(lines)) from None
    return config.model_copy(update={"dataset": path.absolute().parent / config.dataset})


def _told(error: Any) -> str:
    """One mistake: where, what, and what may have been meant."""
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        cause = error["msg"].removeprefix("Value error, ")
        return (
            f"{where or 'the whole'}: {cause} (given: {error['input']!r:.60})" if where else cause
        )
    last = str(error["loc"][-1])
    known = _fields(error["loc"][:-1])
    near = difflib.get_close_matches(last, known, n=1)
    meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    return f"{where}: no such setting; {meant}"


def _fields(place: tuple[Any, ...]) -> list[str]:
    """Names of the settings at a place of the configuration."""
    sections: dict[str, type[BaseModel]] = {
        "targets": TargetConfig, "network": NetworkConfig, "training": TrainingConfig,
    }  # fmt: skip
    return list(sections.get(str(place[0]) if place else "", Config).model_fields)
