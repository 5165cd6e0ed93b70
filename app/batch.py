"""Many specimens: found on disk, worked on in parallel, each written as soon as it is done."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from xtalfuse import log
from xtalfuse.loaders.safe.processes import process_pool
from xtalfuse.loaders.safe.scratch import NO_ROOM
from xtalfuse.options import UsageError, open_library

if TYPE_CHECKING:
    from xtalfuse.datasets.library.build import Library
    from xtalfuse.loaders.record import FileReport, Record
    from xtalfuse.tasks.identify.answer import Answer

J = TypeVar("J")
R = TypeVar("R")
logger = logging.getLogger(__name__)
DIED = "the process that worked on this specimen died; is there enough memory?"


class Status(StrEnum):
    """What became of one specimen."""

    ANSWERED = "answered"
    PARTLY = "some files refused"
    UNUSABLE = "nothing usable"
    UNWRITTEN = "the results cannot be written"
    CRASHED = "our fault"


@dataclass(frozen=True)
class Options:
    """How every specimen of one run is treated."""

    library: Path | None = None
    elements: tuple[str, ...] | None = None
    wavelength: str | None = None
    refine: bool = True
    scan: int | None = None
    modality: str | None = None
    standard: str | None = None
    is_there: str | None = None
    prior: str = "usual"


@dataclass(frozen=True)
class Job:
    """One specimen and the folder for its results."""

    path: Path
    folder: Path
    options: Options = Options()


@dataclass(frozen=True)
class Outcome:
    """What a job came to; the answer is without its curves, which are in the report."""

    job: Job
    status: Status
    answer: Answer | None = None
    error: str = ""

    @property
    def report(self) -> Path | None:
        """The page to open, where there is one."""
        return None if self.answer is None else self.job.folder / "report.html"


def find_specimens(paths: Iterable[Path], out: Path) -> list[Path]:
    """The files and folders that each hold one specimen.

    A file is a specimen. A folder with files in it is one; a folder that holds only folders
    stands for the specimens inside. Hidden entries and earlier results are passed over.

    Raises
    ------
    UsageError
        If a path does not exist or a folder holds nothing.
    """
    found: list[Path] = []
    for path in paths:
        if not os.path.exists(path):
            raise UsageError(f"{path}: no such file or folder, or it may not be looked at")
        inside = _specimens_in(path, out) if path.is_dir() else [path]
        if not inside:
            raise UsageError(f"{path}: the folder holds no files")
        found += inside
    return list(dict.fromkeys(found))


def _specimens_in(folder: Path, out: Path) -> list[Path]:
    try:
        entries = [
            entry
            for entry in sorted(folder.iterdir())
            if not entry.name.startswith(".") and entry.resolve() != out.resolve()
        ]
        seen = os.access(folder, os.X_OK)  # else names can be listed, and nothing more
    except OSError:
        seen = False
    if not seen:  # reading it as a specimen will say why; the others are not to suffer
        return [folder]
    if any(os.path.isfile(entry) for entry in entries):
        return [folder]
    return [
        found for entry in entries if os.path.isdir(entry) for found in _specimens_in(entry, out)
    ]


def plan(specimens: list[Path], out: Path, options: Options) -> list[Job]:
    """One job per specimen, each with a folder of its own."""
    from xtalfuse.report.run import RESULT

    jobs: list[Job] = []
    taken: set[str] = set()
    for path in specimens:
        full = path.resolve().name
        stem = full if path.is_dir() else Path(full).stem
        name = folder_name((_safe(stem), _safe(full)), out, RESULT, full, taken)
        jobs.append(Job(path, out / name, options))
    return jobs


def folder_name(
    choices: Sequence[str], out: Path, document: str, source: str, taken: set[str]
) -> str:
    """The first name that no other specimen has, in this run or in the results of earlier ones.

    Parameters
    ----------
    choices : names to be preferred; the last of them with a number comes after them
    out : folder of all results
    document : that the task writes, such as ``result.json``
    source : name of the file or folder that is worked on
    taken : names in this run, in small letters; the one that is found is added
    """
    from xtalfuse.report.run import is_free

    for name in chain(choices, (f"{choices[-1]}-{number}" for number in count(2))):
        # compared in small letters: on some disks A and a are one folder
        if name.lower() not in taken and is_free(out / name, document, source):
            taken.add(name.lower())
            return name
    raise AssertionError("numbers do not end")


def _safe(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", name).strip("._")[:100] or "specimen"


@lru_cache(maxsize=2)
def _library(path: Path | None) -> Library:
    return open_library(path)


def work(job: Job) -> Outcome:
    """Identify one specimen and write its results; never raises for the fault of a specimen.

    A fault of ours is told by the status and by ``crash.txt`` in the folder of the results.
    """
    from xtalfuse.loaders import load_specimen
    from xtalfuse.loaders.record import UnreadableFileError
    from xtalfuse.report.phases import write_report
    from xtalfuse.report.run import CRASH, RESULT, run_in
    from xtalfuse.tasks.identify.pipeline import identify

    options = job.options
    _hush()
    try:
        logger.info("%s: reading", job.path)
        record = load_specimen(
            job.path,
            wavelength=options.wavelength,
            elements=options.elements,
            scan=options.scan,
            modality=options.modality,
        )
        for file in record.files:
            told = f"{file.modality} by {file.reader}" if file.used else file.reason
            logger.info("%s: %s", file.path, told)
        if record.measurements:
            logger.info("%s: identifying", job.path)
            library = _library(options.library)
            answer = identify(
                record,
                library,
                elements=options.elements,
                refine=options.refine,
                standard=options.standard,
                is_there=options.is_there,
                prior=options.prior,
            )
        else:
            answer = nothing_usable(record)
        logger.info("%s: done in %s", job.path, _in_words(answer.seconds))
        try:
            write_report(answer, job.folder)
        except OSError as error:
            return Outcome(job, Status.UNWRITTEN, error=not_written(error, job.folder))
        logger.info("%s: written", job.folder)
    except UnreadableFileError as error:
        return Outcome(job, Status.UNUSABLE, error=str(error))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return Outcome(job, Status.UNWRITTEN, error=not_written(error, job.folder))
        place = keep_traceback(job.folder / CRASH)
        return Outcome(job, Status.CRASHED, error=f"{type(error).__name__}: {error}; see {place}")
    run = run_in(job.folder, RESULT)
    return Outcome(job, status_of(answer), replace(answer, curves=None, panels=(), run=run))


def not_written(error: OSError, folder: Path) -> str:
    """Why results cannot be written and what to do, in one line."""
    place = error.filename or folder
    if error.errno in NO_ROOM:
        remedy = "free some space, or give --out (for temporary files, TMPDIR) on another disk"
    else:
        remedy = "give --out a folder that you may write to"
    return f"{place}: cannot be written ({error.strerror or error}); {remedy}"


def _in_words(seconds: Mapping[str, float]) -> str:
    """Time spent on each step: ``"search 0.8 s, refinement 3.1 s"``."""
    return ", ".join(f"{step} {taken:.1f} s" for step, taken in seconds.items())


def _hush() -> None:
    """Keep remarks of other packages off the terminal; what matters stands in the answer."""
    warnings.simplefilter("ignore")
    for name in ("hyperspy", "exspy", "rsciio", "rietx", "pymatgen"):
        logging.getLogger(name).setLevel(logging.ERROR)


def keep_traceback(place: Path | None = None) -> Path:
    """Write down the exception that is being handled; the path it went to.

    Without a place, or where that cannot be written, it goes to the folder for temporary files.
    """
    text = traceback.format_exc()
    if place is not None:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8", errors="replace")
            return place
        except OSError as error:
            text += f"\n{place}: {error}\n"
    handle, name = tempfile.mkstemp(prefix="xtalfuse-crash-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
    return Path(name)


def nothing_usable(record: Record) -> Answer:
    """The answer for a specimen of which no file could be read."""
    from xtalfuse import __version__
    from xtalfuse.tasks.identify.answer import Answer, Unknown

    return Answer(
        specimen=record.specimen,
        files=record.files,
        elements={},
        phases=(),
        unknown=Unknown(1.0),
        warnings=("no file of this specimen could be used",),
        fit={"r_wp": None, "gof": None},
        seconds={},
        version=__version__,
        notes=record.notes,
        group=record.group,
    )


def status_of(answer: Answer) -> Status:
    """Whether all, some or none of the specimen's files had a say.

    A file that was read and then had nothing to say is not a refused one: only refused files
    have no modality. Neither has ``specimen.yaml``, which is no measurement.
    """
    return status_of_files(answer.files)


def status_of_files(files: Iterable[FileReport]) -> Status:
    """Whether all, some or none of these files can be used; see `status_of`."""
    files = tuple(files)
    if not any(file.used and file.modality for file in files):
        return Status.UNUSABLE
    if any(not file.used and file.modality is None for file in files):
        return Status.PARTLY
    return Status.ANSWERED


def exit_code(statuses: Iterable[Status]) -> int:
    """0 all answered, 1 our fault, 2 not written, 3 some files refused, 4 nothing usable."""
    seen = set(statuses)
    if Status.CRASHED in seen:
        return 1
    if Status.UNWRITTEN in seen:
        return 2
    if seen <= {Status.UNUSABLE}:
        return 4
    return 0 if seen == {Status.ANSWERED} else 3


def work_on_all(
    jobs: list[Job], processes: int, task: Callable[[Job], Outcome] = work
) -> Iterator[Outcome]:
    """Outcomes of all jobs, each as soon as it is there; see `in_processes`."""
    return in_processes(jobs, processes, task, lambda job: Outcome(job, Status.CRASHED, error=DIED))


def in_processes(
    jobs: list[J], processes: int, task: Callable[[J], R], died: Callable[[J], R]
) -> Iterator[R]:
    """What a task makes of all jobs, each as soon as it is there.

    A job whose process dies is told as our fault and costs no other job.

    Parameters
    ----------
    jobs : what is worked on
    processes : at once; with one, nothing leaves this process
    task : must be found by its name in another process
    died : what to say of a job whose process died
    """
    if processes <= 1 or len(jobs) <= 1:
        yield from map(task, jobs)
        return
    # The libraries below numpy and torch would each start a thread per core in every process.
    threads = str(max(1, (os.cpu_count() or 1) // processes))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, threads)
    unfinished: list[J] = []
    yield from _in_pool(jobs, processes, task, unfinished)
    for job in unfinished:  # one of them killed the pool: alone, it costs only itself
        still: list[J] = []
        yield from _in_pool([job], 1, task, still)
        if still:
            yield died(job)


def _in_pool(
    jobs: list[J], processes: int, task: Callable[[J], R], unfinished: list[J]
) -> Iterator[R]:
    """Outcomes from a pool of processes; jobs that it died under are put into `unfinished`."""
    with process_pool(min(processes, len(jobs)), log.set_level, log.level()) as pool:
        futures = {pool.submit(task, job): job for job in jobs}
        for future in as_completed(futures):
            try:
                yield future.result()
            except BrokenProcessPool:
                unfinished.append(futures[future])
