"""Whence the numbers of instrument makers' files come: row, unit and sign, format by format."""

from __future__ import annotations

from xtalfuse.loaders.reader import Number

_UP = "a scan from high to low angles is turned round"
_AXIS = "the axis that is named must move 2theta"
_TIMES = "; counts of unlike times are divided by them"

XRDML = (
    Number("two_theta", "positions of the axis 2Theta: a list, or its start and end",
           "attribute unit: degrees, or radians", f"scanAxis: {_AXIS}; an unfinished scan is told"),
    Number("intensity", "intensities, or counts times beamAttenuationFactors, one a point",
           f"attribute unit: counts or cps{_TIMES}", "factors are in intensities already"),
    Number("wavelength", "usedWavelength of its measurement: kAlpha1, kAlpha2, kBeta",
           "attribute unit, angstrom by default", "attribute intended; K-alpha 1 says nothing"),
    Number("counting time", "commonCountingTime, or countingTimes, one a point",
           "attribute unit, seconds by default"),
)  # fmt: skip
UDF = (
    Number("two_theta", "DataAngleRange and ScanStepSize, checked against the number of values",
           "degrees, fixed by the format", "no axis is named: 2theta by the format"),
    Number("intensity", "all values up to the closing slash", "counts where all are whole numbers"),
    Number("wavelength", "LabdaAlpha1, LabdaAlpha2, Anode", "angstrom, fixed by the format"),
)  # fmt: skip
PHILIPS = (
    Number("two_theta", "start, end and step at byte 214, checked against the length of the file",
           "degrees, fixed by the format"),
    Number("intensity", "unsigned words, of which the square over 100 is the count; the highest"
           " is checked against byte 136", "counts, fixed by the format"),
    Number("wavelength", "three doubles at byte 94, with the anode of byte 85",
           "angstrom, fixed by the format"),
)  # fmt: skip
BRML = (
    Number("two_theta", "the column of Datum that the view of the axis TwoTheta names",
           "attribute Unit of the axis: degrees, or radians", f"{_AXIS}; {_UP}"),
    Number("intensity", "the column of the recorded view; all rows must have as many values",
           f"Base of its unit{_TIMES}", "AbsorptionFactor is in it already"),
    Number("wavelength", "WaveLengthAlpha1 and -Alpha2, or WaveLength where that is -Beta",
           "attribute Unit, angstrom by default"),
    Number("counting time", "the column of the view MeasuredTime", "attribute Unit, seconds"),
)  # fmt: skip
BRUKER = (
    Number("two_theta", "start, step and number of points of a range, or its column of 2theta",
           "degrees, fixed by the format", f"drive or kind of scan: {_AXIS}"),
    Number("intensity", "the first number of each record, in steps of the size it declares",
           "none is declared: counts where all are whole, counts/s where they are times the"
           f" time of a step{_TIMES}"),
    Number("wavelength", "header of the range, with alpha2 and anode of the source",
           "angstrom, fixed by the format", "alpha2 of zero: K-alpha1 alone"),
    Number("counting time", "header of the range", "ms in RAW4, s in RAW1.01"),
)  # fmt: skip
RIGAKU = (
    Number("two_theta", "first column; rows as many as the data count, and of one width",
           "MEAS_SCAN_UNIT_X or PositionUnit, degrees", f"MEAS_SCAN_AXIS_X or AxisName: {_AXIS}"),
    Number("intensity",
           "second column, times the attenuator of the third where it runs on more evenly so",
           f"whole numbers are counts whatever is declared{_TIMES}"),
    Number("wavelength", "alpha1, alpha2 or beta, by the type of the wave",
           "HW_XG_WAVE_LENGTH_UNIT, angstrom by default"),
    Number("counting time", "step over speed", "MEAS_SCAN_SPEED_UNIT or SpeedUnit; unused"
           " where it is another than degrees a minute or second"),
)  # fmt: skip
GSAS = (
    Number("two_theta", "start and step of the BANK record, or the first column of FXYE; as many"
           " records as BANK declares",
           "hundredths of a degree for CONS and CONST; other binnings are refused"),
    Number("intensity", "by the layout that BANK names: STD, ESD, FXYE",
           "counts where all are whole numbers", "points of no uncertainty are left out"),
    Number("wavelength", "a comment above BANK", "as written, angstrom by default"),
)  # fmt: skip
PEAKS = tuple(
    Number(name, "none: always refused", "none") for name in ("two_theta", "intensity",
                                                              "wavelength")
)  # fmt: skip
