"""A quantity that was found, and how far it may be trusted: one type for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

NORMAL_QUANTILE = 1.6448536269514722  # half width of a 90 % interval per standard deviation
ROUND_OFF = 1e-6  # relative; of single precision


@dataclass(frozen=True)
class Estimate:
    """One quantity with its standard uncertainty.

    Parameters
    ----------
    quantity : what it is: ``"youngs_modulus"``
    value : number or array
    uncertainty : standard one, of the shape of `value`; None where nothing is known of it
    unit : of both
    method : how it was found
    assumptions : what was taken for granted
    validity : where it holds and where it does not
    phase : the phase that it is of; None of the whole
    direction : axis of the specimen along which it is; None of a scalar or a tensor
    samples : (k, ...) values as they might as well be; None where there are none
    zero_model : what is known without any learning, of the shape of `value`; None where
        nothing was learned
    """

    quantity: str
    value: Any
    uncertainty: Any
    unit: str
    method: str
    assumptions: tuple[str, ...] = ()
    validity: str = ""
    phase: str | None = None
    direction: str | None = None
    samples: np.ndarray | None = None
    zero_model: np.ndarray | None = None

    @property
    def name(self) -> str:
        """As in ``properties.json``: ``"taylor_factor_x[Copper]"``."""
        axis = "" if self.direction is None else f"_{self.direction}"
        phase = "" if self.phase is None else f"[{self.phase}]"
        return f"{self.quantity}{axis}{phase}"

    @property
    def half_width(self) -> Any:
        """Of the interval that holds the true value in 90 of 100 cases, if errors are normal."""
        return None if self.uncertainty is None else NORMAL_QUANTILE * self.uncertainty

    def derived(
        self,
        quantity: str,
        of: Callable[[np.ndarray], Any],
        unit: str,
        direction: str | None = None,
    ) -> Estimate:
        """What follows from this: `of` its value, with the spread of `of` its samples.

        Parameters
        ----------
        quantity, unit, direction : of what follows
        of : function of a value
        """
        value = np.asarray(of(self.value))
        spread = None
        if self.samples is not None:
            spread = np.std([np.asarray(of(sample)) for sample in self.samples], axis=0)
        if value.ndim == 0 and spread is not None:
            spread = known_spread(float(value), float(spread))
        return replace(
            self,
            quantity=quantity,
            value=float(value) if value.ndim == 0 else value,
            uncertainty=spread,
            unit=unit,
            direction=direction,
            samples=None,
            zero_model=None,
        )


def known_spread(value: float, spread: float) -> float | None:
    """A standard uncertainty; None where it is round-off, and nothing is known of it."""
    return float(spread) if spread > ROUND_OFF * abs(value) else None
