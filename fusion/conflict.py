"""Whether a spectrum can be of a material with given elements: where records contradict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from xtalfuse.encoders.spectrum.eels_templates import prior_probability
from xtalfuse.encoders.spectrum.elements import PRESENT, ElementEvidence

# A spectrum sees a small region and its surface, XRD the bulk: how often an element that is
# not in the phases still shows, and how often one that is in them is locally missing.
_CONTAMINATION = {"C": 0.3, "O": 0.12, "Si": 0.05}
_CONTAMINATION_DEFAULT = 0.003
_LOCALLY_MISSING = 0.03
_FLAG_LOG_ODDS = 1.0


@dataclass(frozen=True)
class Conflict:
    """Whether a spectrum can be of a material with given elements.

    Parameters
    ----------
    log_odds : natural log of p(spectrum | another material) / p(spectrum | this material)
    unexpected : element -> share of `log_odds` from being seen though not in the material
    missing : element -> share from not being seen though in the material
    flagged : the spectrum contradicts the elements
    message : one sentence for the report; "" without a conflict
    """

    log_odds: float
    unexpected: dict[str, float]
    missing: dict[str, float]
    flagged: bool
    message: str


def conflict(evidence: ElementEvidence, elements: Iterable[str]) -> Conflict:
    """Log-odds that a spectrum belongs to another material than one of these elements.

    Elements count independently: p(spectrum | material) is the product over testable elements
    of what their likelihood ratios say, with a share for contamination and for elements that
    are missing in the small volume that a spectrum sees. Elements that may be artefacts, and
    those that the range cannot show, say nothing.
    """
    material = set(elements)
    seen = evidence.present()
    unexpected, missing = {}, {}
    total = 0.0
    for symbol, finding in evidence.elements.items():
        if finding.artefact:
            continue
        ratio = float(np.clip(finding.log_likelihood_ratio, -10.0, 10.0))
        prior = prior_probability(symbol)
        here = 1.0 - _LOCALLY_MISSING
        if symbol not in material:
            here = _CONTAMINATION.get(symbol, _CONTAMINATION_DEFAULT)
        other = np.logaddexp(np.log(prior) + ratio, np.log1p(-prior))
        same = np.logaddexp(np.log(here) + ratio, np.log1p(-here))
        # Elements in neither say how rich materials are on average, not which one this is.
        share = float(other - same) if symbol in material | seen else 0.0
        total += share
        if symbol not in material and symbol in seen:
            unexpected[symbol] = float(-same + max(ratio, 0.0))
        elif symbol in material and finding.probability < PRESENT and share > 0.3:
            missing[symbol] = share
    # A spectrum that shows nothing at all may be of a hole: it contradicts nobody.
    flagged = bool(seen and total > _FLAG_LOG_ODDS and (unexpected or missing))
    message = ""
    if flagged:
        parts = []
        if unexpected:
            parts.append(f"shows {', '.join(sorted(unexpected))}, which no phase holds")
        if missing:
            parts.append(f"does not show {', '.join(sorted(missing))}, which the phases hold")
        kind = evidence.modality.value.upper()
        message = f"the {kind} spectrum contradicts the phases: it {'; it '.join(parts)}"
    return Conflict(total, unexpected, missing, flagged, message)
