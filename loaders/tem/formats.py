"""The formats of electron microscopes that RosettaSciIO reads."""

from __future__ import annotations

from pathlib import Path

from xtalfuse.loaders.reader import Certainty, Reader
from xtalfuse.loaders.record import Modality, UnreadableFileError
from xtalfuse.loaders.safe.checks import check_hdf5
from xtalfuse.loaders.safe.head import FileHead
from xtalfuse.loaders.tem import vendor
from xtalfuse.loaders.tem.kinds import identify
from xtalfuse.loaders.tem.numbers import numbers_of_pictures, numbers_of_spectra
from xtalfuse.loaders.tem.read import signals_reader
from xtalfuse.loaders.tem.signals import RawSignal
from xtalfuse.loaders.tem.whole import check_whole, parts

_SPECTRA = (Modality.EELS, Modality.EDS)
_PICTURES = (Modality.DIFFRACTION, Modality.IMAGE)
_ANY = (*_SPECTRA, *_PICTURES, Modality.OTHER)
_HDF5 = ("hspy", "emd", "tofwerk", "delmic", "arina", "topspin", "nexus")


def _unknown_hdf5(path: Path) -> tuple[str, list[RawSignal]]:
    """Refuse an HDF5 file that no reader knows, with the names that stand in it."""
    import h5py

    check_hdf5(path)
    with h5py.File(path, "r") as file:
        keys = sorted(file)
    raise UnreadableFileError(
        f"{path.name}: an HDF5 file of unknown layout (holds {', '.join(keys[:6])}); "
        "export it as .hspy, .emd or .msa"
    )


def _reader(
    kind: str,
    about: str,
    modalities: tuple[Modality, ...],
    *suffixes: str,
    limits: tuple[str, ...] = (),
) -> Reader:
    def sniff(head: FileHead) -> Certainty:
        known = head.once(identify)
        return known[1] if known and known[0] == kind else Certainty.NONE

    def signals(path: Path) -> tuple[str, list[RawSignal]]:
        if kind == "hdf5":
            return _unknown_hdf5(path)
        if kind in _HDF5:
            check_hdf5(path)
        check_whole(path, kind)
        return f"rosettasciio/{kind}", vendor.read(path, kind)

    def companions(head: FileHead) -> tuple[Path, ...]:
        return parts(head.path, kind)

    name = kind.replace(" ", "-")
    pictures = numbers_of_pictures(name) if Modality.IMAGE in modalities else ()
    spectra = numbers_of_spectra(name) if Modality.EDS in modalities else ()
    return signals_reader(
        name, about, modalities, suffixes, sniff, signals,
        companions=companions, limits=limits, numbers=(*spectra, *pictures),
    )  # fmt: skip


_OTHER_FILE = ("this half of the pair holds the data only, and is refused with the other's name",)

# Under the names that RosettaSciIO gives them.
READERS = (
    _reader("digitalmicrograph", "Gatan DigitalMicrograph", _ANY, ".dm3", ".dm4"),
    _reader("tia", "FEI, Thermo Fisher TIA", _ANY, ".emi", ".ser",
            limits=("maps of which the acquisition was stopped are refused",)),
    _reader("emd", "Velox, NCEM, py4DSTEM (EMD)", _ANY, ".emd", ".h5"),
    _reader("hspy", "HyperSpy", _ANY, ".hspy", ".h5"),
    _reader("nexus", "NeXus", _ANY, ".nxs", ".h5"),
    _reader("blockfile", "NanoMegas block file", _PICTURES, ".blo"),
    _reader("tvips", "TVIPS", _PICTURES, ".tvips"),
    _reader("quantumdetector", "Quantum Detectors Merlin", _PICTURES, ".mib", ".hdr"),
    _reader("empad", "EMPAD", _PICTURES, ".xml"),
    _reader("arina", "Dectris Arina", _PICTURES, ".h5"),
    _reader("topspin", "NanoMegas Topspin", _ANY, ".app5"),
    _reader("pantarhei", "CEOS PantaRhei", _ANY, ".prz"),
    _reader("mrc", "MRC, pictures", _PICTURES, ".mrc", ".ali"),
    _reader("ripple", "Ripple", _ANY, ".rpl"),
    _reader("ripple data", "Ripple, raw data", (), ".raw", limits=_OTHER_FILE),
    _reader("semper", "Semper", _ANY, ".unf"),
    _reader("bruker", "Bruker Esprit", (Modality.EDS, *_PICTURES), ".bcf", ".spx"),
    _reader("edax", "EDAX", (Modality.EDS,), ".spc", ".spd"),
    _reader("jeol", "JEOL", (Modality.EDS, *_PICTURES), ".asw", ".pts", ".eds", ".img", ".map"),
    _reader("phenom", "Phenom", (Modality.EDS, *_PICTURES), ".elid"),
    _reader("delmic", "Delmic", (Modality.OTHER,), ".h5"),
    _reader("tofwerk", "Tofwerk", (Modality.OTHER,), ".h5"),
    _reader("tiff", "TIFF, pictures", _PICTURES, ".tif", ".tiff",
            limits=("a print resolution is no scale: such pictures have lengths in pixels",)),
    _reader("image", "PNG, JPEG, BMP", _PICTURES, ".png", ".jpg", ".bmp",
            limits=("no scale is read: lengths are in pixels",)),
    _reader("hdf5", "HDF5 of another layout", (), ".h5", ".hdf5", limits=("always refused",)),
)  # fmt: skip
