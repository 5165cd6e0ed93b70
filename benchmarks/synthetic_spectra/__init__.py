"""Simulated EELS and EDS spectra of another make than the program's own templates.

Thresholds, shapes and strengths of edges, and energies, branching and yields of X-ray lines
are those of xraylib (Schoonjans, T. et al. (2011). Spectrochim. Acta B 66, 776; photoelectric
cross-sections of the subshells: Kissel), which no template uses. It is a dependency of the
benchmark alone: ``pip install "xtalfuse[benchmarks]"``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

_FORMULAE = (
    "Al2O3 MgO SiO2 TiO2 V2O5 Cr2O3 MnO Fe2O3 Fe3O4 Co3O4 NiO CuO ZnO ZrO2 SrTiO3 BaTiO3 "
    "CaTiO3 LaMnO3 La2NiO4 LaFeO3 NdNiO3 CeO2 Gd2O3 Y2O3 Y3Al5O12 YBa2Cu3O7 DyScO3 LaAlO3 "
    "PrCoO3 EuO Nb2O5 MoO3 HfO2 SnO2 In2O3 CdO LiFePO4 LiCoO2 LiMn2O4 MgAl2O4 Mg2SiO4 CaCO3 "
    "CaF2 LiF MgF2 BN AlN Si3N4 TiN VN CrN GaN C SiC TiC B4C TiB2 LaB6 MgB2 FeS2 MoS2 ZnS CdS "
    "NaCl KCl CaSO4 Ca5P3O13H Al Si Ti Fe Co Ni Cu Ag Sn CsI NiFe2O4 CoFe2O4 C2H4 C3N4 BiFeO3 "
    "KNbO3 TbMnO3 SmNiO3 CaMnO3 SrRuO3 ErAl2 Fe4N MnS GaAs GeO2 InN BaSnO3 Sr2FeO4 PbTiO3 C2F4"
)
COMPOUNDS = tuple(_FORMULAE.split())
# Elements that the list above has not, for the other half of what is simulated.
_OTHERS = (
    "Ta2O5 WO3 WS2 ReO3 OsO2 IrO2 Pt Au HgTe TlBr PbTe Bi2Te3 ThO2 UO2 CdTe InSb Sb2S3 As2S3 "
    "GaSe ZnSe RbCl CsPbBr3 RbI BeO Sc2O3 RuO2 Rh PdO Ag2S Lu3Al5O12 Yb2O3 Tm2O3 Ho2O3 HoMnO3 "
    "Pr2O3 Nd2Fe14B SmCo5 Co2VAl Fe3Al Ni3Al NiTi TiAl NbTi CuZn Cu3Sn WC TaC HfC ZrN NbN MoSi2 "
    "LiNbO3 LiTaO3 BaF2 SrF2 LaF3 NaF KBr NaNbO3 K2SO4 Na2CO3 FePO4 AlPO4 CuFeS2 CuInSe2 "
    "MnFe2O4 ZnFe2O4 CoCr2O4 MnCr2O4 FeTiO3 MnTiO3 NiTiO3 LaCrO3 LaCoO3 LaNiO3 LaVO3 NdGaO3 "
    "PrNiO3 CeNiO3 GdFeO3 BaFe12O19 SrFe12O19 La2CuO4 Ca3Co4O9 BiVO4 CrO2F V2O3N TiO2N"
)
OTHERS = tuple(_OTHERS.split())
SEEN = 5.0  # standard deviations: Rose's criterion for what can be told from noise


@dataclass(frozen=True)
class Simulated:
    """One simulated spectrum and what is true of it.

    Parameters
    ----------
    formula : of the compound
    energy, intensity : (n,) eV as recorded, and counts
    offset_ev : recorded minus true energy
    elements : those that stand out by `SEEN`; one that does not may be found or not
    kinds : of each element in range, the kind of its strongest edge or line
    beam_kev : of the electrons
    neutral : elements that are neither right nor wrong (grid, film)
    """

    formula: str
    energy: np.ndarray
    intensity: np.ndarray
    offset_ev: float
    elements: frozenset[str]
    kinds: dict[str, str]
    beam_kev: float
    neutral: frozenset[str] = field(default_factory=frozenset)


def parse(formula: str) -> dict[str, float]:
    """Atoms of each element in a plain formula."""
    counts: dict[str, float] = {}
    for symbol, number in re.findall(r"([A-Z][a-z]?)([\d.]*)", formula):
        counts[symbol] = counts.get(symbol, 0.0) + float(number or 1)
    return counts


def signal_to_noise(
    signals: dict[str, list[np.ndarray]], smooth: np.ndarray, total: np.ndarray, misfit: float
) -> dict[str, float]:
    """By how many standard deviations each element stands out, for one who knows all shapes.

    The signal of an element is what is left of it beside a free background, of the true shape
    times a polynomial of second degree in log E, and free amounts of all other signals; the
    noise is that of counting and a misfit of the whole.

    Parameters
    ----------
    signals : element -> its mean signals (n,), one for each edge or family
    smooth : (n,) mean background
    total : (n,) mean counts of everything
    misfit : error of any model of the whole, as a share of it, in one channel
    """
    sigma = np.sqrt(np.maximum(total, 1.0) + (misfit * total) ** 2)
    log = np.log(np.linspace(1.0, 2.0, total.size))
    background = [smooth * log**k for k in range(3)]
    found = {}
    for element, own in signals.items():
        others = [s for e, many in signals.items() if e != element for s in many if s.any()]
        known = np.stack([*background, *others], axis=-1) / sigma[:, None]
        known /= np.linalg.norm(known, axis=0)
        wanted = np.sum(own, axis=0) / sigma
        left = wanted - known @ np.linalg.lstsq(known, wanted, rcond=1e-10)[0]
        found[element] = float(np.linalg.norm(left))
    return found


def formula_of(index: int) -> str:
    """Common and rare compounds by turns."""
    chosen = COMPOUNDS if index % 2 else OTHERS
    return chosen[(index // 2 * 7) % len(chosen)]
