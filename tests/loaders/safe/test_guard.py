"""No reader can hurt the calling program: law 8 of the house."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe import guard
from xtalfuse.loaders.safe.guard import guarded

READERS = """
import ctypes, os
import numpy as np

def good(path, factor=1):
    print("noise that must not reach the answers")
    return {"path": path, "array": np.arange(3) * factor, "pid": os.getpid()}

def crash(path): ctypes.string_at(0)
def hang(path):
    while True: pass
def greedy(path): return np.ones(10**11)
def leave(path): os._exit(3)
def stop(path): raise SystemExit("bye")
def complain(path): raise KeyError("no such\\nblock")
class Own: pass
def foreign(path): return Own()
class Trap:
    def __reduce__(self): return (os.system, ("touch " + TRAP,))
def hostile(path): return Trap()
TRAP = ""
"""


@pytest.fixture
def readers(tmp_path, monkeypatch):
    """A module of readers that misbehave in every way we know of."""
    (tmp_path / "misbehaving_readers.py").write_text(READERS)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("misbehaving_readers", None)
    guard.shutdown()  # a warm child would still know the module of the test before
    return importlib.import_module("misbehaving_readers")


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "pattern.xy"
    path.write_text("1 2\n")
    return path


def test_result_comes_back_from_another_process_with_its_array(readers, file):
    result = guarded(readers.good, file, factor=2)
    assert result["pid"] != os.getpid()
    np.testing.assert_array_equal(result["array"], [0, 2, 4])
    assert result["path"] == str(file)


def test_one_child_serves_many_files(readers, file):
    assert len({guarded(readers.good, file)["pid"] for _ in range(20)}) == 1


@pytest.mark.parametrize(
    ("reader", "cause"),
    [
        ("crash", "crashed"),
        ("greedy", "memory"),
        ("leave", "exit status 3"),
        ("stop", "SystemExit: bye"),
        ("complain", "KeyError: 'no such"),
        ("foreign", "Own"),
        ("hostile", "system"),
    ],
)
def test_every_misbehaviour_names_file_and_cause_and_the_next_file_reads(
    readers, file, reader, cause
):
    with pytest.raises(UnreadableFileError, match=cause) as refusal:
        guarded(getattr(readers, reader), file, memory_gb=1)
    assert str(refusal.value).startswith("pattern.xy: ")
    assert "; " in str(refusal.value)  # cause; remedy
    assert guarded(readers.good, file)["array"].size == 3


def test_a_hanging_reader_is_stopped_in_time(readers, file):
    began = time.monotonic()
    with pytest.raises(UnreadableFileError, match=r"longer than 0\.5 s"):
        guarded(readers.hang, file, seconds=0.5)
    assert time.monotonic() - began < 5.0  # the limit, and slack for a busy machine


def test_no_child_is_left_behind(readers, file):
    guard.shutdown()
    before = set(psutil.Process().children(recursive=True))  # those of other tests
    guarded(readers.good, file)
    with pytest.raises(UnreadableFileError):
        guarded(readers.crash, file)
    with pytest.raises(UnreadableFileError):
        guarded(readers.hang, file, seconds=0.2)
    guard.shutdown()
    assert set(psutil.Process().children(recursive=True)) <= before


def test_threads_do_not_take_each_others_answers(readers, tmp_path):
    files = [tmp_path / f"{i}.xy" for i in range(24)]
    for file in files:
        file.write_text("1 2\n")
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda file: guarded(readers.good, file), files))
    assert [result["path"] for result in results] == [str(file) for file in files]


def test_a_forked_process_gets_a_child_of_its_own(readers, file):
    before = guarded(readers.good, file)["pid"]
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    forked = context.Process(
        target=lambda: answers.put(guarded(readers.good, file)["pid"]), daemon=True
    )
    forked.start()
    assert answers.get(timeout=30) != before
    forked.join(timeout=30)
    assert guarded(readers.good, file)["pid"] == before


def test_a_child_that_cannot_start_is_not_blamed_on_the_file(file, readers, monkeypatch):
    monkeypatch.setattr(guard, "_CHILD", "import a_module_that_is_not_there")
    with pytest.raises(RuntimeError, match="does not start: exit status 1"):
        guarded(readers.good, file)


def test_a_script_without_a_main_guard_may_read(tmp_path):
    script = tmp_path / "plain_script.py"
    (tmp_path / "a.xy").write_text("".join(f"{10 + i / 50:.2f} {i}\n" for i in range(200)))
    script.write_text(
        "from xtalfuse.loaders import load\n"
        f"print(load({str(tmp_path / 'a.xy')!r}, wavelength='CuKa').values.sum())\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["19900.0"]


def test_what_is_no_file_is_refused_before_any_reader_sees_it(readers, tmp_path):
    (tmp_path / "empty.xy").touch()
    os.mkfifo(tmp_path / "pipe.xy")
    for name, cause in (("absent.xy", "no such file"), ("empty.xy", "empty"), ("pipe.xy", "not a")):
        with pytest.raises(UnreadableFileError, match=f"{name}: .*{cause}"):
            guarded(readers.good, tmp_path / name)


def test_a_function_that_no_other_process_can_find_is_the_callers_mistake(file):
    with pytest.raises(ValueError, match="imported by name"):
        guarded(lambda path: path, file)
