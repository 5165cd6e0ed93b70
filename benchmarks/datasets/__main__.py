"""Builds of datasets: killed, spread, faulty, hostile, fast.

Run ``python -m benchmarks.datasets [--section kills|same|faults|hostile|speed|mixed]``. All
inputs but those of `mixed`, which takes the real files too, are made here, in a temporary folder.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.datasets import mixed, speed
from benchmarks.datasets.files import HOSTILE, make, spectrum
from benchmarks.readers.watch import Watch
from xtalfuse.datasets.records.build import build
from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.datasets.records.journal import recovered
from xtalfuse.datasets.records.plan import BuildSettings
from xtalfuse.datasets.records.store import StoreError, read_arrays
from xtalfuse.loaders.safe.head import sha256_of

CHILD = """
import sys
from xtalfuse.datasets.records.build import build
from xtalfuse.datasets.records.plan import BuildSettings
if __name__ == "__main__":
    build(sys.argv[1], sys.argv[2], workers=2, settings=BuildSettings(shard_records=12),
          progress=lambda done, of: print(done, flush=True))
"""


def written(folder: Path, rows: list[dict[str, object]], name: str = "manifest.csv") -> Path:
    """A manifest of these rows."""
    import pandas as pd

    pd.DataFrame(rows).to_csv(folder / name, index=False)
    return folder / name


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of each file of a folder."""
    return {
        file.relative_to(folder).as_posix(): sha256_of(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def kills(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Kill a build of two processes at random times, again and again; then let it end."""
    rows, _ = make(folder, 60, 0.2, given.seed)
    manifest = written(folder, rows)
    script = folder / "child.py"
    script.write_text(CHILD)
    small = BuildSettings(shard_records=12)
    build(manifest, folder / "whole", settings=small)
    right = hashes(folder / "whole")
    rng = random.Random(given.seed)
    lost = torn = different = interrupted = finished = rounds = 0
    while interrupted < given.kills:
        out, rounds = folder / f"out{rounds}", rounds + 1
        acknowledged = 0
        for _ in range(25):
            child = subprocess.Popen(
                [sys.executable, str(script), str(manifest), str(out)],
                stdout=subprocess.PIPE, text=True, start_new_session=True,
            )  # fmt: skip
            time.sleep(rng.uniform(0.5, given.most_seconds))
            if child.poll() is None:
                if rng.random() < 0.5:  # all of it at once, or its main process alone
                    os.killpg(child.pid, signal.SIGKILL)
                else:
                    child.kill()
                interrupted += 1
            told = [int(line) for line in child.communicate()[0].splitlines() if line.strip()]
            acknowledged = max([acknowledged, *told])
            _wait_for_children(out)
            kept, broken = _state(out)
            lost += max(0, acknowledged - kept)
            torn += broken
            if child.returncode == 0 or interrupted >= given.kills:
                break
        build(manifest, out, settings=small)
        finished += 1
        different += hashes(out) != right
    return {"kills": interrupted, "builds": finished, "lost": lost, "torn": torn,
            "different": different}  # fmt: skip


def _wait_for_children(out: Path) -> None:
    """Processes that lost their parent end by themselves; none may be left after 5 s."""
    limit = time.monotonic() + 5.0
    while time.monotonic() < limit:
        running = (" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"]))
        alive = any(str(out) in line for line in running)
        if not alive:
            return
        time.sleep(0.1)


def _state(out: Path) -> tuple[int, int]:
    """(specimens that are written down, files that show under their name and are not whole)."""
    kept = broken = 0
    for file in (out / "shards").glob("[!.]*.h5"):
        try:
            kept += len(read_arrays(file)[1]["entries"])
        except StoreError:
            broken += 1
    unfinished: dict[str, set[int]] = {}
    for file in (out / "work").glob("*.journal"):
        key, generation = file.name.split(".")[:2]
        plan = file.read_bytes().split(b"\n")[0].decode()
        found = recovered(file.with_name(key), int(generation), plan)
        unfinished.setdefault(key, set()).update(number for number, _, _ in found)
    kept += sum(
        len(n) for key, n in unfinished.items() if not (out / "shards" / f"{key}.h5").exists()
    )
    if (out / "dataset.json").exists():
        broken += bool(Dataset(out).verify())
    return kept, broken


def same(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The same bits from any number of processes, of Dask workers that die, of array jobs."""
    from distributed import Client, LocalCluster

    rows, _ = make(folder, 120, 0.2, given.seed)
    manifest = written(folder, rows)
    small = BuildSettings(shard_records=10)
    for workers in (1, 2, 8):
        build(manifest, folder / f"w{workers}", workers=workers, settings=small)
    for part in (3, 1, 4, 2):
        build(manifest, folder / "parts", part=(part, 4), settings=small)
    killed: list[int] = []
    two = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with two as cluster, Client(cluster) as client:
        victim = client.submit(os.getpid).result()

        def kill_once(done: int, of: int) -> None:
            if done > of // 4 and not killed:
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)

        executor = client.get_executor(pure=False, retries=5)
        build(manifest, folder / "dask", executor=executor, settings=small, progress=kill_once)
    right = hashes(folder / "w1")
    others = ("w2", "w8", "parts", "dask")
    return {"files": len(right), "dask worker killed": bool(killed),
            **{name: hashes(folder / name) == right for name in others}}  # fmt: skip


def faults(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Of many records of which a tenth is faulty: what is refused, by kind."""
    rows, kind_of = make(folder, given.records, 0.1, given.seed)
    begun = time.perf_counter()
    report = build(written(folder, rows), folder / "out", workers=2)
    seconds = time.perf_counter() - begun
    refused = Dataset(folder / "out").refused
    told = set(refused["id"])
    complete = refused[["code", "cause", "remedy"]].ne("").all(axis=1).all()
    missed = sorted({kind_of[name] for name in set(kind_of) - told})
    wrongly = sorted(told - set(kind_of))
    return {
        "records": len(rows), "faulty": len(kind_of), "kinds": len(set(kind_of.values())),
        "recall": 1.0 - len(set(kind_of) - told) / max(len(kind_of), 1), "missed kinds": missed,
        "good ones refused": len(wrongly) / (len(rows) - len(kind_of)), "examples": wrongly[:5],
        "each with code, cause, remedy": bool(complete), "kept": report.records,
        "records per second": len(rows) / seconds,
    }  # fmt: skip


def hostile(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Files that are made to harm: seconds and memory until each is refused."""
    data = folder / "data"
    data.mkdir()
    for name, made in HOSTILE.items():
        made(data / name)
    rows = []
    (data / "good.msa").write_text(spectrum(np.random.default_rng(given.seed)))
    good = written(data, [{"id": "good", "path": "good.msa"}], "good.csv")
    for turn in range(3):  # the reading process and its libraries are there, as in any build
        with Watch() as watch:
            build(good, folder / f"good{turn}")
    rows.append({"file": "good.msa", "seconds": watch.seconds, "mb": watch.peak_mb})
    for name in HOSTILE:
        manifest = written(data, [{"id": name, "path": name}], f"{name}.csv")
        with Watch() as watch:
            build(manifest, folder / f"out-{name}")
        table = Dataset(folder / f"out-{name}").refused
        rows.append({"file": name, "refused": len(table) > 0, "code": ", ".join(table["code"]),
                     "seconds": watch.seconds, "mb": watch.peak_mb})  # fmt: skip
    return {"rows": rows}


SECTIONS: dict[str, Callable[[argparse.Namespace, Path], dict[str, Any]]] = {
    "kills": kills, "same": same, "faults": faults, "hostile": hostile, "speed": speed.measure,
    "mixed": mixed.measure,
}  # fmt: skip


def main() -> None:
    """Measure the sections that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.datasets", description=__doc__)
    parser.add_argument("--section", choices=[*SECTIONS], action="append")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--most-seconds", type=float, default=6.0, help="until a kill")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = {}
    for name in given.section or SECTIONS:
        with tempfile.TemporaryDirectory(prefix="datasets-") as folder:
            found[name] = SECTIONS[name](given, Path(folder))
        print(name, json.dumps(found[name], indent=1, default=float), flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1, default=float))


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
