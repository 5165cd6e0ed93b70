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
    "the array of the file; of colours their luminance",
    "counts where whole and not negative, else arbitrary; a calibration of grey is not applied",
    "as stored; negative throughout: the unsigned numbers they were",
)


def _scale(row: str, unit: str, sign: str = _CHECKED) -> Number:
    return Number("scale", row, unit, sign)


# Of the pictures and patterns of each format, under the names of `formats.READERS`.
SCALES: dict[str, Number] = {
    "digitalmicrograph": _scale(
        "ImageData.Calibrations.Dimension.n.Scale",
        "its Units, in any spelling",
        f"Origin is a pixel, counted from its start; {_CHECKED}",
    ),
    "tia": _scale(
        "CalibrationDelta of the .ser, for CalibrationElement",
        "SI; below 1 a length in m, above it 1/m: no pixel is a metre",
        _CHECKED,
    ),
    "emd": _scale(
        "Velox BinaryResult.PixelSize; NCEM and py4DSTEM the mean step of dim1, dim2",
        "PixelUnitX, for both axes; the attribute units of the dimension; py4DSTEM v1 in pixels",
    ),
    "hspy": _scale("scale of axis-n", "units of axis-n; an axis as a formula: pixels"),
    "nexus": _scale(
        "the first step of the axes that NXdata names",
        "their attribute units",
        "falling axes stay with their values; uneven ones: pixels",
    ),
    "blockfile": _scale(
        "SDP and Camera_length of the header; of positions SX, SY in nm",
        "pixels in each metre and tenths of a mm, fixed by the format; 1/angstrom by the beam "
        "energy; SDP 0: pixels",
    ),
    "tvips": _scale("PixelSize of the header: that of the camera, not used", _PIXELS),
    "quantumdetector": _scale("none in the file", _PIXELS),
    "empad": _scale(
        "calibrated_pixelsize of the .xml, where there is one, times 1e9; of positions the field "
        "of view in m",
        "1/nm, as RosettaSciIO takes it",
    ),
    "arina": _scale("Pixel Size of STEM Metadata, in nm, of the positions only", _PIXELS),
    "topspin": _scale(
        "second number of each detector dimension; of positions in m", "written beside it"
    ),
    "pantarhei": _scale(
        "value times pixel_factor of user.calib, inherited.calib or device.calib",
        "unit of the calibration",
        f"offset is in pixels; {_CHECKED}",
    ),
    "mrc": _scale(
        "CELLA over MX, MY; of a 128 kB extended header of FEI pixel_size",
        "angstrom, fixed by the format; FEI: m",
        "1 angstrom along each axis, or no grid: not set",
    ),
    "ripple": _scale("width-scale, height-scale", "width-units, height-units"),
    "semper": _scale("DX of columns, DY of rows", "XUNIT, YUNIT of the label"),
    "bruker": _scale(
        "DX of the SEM block, for x and y", "um, fixed by the format; without DX none"
    ),
    "jeol": _scale("ScanSize over Mag, over width and height", "um, fixed by the format"),
    "phenom": _scale("pixelWidth, pixelHeight", "the unit written behind each; none: pixels"),
    "tiff": _scale(
        "FEI PixelWidth, PixelHeight (IRBeam: HFW over pixels); Zeiss CZ_SEM entry 3 x 1024 over "
        "columns; TVIPS, Olympus PixelSizeX, PixelSizeY; Gatan 65009, 65010; JEOL resolution over "
        "nominal magnification or camera length; ImageJ XResolution, YResolution",
        "m (FEI, Zeiss, Olympus), nm (TVIPS), 65003, 65004 (Gatan), unit and yunit (ImageJ); "
        "inches of a print resolution are no unit",
        f"width is of columns, whatever the library says; {_CHECKED}",
    ),
    "image": _scale(
        "none: neither a print resolution nor the focal plane of Exif is a scale", _PIXELS
    ),
}


# Of the spectra of each format: where the energy stands, and whence its unit comes.
_ENERGIES: dict[str, tuple[str, str]] = {
    "digitalmicrograph": ("-Origin x Scale of the energy dimension", "its Units"),
    "tia": (
        "CalibrationOffset of channel CalibrationElement, CalibrationDelta",
        "eV, fixed by the format",
    ),
    "emd": (
        "Velox OffsetEnergy, Dispersion of the detector that BinaryResult names (EELS: offset, "
        "dispersion of its Data); NCEM dim",
        "eV, fixed by the format; units of dim; no such detector: refused",
    ),
    "hspy": ("offset and scale of axis-n", "units of axis-n"),
    "nexus": ("the axes that NXdata names", "their attribute units"),
    "topspin": ("the axes that NXdata names", "written beside it"),
    "pantarhei": ("offset x value, value x pixel_factor of the calibration", "its unit"),
    "ripple": ("depth-origin, depth-scale, or ev-per-chan", "depth-units; eV by ev-per-chan"),
    "semper": ("X0, DX of the label", "XUNIT of the label"),
    "bruker": ("CalibAbs and CalibLin of the spectrum", "keV, fixed by the format"),
    "edax": ("startEnergy and evPerChan of the header", "keV and eV, fixed by the format"),
    "jeol": ("CoefB and CoefA of the detector", "keV, fixed by the format"),
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
