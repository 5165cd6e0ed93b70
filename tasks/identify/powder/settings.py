"""The numbers that decide a search of a powder pattern, each with where it comes from.

`python -m benchmarks.tune` moves each of them and prints what changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

# Where a value was found by trying: on the mixtures that docs/benchmarks.md reports, so that
# those figures were not measured on patterns unseen by the search.
CHOSEN = "chosen on the development mixtures, 2026-11"


def _number(value: Any, origin: str) -> Any:
    """A setting with the origin of its value."""
    return field(default=value, metadata={"origin": origin})


@dataclass(frozen=True)
class SearchSettings:
    """Numbers of one search; a tuple is moved as a whole.

    Parameters
    ----------
    prior_strain, prior_deviatoric : of a cell about its reference, standard deviation
    prior_size, prior_microstrain : of the widths of a phase, deg
    prior_texture : of March-Dollase r about 1
    prior_zero, prior_displacement, prior_gauss_tan, prior_gauss : of the instrument, deg
    prior_asymmetry, prior_skew : of the two coefficients of the skewness
    prior_extra_b : of the displacement parameter that all atoms share, angstrom^2
    prior_spill : of sin(theta) below which the beam is longer than the specimen
    model_error : of a calculated peak height: profile shape, graininess, texture
    correlation : neighbouring points that carry one independent residual
    grain_spread : usual relative error of a calculated intensity
    grain_freedom : degrees of freedom of its Student t prior
    grain_largest : observed over calculated intensity beyond which it is another phase
    grain_groups : reflections of one phase that may be freed
    texture_taken : spread of the freed intensities that a texture must leave at most
    lines : strongest resolved reflections of a candidate that vote
    relative_error : of a calculated intensity in the ranking: texture, overlap, model
    widths : of the filter of the ranking, in typical peak widths
    quantiles : of the observed over expected intensities that are tried as the scale
    nearly : of the best score, which the error of the ranking cannot tell from it
    closer_look : candidates that a narrower filter is tried on
    strain_limit : of a candidate in the ranking
    sure_stretch : score with a stretched axis over that without, from which it is tried first
    stretch_limit, stretch_noticed : of the axis that is looked for, and that is told
    shift_limit : of 2-theta in the ranking, deg
    together : best phases that must agree on a stretch or a shift
    axis_holds : unexplained share below which no other axis is asked for
    residual_errors : of explained peaks, for the two rankings
    beam : hypotheses kept alive
    trials, settled : candidates placed for each hypothesis and ranking, and of them refined
    rivals : refined against each phase at the end
    swaps : of a phase for its rival
    max_phases : of one specimen
    min_gain : of minus twice the log posterior, per unit misfit, for one more phase
    own_lines : least share of a phase's lines, by root intensity, that are its own
    most_misfit : that a complete set of phases may leave; beyond, phases are missing
    close, almost_all : loss, and share of what a phase explains, to which a rival is worth a full
        refinement before it is judged
    names : members of a class that are tried
    major_height : of the tallest scale, from which a phase counts for a common strain
    strain_agreement : strains nearer than this agree
    agreeing_share : of the root scales, that must agree
    accepted, accepted_beside_unknown : probability from which a phase is reported; the second where
        it is as probable that one is missing
    unexplained_sigma, unexplained_height : significance, and share of the strongest peak, from
        which a peak of the residual is called unexplained
    error_at_peaks : of an explained peak; its flanks are not unexplained peaks
    telling_misfit : beyond, it is the peak shape of a pattern with very many counts
    seen_sigma : from which a line of a phase should be visible
    support_low, support_high : observed over expected intensity of a line that supports
    seen_share : of its expected intensity, from which a line is there
    """

    prior_strain: float = _number(0.002, f"references scatter by a tenth of a percent; {CHOSEN}")
    prior_deviatoric: float = _number(0.0015, CHOSEN)
    prior_size: float = _number(0.15, CHOSEN)
    prior_microstrain: float = _number(0.25, CHOSEN)
    prior_texture: float = _number(0.25, CHOSEN)
    prior_zero: float = _number(0.03, "a laboratory zero is good to some hundredths of a degree")
    prior_displacement: float = _number(0.15, f"half a millimetre on 200 mm; {CHOSEN}")
    prior_gauss_tan: float = _number(0.05, CHOSEN)
    prior_gauss: float = _number(0.05, CHOSEN)
    prior_asymmetry: float = _number(0.02, CHOSEN)
    prior_skew: float = _number(0.3, CHOSEN)
    prior_extra_b: float = _number(0.3, CHOSEN)
    prior_spill: float = _number(0.15, CHOSEN)
    model_error: float = _number(0.04, CHOSEN)
    correlation: float = _number(3.0, "peaks are sampled by 2.5 to 5 points in a width")
    grain_spread: float = _number(0.12, CHOSEN)
    grain_freedom: float = _number(2.0, "heavy tails with a finite scale; not varied")
    grain_largest: float = _number(12.0, CHOSEN)
    grain_groups: int = _number(40, "keeps the normal equations small")
    texture_taken: float = _number(0.6, CHOSEN)
    lines: int = _number(32, f"{CHOSEN}; was 40")
    relative_error: float = _number(0.15, CHOSEN)
    widths: tuple[float, ...] = _number((1.0, 2.0), CHOSEN)
    quantiles: tuple[float, ...] = _number((0.1, 0.25, 0.45, 0.65, 0.85), CHOSEN)
    nearly: float = _number(0.9, CHOSEN)
    closer_look: int = _number(250, "time")
    strain_limit: float = _number(0.015, "solid solutions; beyond, it is another compound")
    sure_stretch: float = _number(1.25, CHOSEN)
    stretch_limit: float = _number(0.025, CHOSEN)
    stretch_noticed: float = _number(0.006, "thermal expansion to 600 K stays below")
    shift_limit: float = _number(0.3, "a millimetre of displacement on 200 mm is 0.6, rare")
    together: int = _number(4, CHOSEN)
    axis_holds: float = _number(0.01, f"time; {CHOSEN}")
    residual_errors: tuple[float, ...] = _number((0.15, 0.04), CHOSEN)
    beam: int = _number(2, "time")
    trials: int = _number(6, "time")
    settled: int = _number(3, f"time; {CHOSEN}; was 4")
    rivals: int = _number(2, "time")
    swaps: int = _number(4, "ends a search that goes in circles")
    max_phases: int = _number(7, f"time; {CHOSEN}; was 8")
    min_gain: float = _number(30.0, f"{CHOSEN}; was 40")
    own_lines: float = _number(0.12, CHOSEN)
    most_misfit: float = _number(10.0, CHOSEN)
    close: float = _number(200.0, "time")
    almost_all: float = _number(
        0.15, "chosen on simulated mixtures, 2026-11; narrow lines start off"
    )
    names: int = _number(3, "time")
    major_height: float = _number(0.02, CHOSEN)
    strain_agreement: float = _number(0.003, CHOSEN)
    agreeing_share: float = _number(0.3, CHOSEN)
    accepted: float = _number(0.5, "more probable than not")
    accepted_beside_unknown: float = _number(0.75, CHOSEN)
    unexplained_sigma: float = _number(6.0, CHOSEN)
    unexplained_height: float = _number(0.005, CHOSEN)
    error_at_peaks: float = _number(0.12, CHOSEN)
    telling_misfit: float = _number(5.0, CHOSEN)
    seen_sigma: float = _number(3.0, "the usual detection limit")
    support_low: float = _number(0.4, CHOSEN)
    support_high: float = _number(2.5, CHOSEN)
    seen_share: float = _number(0.3, CHOSEN)


DEFAULT = SearchSettings()


def origins(settings: Any) -> dict[str, str]:
    """Where the value of each number of a settings object comes from."""
    return {f.name: f.metadata["origin"] for f in fields(settings)}
