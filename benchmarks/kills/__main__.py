"""Kill each command at random moments and look at what is left of it.

Run ``python -m benchmarks.kills``: 30 SIGKILLs and 30 SIGTERMs of each command, its main process
alone, at times spread over its run. Inputs are made here. For each signal it is counted

- running: processes of the command that are alive 5 s later;
- torn: result folders and library files that do not hold exactly what one run wrote;
- left: how often something temporary was left behind (SIGKILL cannot be caught);
- stale: what of it is still there when the command has been started once more.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil

from xtalfuse.datasets.records.store import StoreError, read_arrays
from xtalfuse.loaders.safe.head import sha256_of
from xtalfuse.report.run import PROPERTIES, RESULT, run_in

MARK = "XTALFUSE_BENCHMARK_KILLS"  # in the environment of all processes of one start
ENDED_SECONDS = 5.0
SIGNALS = (signal.SIGKILL, signal.SIGTERM)
CORUNDUM = {25.58: 60, 35.15: 100, 37.78: 45, 43.35: 95, 52.55: 45, 57.5: 85, 68.2: 55}
CIF = """data_x
_cell_length_a {a:.4f}
_cell_length_b {a:.4f}
_cell_length_c {a:.4f}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
_symmetry_Int_Tables_number 225
loop_
_atom_site_type_symbol
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na Na1 0 0 0 1
Cl Cl1 0.5 0.5 0.5 1
"""


@dataclass(frozen=True)
class Row:
    """What a command left after one kind of signal."""

    command: str
    signal: str
    kills: int
    ended_before: int  # runs that had ended when the signal came
    codes: dict[int, int]
    running: int
    torn: int
    left: int
    stale: int
    seconds: float  # of an undisturbed run


def write_inputs(folder: Path) -> dict[str, list[str]]:
    """Patterns, foams, structures and a large volume; the arguments of each command."""
    generator = np.random.default_rng(0)
    for number in range(2):
        angle = np.arange(20.0, 80.0, 0.02)
        lines = sum(20 * h * np.exp(-(((angle - t) / 0.06) ** 2)) for t, h in CORUNDUM.items())
        counts = generator.poisson(50 + lines)
        rows = "".join(f"{t:.3f} {n}\n" for t, n in zip(angle, counts, strict=True))
        (folder / f"scan{number}.xy").write_text(rows, "utf-8")
        grey = generator.normal(200, 10, (24, 24, 24))
        grey[:, 6:18, 6 + number : 18] -= 150  # a pore
        np.save(folder / f"foam{number}.npy", grey.astype(np.uint8))
    (folder / "cif").mkdir()
    for number in range(96):
        text = CIF.format(a=5.2 + 0.01 * number)
        (folder / "cif" / f"{number}.cif").write_text(text, "utf-8")
    values = generator.integers(0, 255, (150, 2000, 2000), np.uint8)  # beyond memory: 600 MB
    np.save(folder / "volume.npy", values)
    names = [str(folder / name) for name in ("scan0.xy", "scan1.xy", "foam0.npy", "foam1.npy")]
    library = str(folder / "small.h5")
    run_whole(["library", "build", f"{folder / 'cif'}", "--out", library], dict(os.environ))
    two = ["--jobs", "2"]
    return {
        "identify": [*names[:2], "--wavelength", "CuKa", "--library", library, *two],
        "microstructure": [
            *names[2:],
            "--phases",
            "pore,gold",
            "--voxel-size",
            "1",
            "--fast",
            *two,
        ],
        "read": [str(folder / "volume.npy")],
        "library build": [str(folder / "cif"), *two],
    }


def start(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """One command as a process of its own session."""
    return subprocess.Popen(
        [sys.executable, "-m", "xtalfuse", *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def run_whole(arguments: list[str], environment: dict[str, str]) -> float:
    """Seconds of an undisturbed run."""
    began = time.perf_counter()
    code = start(arguments, environment).wait()
    if code not in (0, 3):
        raise SystemExit(f"xtalfuse {' '.join(arguments)} ends with {code}")
    return time.perf_counter() - began


def marked(mark: str) -> list[psutil.Process]:
    """Processes with this mark that are not over."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def survivors(mark: str) -> int:
    """Number of processes that are alive after the time that they have; they are ended then."""
    deadline = time.monotonic() + ENDED_SECONDS
    while (alive := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    return len(alive)


def torn(out: Path) -> Iterator[Path]:
    """Results that are not exactly what one run wrote."""
    for path in out.glob("*.h5"):
        try:
            read_arrays(path)
        except StoreError:
            yield path
    for folder in (path for path in out.glob("[!.]*") if path.is_dir()):
        document = RESULT if (folder / RESULT).exists() else PROPERTIES
        run = run_in(folder, document)
        files = {path.name: path for path in folder.iterdir() if path.name != document}
        hashes = {name: sha256_of(path) for name, path in files.items()}
        page = "" if "report.html" not in files else files["report.html"].read_text("utf-8")
        if run is None or run.files != hashes or run.id not in page:
            yield folder


def temporary(out: Path, scratch: Path) -> list[Path]:
    """Hidden entries beside the results, and all that is in the folder for temporary files."""
    parts = [path for path in out.glob(".*") if not path.name.endswith(".parts")]
    return parts + list(scratch.iterdir())


def measure(command: str, arguments: list[str], number: signal.Signals, kills: int) -> Row:
    """Start a command and kill it, again and again in one place, then start it once more."""
    chance = random.Random(f"{command} {number}")
    with tempfile.TemporaryDirectory() as place:
        out, scratch = Path(place, "out"), Path(place, "tmp")
        out.mkdir()
        scratch.mkdir()
        words = [*command.split(), *arguments]
        if command != "read":
            words += ["--out", str(out / "library.h5" if "library" in command else out)]
        environment = os.environ | {"TMPDIR": str(scratch)}
        seconds = run_whole(words, environment)
        before = running = broken = left = 0
        codes: dict[int, int] = {}
        for kill in range(kills):
            mark = uuid.uuid4().hex
            process = start(words, environment | {MARK: mark})
            with suppress(subprocess.TimeoutExpired):
                process.wait((kill + chance.random()) / kills * seconds)
            before += process.poll() is not None
            process.send_signal(number)
            running += survivors(mark)
            code = process.wait()
            codes[code] = codes.get(code, 0) + 1
            broken += len(list(torn(out)))
            left += bool(temporary(out, scratch))
        run_whole(words, environment)
        stale = [*temporary(out, scratch), *out.glob(".*.parts")]
        broken += len(list(torn(out)))
    return Row(
        command, number.name, kills, before, codes, running, broken, left, len(stale), seconds
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=30, help="of each command by each signal")
    parser.add_argument("--only", help="this command")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for command, arguments in write_inputs(Path(folder)).items():
            for number in SIGNALS if given.only in (None, command) else ():
                row = measure(command, arguments, number, given.kills)
                rows.append(asdict(row))
                print(" ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), "utf-8")
    if any(row["running"] or row["torn"] or row["stale"] for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
