"""Whence the numbers come in the files of electron microscopes, format by format.

Pictures and patterns of every format go the same way: a unit is spelt out by the file or fixed by
its format, else the picture counts pixels (`loaders.tem.scale`).
"""

from __future__ import annotations

from xtalfuse.loaders.reader import Number

_PIXELS = "none: lengths are in pixels"
_CHECKED = "the size counts; zero, not finite or impossible: pixels, and said"

INTENSITY = Number(
    "intensity",
    "the array of the file",
    "counts where whole and not negative, else arbitrary",
    "as stored; negative throughout: the unsigned numbers they were",
)


def _scale(row: str, unit: str, sign: str = _CHECKED) -> Number:
    return Number("scale", row, unit, sign)


# Of the pictures and patterns of each format, under the names of `formats.READERS`.
SCALES: dict[str, Number] = {
    "digitalmicrograph": _scale(
        "ImageData.Calibrations.Dimension.n.Scale", "its Units, in any spelling"
    ),
    "tia": _scale(
        "CalibrationDelta of the .ser", "m, fixed by the format; 1/m by the Mode of the .emi"
    ),
    "emd": _scale(
        "Velox BinaryResult.PixelSize; NCEM dim1, dim2; py4DSTEM calibration",
        "PixelUnit; the attribute units of the dimension",
    ),
    "hspy": _scale("scale of axis-n", "units of axis-n"),
    "nexus": _scale("the axes that NXdata names", "their attribute units"),
    "blockfile": _scale(
        "SDP and Camera_length of the header",
        "pixels per 100 cm and tenths of a mm, fixed by the format; 1/angstrom by the beam energy",
    ),
    "tvips": _scale("PixelSize of the header: that of the camera, not used", _PIXELS),
    "quantumdetector": _scale("none in the file", _PIXELS),
    "empad": _scale("pixelsize of the .xml, where there is one", "1/m, fixed by the format"),
    "arina": _scale("Pixel Size of STEM Metadata, of the positions only", _PIXELS),
    "topspin": _scale("Calibration of the pattern", "written beside it"),
    "pantarhei": _scale("calibrations of the meta data", "unit of the calibration"),
    "mrc": _scale(
        "cell size over grid size of the header; FEI: pixel size of the extended header",
        "angstrom, fixed by the format",
    ),
    "ripple": _scale("width-scale, height-scale", "width-units, height-units"),
    "semper": _scale("DX, DY of the label", "XUNIT, YUNIT of the label"),
    "bruker": _scale("DX, DY of the SEM block", "um, fixed by the format"),
    "jeol": _scale("ScanSize and magnification", "um, fixed by the format"),
    "phenom": _scale("pixelWidth, pixelHeight", "written beside the value"),
    "tiff": _scale(
        "the tag of its maker (FEI, Zeiss, TVIPS, Gatan, ...), or resolution with ImageJ's unit",
        "of the tag; inches of a print resolution are no unit",
    ),
    "image": _scale("none: a print resolution is no scale", _PIXELS),
}


# Of the spectra of each format: where the energy stands, and whence its unit comes.
_ENERGIES: dict[str, tuple[str, str]] = {
    "digitalmicrograph": ("Origin and Scale of the energy dimension", "its Units"),
    "tia": ("CalibrationOffset, CalibrationDelta of the .ser", "eV, fixed by the format"),
    "emd": ("Velox Dispersion and OffsetEnergy of the detector; NCEM dim", "eV; units of dim"),
    "hspy": ("offset and scale of axis-n", "units of axis-n"),
    "nexus": ("the axes that NXdata names", "their attribute units"),
    "topspin": ("Calibration of the spectrum", "written beside it"),
    "pantarhei": ("calibrations of the meta data", "unit of the calibration"),
    "ripple": ("ev-per-chan; depth-origin and depth-scale", "eV by the name; depth-units"),
    "semper": ("DX, X0 of the label", "XUNIT of the label"),
    "bruker": ("CalibAbs and CalibLin of the spectrum", "keV, fixed by the format"),
    "edax": ("startEnergy and evPerChan of the header", "keV and eV, fixed by the format"),
    "jeol": ("CoefA and CoefB of the detector", "keV, fixed by the format"),
    "phenom": ("offset and dispersion of the spectrum", "eV, fixed by the format"),
}


def numbers_of_spectra(name: str) -> tuple[Number, ...]:
    """Energy and counts of the spectra of a format; nothing where it holds none."""
    if name not in _ENERGIES:
        return ()
    row, unit = _ENERGIES[name]
    missing = "without a unit: eV, or keV for X-rays that end below 100, and said"
    counts = "counts, or what the program made of them: only their course is used"
    return (
        Number("energy", row, unit, f"falling axes are turned round; {missing}"),
        Number("counts", "the array of the file", counts, "as stored"),
    )


def numbers_of_pictures(name: str) -> tuple[Number, ...]:
    """Scale and intensity of the pictures of a format; nothing where it holds none."""
    return (SCALES[name], INTENSITY) if name in SCALES else ()
