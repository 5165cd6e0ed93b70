"""Files that once were misread."""

from __future__ import annotations

from pathlib import Path

from benchmarks.faults.case import Case, holds, loaded, phases, refused, shows
from benchmarks.faults.scans import SCANS


def _fluorescence(path: Path) -> str:
    from xtalfuse.loaders import load

    read = load(path)
    said = "; ".join(read.provenance.warnings)
    return holds(read.modality == "other" and "tube of Rh" in said, f"{read.modality}: {said}")


def _face_centred(path: Path) -> str:
    """The family of the rings, and periclase in their class."""
    from xtalfuse import identify, load_specimen

    (phase,) = identify(load_specimen(path), refine=False).phases
    families = phase.evidence["rings"]["families"]
    names = (phase.entry, *phase.equivalents)
    right = families == ["face-centred cubic lattice"] and "periclase" in names
    return holds(right, f"{', '.join(families)}; {', '.join(names[:4])}")


COUNTED = {"ends": (20.0, 90.0), "points": 3501}
CASES: tuple[Case, ...] = (
    Case("22_periclase_rings_called_bcc.hspy", "face-centred; periclase in the class",
         _face_centred),
    *SCANS,
    Case("02_pyfai_wavelength_in_metres_4.133e-11.xy", "0.4133 angstrom",
         loaded(wavelength=0.4133, ends=(2.0, 29.99))),
    Case("03_pyfai_q_per_angstrom.xy", "converted: 2 to 29.99 degrees",
         loaded(wavelength=0.4133, ends=(2.0, 29.99))),
    Case("03b_pyfai_2th_rad.xy", "converted: 2 to 29.99 degrees",
         loaded(wavelength=0.4133, ends=(2.0, 29.99))),
    Case("03c_pyfai_chi_deg_azimuthal.xy", "refused: no 2theta", refused("chi_deg", "2theta")),
    Case("04_background_subtracted_negative_zincite_rutile.xy", "zincite and rutile",
         phases("rutile", "zincite")),
    Case("04b_background_subtracted_real_PbSO4.xy", "anglesite", phases("anglesite")),
    Case("04c_background_subtracted_corundum_fluorite.xy", "corundum and fluorite",
         phases("corundum", "fluorite")),
    Case("04d_control_raw_zincite_rutile.xy", "the same", phases("rutile", "zincite")),
    Case("08b_mantid_time_of_flight.xye", "refused: neutrons", refused("flight", "x-ray")),
    Case("08c_mantid_neutron_title.xye", "refused: neutrons", refused("neutron", "x-ray")),
    Case("10_decimal_comma_and_thousands_dot.txt", "7986 counts at the highest",
         loaded("CuKa", highest=7986, **COUNTED)),
    Case("11_decimal_comma_comma_separated.csv", "fields joined",
         loaded("CuKa", highest=7986, **COUNTED)),
    Case("12_column_log10_counts.csv", "undone", loaded("CuKa", highest=7986, **COUNTED)),
    Case("12b_column_sqrt_counts.csv", "undone", loaded("CuKa", highest=7986, **COUNTED)),
    Case("18_thousands_comma_quoted.csv", "read", loaded("CuKa", highest=7986, **COUNTED)),
    Case("18b_quoted_decimal_comma.csv", "read", loaded("CuKa", highest=7986, **COUNTED)),
    Case("18c_unicode_minus.txt", "read", loaded("CuKa", lowest=-27, **COUNTED)),
    Case("21_eels_header_without_eV.csv", "EELS", loaded(modality="eels", ends=(0.0, 199.9))),
    Case("06_P45_the_default_job.bcf", "Na, Mg; no V, no Tb",
         shows(sure="O Na Mg Al Si K Fe", never="V Tb")),
    Case("06b_test_TEM.bcf", "no Ca", shows(sure="O Si Ti", never="Ca")),
    Case("07_xrf_m6_jetstream.spx", "no EDS: the tube is named", _fluorescence),
)  # fmt: skip
