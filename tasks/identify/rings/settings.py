"""The numbers that decide what rings say, each with where it comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

CHOSEN = "chosen on simulated films and one measured bismuth pattern, 2026-11"


def _number(value: Any, origin: str) -> Any:
    """A setting with the origin of its value."""
    return field(default=value, metadata={"origin": origin})


@dataclass(frozen=True)
class RingSettings:
    """Numbers of the comparison of a ring pattern with a library.

    Parameters
    ----------
    cell_su : relative; strain, temperature and composition move one ring against another
    seen_at_most : probability that even the strongest expected ring is seen (texture)
    clutter : expected rings of anything else, per unit of log |g|
    d_of_strongest : where the strongest ring may lie when uncalibrated, angstrom
    p_random : prior probability that the grains are not textured
    most_reflections : families of a candidate that are tried when the scale is unknown
    paired_groups : expected rings that a strong ring is taken for when looking for the scale
    smallest_d : of the reflections of a candidate, angstrom
    beyond : probability given to a ring where no reflections were computed
    match_sigma : distance from an expected ring at which a ring is not that one
    tie : difference of log-likelihood under which candidates are not told apart
    least_gain : of log-likelihood over "these rings belong to nothing in the library"
    least_explained : share of the ring intensity that an explanation must account for
    most_phases : of an explanation
    intensity_factor : by which texture and dynamical scattering move an intensity, typically
    intensity_span : between the strongest and the weakest ring that a camera shows
    strong : of the strongest expected ring: worth a remark when it is missing
    in_library : prior probability that the phase is one of the candidates
    rings_differ : log-likelihood by which other references must fit better to speak against
        the phases of a powder pattern
    """

    cell_su: float = _number(0.004, CHOSEN)
    seen_at_most: float = _number(0.85, CHOSEN)
    clutter: float = _number(0.3, CHOSEN)
    d_of_strongest: tuple[float, float] = _number((0.9, 12.0), "all of the built-in library")
    p_random: float = _number(0.6, CHOSEN)
    most_reflections: int = _number(600, "time")
    paired_groups: int = _number(60, "time")
    smallest_d: float = _number(0.35, "form factors end there")
    beyond: float = _number(0.3, CHOSEN)
    match_sigma: float = _number(4.0, "one in 16,000 of a normal error")
    tie: float = _number(3.0, "odds of 20")
    least_gain: float = _number(6.0, CHOSEN)
    least_explained: float = _number(0.8, CHOSEN)
    most_phases: int = _number(3, "more leave no ring unexplained")
    intensity_factor: float = _number(3.0, "a judgement, of films in general")
    intensity_span: float = _number(400.0, "8 bits and some")
    strong: float = _number(0.25, "of the remark only; decides nothing")
    in_library: float = _number(0.9, "a judgement, before any ring is seen")
    rings_differ: float = _number(15.0, CHOSEN)

    @property
    def log_scale_range(self) -> float:
        """Width of the prior of the log scale when uncalibrated."""
        return math.log(self.d_of_strongest[1] / self.d_of_strongest[0])


DEFAULT = RingSettings()
