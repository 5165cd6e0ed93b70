"""How an encoder is declared: what it reads, and where the function stands that reads it.

`TokenSet` is what learned encoders give; what they read is declared in `xtalfuse.encoders.tokens`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from xtalfuse.loaders.record import Measurement, Modality

if TYPE_CHECKING:
    from torch import Tensor

E = TypeVar("E")


@dataclass(frozen=True)
class Encoder(Generic[E]):
    """From one measurement to what it says, before anything is known of the specimen.

    To add one, write a function ``encode(measurement) -> E`` in a file of its own, which imports
    what is heavy (scipy too) only when it runs. A module of `xtalfuse.encoders`, or a room in it,
    declares it under the name ``ENCODER``; another package, under the entry points
    ``xtalfuse.encoders``. E is a frozen dataclass of your own: arrays with
    shapes and units in its docstring, uncertainties beside the numbers, warnings as text, no
    figure and no prior.
    Of the function the laws of the house (tests/laws/test_encoders.py) ask, for every encoder
    in the list:

    - it depends on the measurement alone: the same bits twice, and the measurement unchanged;
    - an array that is empty or holds no number is refused with a `ValueError` that begins with
      ``measurement.provenance.path`` and says what to do; it never passes as data;
    - units come from ``measurement.axes`` and are never guessed; a scale of the intensity that
      means nothing changes nothing;
    - a record that can say nothing raises, or says so; it is no evidence against anything.

    Parameters
    ----------
    name : what it is called in the list
    about : what it finds, in one line
    modalities : of the measurements that it reads
    encode_at : where the function stands, as ``"module:function"``; imported when it is used
    """

    name: str
    about: str
    modalities: frozenset[Modality]
    encode_at: str

    def encode(self, measurement: Measurement) -> E:
        """What the measurement says.

        Raises
        ------
        ValueError
            If it is of another modality, or its array cannot be used; the message names the
            file, the cause and the remedy.
        """
        if measurement.modality not in self.modalities:
            wanted = " or ".join(sorted(self.modalities))
            raise ValueError(
                f"{measurement.provenance.path}: {measurement.modality}, but the encoder "
                f"{self.name!r} reads {wanted}; choose another encoder"
            )
        return cast(Callable[[Measurement], E], resolve_name(self.encode_at))(measurement)


@dataclass(frozen=True)
class TokenSet:
    """What learned encoders say of B specimens, in one form for all modalities.

    Parameters
    ----------
    values : (B, T, D)
    mask : (B, T) whether there is a token; what stands under False must change nothing
    place : (B, T, 2) physical coordinate of each token (ln|g|, ln E, ln size) and its uncertainty
    kind : (B, T) number of the modality
    """

    values: Tensor
    mask: Tensor
    place: Tensor
    kind: Tensor
