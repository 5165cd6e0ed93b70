"""Good instrument files and, of many kinds, bad ones; all are made here, from a seed."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

ANGLES = np.arange(20.0, 60.0, 0.1)
Row = dict[str, object]


def pattern(rng: np.random.Generator) -> str:
    """A powder pattern as two columns of text; no two are alike."""
    lines = rng.uniform(22.0, 58.0, 6)
    heights = rng.uniform(200.0, 3000.0, 6)
    counts = 60.0 + sum(h * np.exp(-(((ANGLES - x) / 0.12) ** 2))
                        for x, h in zip(lines, heights, strict=True))  # fmt: skip
    rows = zip(ANGLES, rng.poisson(counts), strict=True)
    return "".join(f"{angle:.2f} {count}\n" for angle, count in rows)


def spectrum(rng: np.random.Generator) -> str:
    """An energy-loss spectrum in the format of the Microscopy Society of America."""
    loss = 400.0 + 0.5 * np.arange(600)
    counts = rng.poisson(1e9 * loss**-2.5 + rng.uniform(50, 200) * (loss > 532.0))
    head = {
        "FORMAT": "EMSA/MAS Spectral Data File", "VERSION": "1.0", "TITLE": "made",
        "DATE": "", "TIME": "", "OWNER": "", "NPOINTS": "600.", "NCOLUMNS": "1.",
        "XUNITS": "eV", "YUNITS": "Counts", "DATATYPE": "Y", "XPERCHAN": "0.5",
        "OFFSET": "400.", "SIGNALTYPE": "ELS", "BEAMKV -kV": "200.0", "SPECTRUM": "",
    }  # fmt: skip
    text = "".join(f"#{key:<12}: {value}\n" for key, value in head.items())
    return text + "".join(f"{count:.1f},\n" for count in counts) + "#ENDOFDATA   :\n"


def _npz(path: Path) -> None:
    np.savez_compressed(path, a=np.zeros(300_000_000, np.uint8))


def _zip_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"):
            file.writestr(name, b" " * 200_000_000)


def _external(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["scan"] = h5py.ExternalLink("/etc/passwd", "/")
        file.create_dataset("data", (8,), "u1", external=[("/etc/passwd", 0, 8)])


def _declared(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.create_dataset("data", (2**25, 2**26), "u1", chunks=(1024, 1024), compression="gzip")


def _pickle(path: Path) -> None:
    with io.BytesIO() as memory:
        np.save(memory, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        path.write_bytes(memory.getvalue())


def _tiff(path: Path) -> None:
    """A TIFF that declares 65,000 x 65,000 x 4 bytes in 200."""
    entries = [(256, 4, 1, 65000), (257, 4, 1, 65000), (258, 3, 1, 32), (259, 3, 1, 1),
               (262, 3, 1, 1), (273, 4, 1, 150), (278, 4, 1, 65000), (279, 4, 1, 50)]  # fmt: skip
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + body
    path.write_bytes((head + b"\0" * 4).ljust(200, b"\0"))


def _cif(path: Path) -> None:
    path.write_text("data_x\n_cell_length_a nan\n_cell_length_b inf\n_cell_length_c 4\n")


# Hostile ones: name -> how the file is made.
HOSTILE: dict[str, Callable[[Path], None]] = {
    "external.h5": _external,
    "declared.h5": _declared,
    "bomb.npz": _npz,
    "bomb.xlsx": _zip_bomb,
    "pickle.npy": _pickle,
    "declared.tif": _tiff,
    "nan.cif": _cif,
}


def _edited(edit: Callable[[list[str], np.random.Generator], list[str]]) -> Callable[..., bytes]:
    def made(rng: np.random.Generator) -> bytes:
        return "\n".join(edit(pattern(rng).splitlines(), rng)).encode() + b"\n"

    return made


def _replaced(row: int, text: str) -> Callable[..., bytes]:
    return _edited(lambda rows, rng: [*rows[:row], text, *rows[row + 1 :]])


def _counts(change: Callable[[float], float]) -> Callable[..., bytes]:
    return _edited(
        lambda rows, rng: [f"{r.split()[0]} {change(float(r.split()[1])):g}" for r in rows]
    )


def _cut_spectrum(rng: np.random.Generator) -> bytes:
    text = spectrum(rng)
    return text[: int(len(text) * rng.uniform(0.2, 0.9))].encode()


# Faulty ones: kind -> (suffix, content). Each is refused, or its label is.
FAULTY: dict[str, tuple[str, Callable[[np.random.Generator], bytes]]] = {
    "empty": (".xy", lambda rng: b""),
    "zeros": (".xy", lambda rng: bytes(4000)),
    "noise bytes": (".xy", lambda rng: rng.bytes(4000)),
    "noise bytes as spectrum": (".msa", lambda rng: rng.bytes(4000)),
    "noise bytes as picture": (".tif", lambda rng: rng.bytes(4000)),
    "noise bytes as HDF5": (".h5", lambda rng: b"\x89HDF\r\n\x1a\n" + rng.bytes(4000)),
    "noise bytes as DM4": (".dm4", lambda rng: b"\0\0\0\4" + rng.bytes(4000)),
    "a web page": (".xy", lambda rng: b"<!DOCTYPE html><html><body>404 not found</body></html>"),
    "an error message": (".xrdml", lambda rng: b"<?xml version='1.0'?><Error>denied</Error>"),
    "cut XML": (".xrdml", lambda rng: b"<?xml version='1.0'?><xrdMeasurements><scan><data"),
    "two rows": (".xy", lambda rng: b"20.0 5\n20.1 6\n"),
    "nan": (".xy", _replaced(100, "30.00 nan")),
    "infinite": (".xy", _replaced(100, "30.00 inf")),
    "a word": (".xy", _replaced(100, "30.00 twelve")),
    "a missing column": (".xy", _replaced(100, "30.00")),
    "angles that go back": (".xy", _edited(lambda rows, rng: rows[200:] + rows[:200])),
    "the angle stands still": (
        ".xy", _edited(lambda rows, rng: [f"20.00 {r.split()[1]}" for r in rows])),
    "angles beyond 180": (
        ".xy", _edited(lambda rows, rng: [f"{9 * float(r.split()[0]):.2f} {r.split()[1]}"
                                          for r in rows])),
    "all counts alike": (".xy", _counts(lambda c: 7.0)),
    "all counts zero": (".xy", _counts(lambda c: 0.0)),
    "cut spectrum": (".msa", _cut_spectrum),
    "spectrum without data": (".msa", lambda rng: spectrum(rng).split("SPECTRUM")[0].encode()),
}  # fmt: skip

# Faults of the table, on good files: kind -> what the row says otherwise.
MISLABELLED: dict[str, Row] = {
    "no such file": {"path": "gone.xy"},
    "no file matches": {"path": "gone-*.xy"},
    "out of the root": {"path": "../../etc/passwd"},
    "no radiation": {"wavelength": "CuQ"},
    "another modality": {"modality": "ct"},
    "a word for a number": {"target:hardness[GPa]": "hard"},
    "infinite label": {"target:hardness[GPa]": "inf"},
    "a factor of 1000": {"target:hardness[GPa]": 4200.0},
    "negative modulus": {"target:youngs_modulus[GPa]": -70.0},
    "no element": {"composition": "Zz2O3"},
    "other elements": {"composition": "Al2O3", "elements": "Fe O"},
    "impossible moduli": {"target:youngs_modulus[GPa]": 200.0, "target:shear_modulus[GPa]": 20.0},
    "not positive definite": {"target:C11[GPa]": 100.0, "target:C12[GPa]": 120.0,
                              "target:C44[GPa]": 30.0},
    "Reuss above Voigt": {"target:bulk_reuss[GPa]": 101.0, "target:bulk_voigt[GPa]": 99.0},
    "a cell that is not cubic": {"target:a[angstrom]": 4.0, "target:b[angstrom]": 4.2,
                                 "target:crystal_system": "cubic"},
}  # fmt: skip


def make(folder: Path, records: int, faulty: float, seed: int) -> tuple[list[Row], dict[str, str]]:
    """(rows of a manifest, id -> kind of fault) of files that are written into a folder."""
    rng = np.random.default_rng(seed)
    kinds = [*FAULTY, *MISLABELLED, "copy", "copy with another label"]
    rows, faults = [], {}
    number_of_faults = round(records * faulty)
    for number in range(records):
        name = f"r{number:05d}"
        eels = rng.random() < 0.2
        row: Row = {"id": name, "group": f"g{number // 4}",
                    "path": f"{name}.{'msa' if eels else 'xy'}",
                    "wavelength": "" if eels else "CuKa",
                    "target:hardness[GPa]": round(float(rng.uniform(1, 20)), 3)}  # fmt: skip
        content = (spectrum(rng) if eels else pattern(rng)).encode()
        if number >= records - number_of_faults:
            kind = kinds[number % len(kinds)]
            faults[name] = kind
            if kind in FAULTY:
                suffix, made = FAULTY[kind]
                content = made(rng)
                row |= {"path": name + suffix, "wavelength": "CuKa" if suffix == ".xy" else ""}
            elif kind in MISLABELLED:
                row |= MISLABELLED[kind]
            else:
                first = f"r{number - records + number_of_faults:05d}"
                twin = next(r for r in rows if r["id"] == first)
                content = (folder / str(twin["path"])).read_bytes()
                row |= {"path": name + Path(str(twin["path"])).suffix,
                        "wavelength": twin["wavelength"]}  # fmt: skip
                row["target:hardness[GPa]"] = (
                    twin["target:hardness[GPa]"] if kind == "copy" else 0.5
                )
        (folder / f"{name}{Path(str(row['path'])).suffix or '.xy'}").write_bytes(content)
        rows.append(row)
    return rows, faults
