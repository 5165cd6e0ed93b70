"""One list of readers: what they declare, how the surest is chosen, how a package adds one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xtalfuse.loaders import UnreadableFileError, registry
from xtalfuse.loaders.reader import NUMBERS_OF, Certainty, Reader, ReadOptions
from xtalfuse.loaders.record import Modality
from xtalfuse.loaders.registry import READERS, certainties, choose
from xtalfuse.loaders.safe.head import HEAD_BYTES, FileHead
from xtalfuse.physics.registry import UnknownNameError


@pytest.mark.parametrize("reader", READERS.values(), ids=list(READERS))
def test_a_declaration_is_complete_and_knows_no_empty_file(reader: Reader, tmp_path: Path):
    assert reader.name == reader.name.strip().lower()
    assert " " not in reader.name
    assert reader.about
    assert all(suffix.startswith(".") for suffix in reader.suffixes)
    refuses = any("always refused" in said or "is refused with" in said for said in reader.limits)
    assert reader.modalities or refuses
    assert not any(said.endswith(".") for said in reader.limits)
    empty = tmp_path / "none.unheardof"
    empty.write_bytes(b"")
    with FileHead.of(empty) as head:
        assert reader.sniff(head) is Certainty.NONE


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'xrdml'"):
        READERS["xrdlm"]


def test_the_surest_reader_gets_a_file_whatever_the_order_of_files(real: Path):
    """No real file is claimed by two readers that are both sure, so order decides nothing."""
    files = sorted(p for p in (real / "xrd" / "formats").rglob("*") if p.is_file())
    files += sorted(p for p in (real / "tem").rglob("*") if p.is_file())
    ties = {}
    for path in files:
        with FileHead.of(path) as head:
            sure = certainties(head)
        best = [name for name, c in sure.items() if c is max(sure.values())]
        if len(best) > 1:
            ties[path.name] = best
    assert len(files) > 150
    assert ties == {}


def test_the_head_is_read_once_and_a_question_asked_once(tmp_path: Path):
    path = tmp_path / "long.xy"
    path.write_bytes(b"1 2\n" * 5000)
    asked = []

    def question(head: FileHead) -> int:
        asked.append(head.path)
        return len(head.start)

    with FileHead.of(path) as head:
        assert head.once(question) == head.once(question) == HEAD_BYTES
    assert asked == [path]


@pytest.mark.parametrize(
    ("name", "content", "slow"),
    [
        ("stoe.raw", b"RAW_1.06Powdat" + bytes(600), False),
        ("scan.asc", b"*TYPE = Raw\n*CLASS = ASCII\n", False),
        ("volume.npy", b"\x93NUMPY", False),
        ("plain.xy", b"10.0 5\n10.1 6\n10.2 7\n", True),
    ],
)
def test_rietx_is_imported_only_for_files_that_no_other_reader_knows(
    tmp_path: Path, name: str, content: bytes, slow: bool
):
    path = tmp_path / name
    path.write_bytes(content)
    code = (
        "import sys\n"
        "from xtalfuse.loaders.registry import certainties\n"
        "from xtalfuse.loaders.safe.head import FileHead\n"
        f"certainties(FileHead.of({str(path)!r}))\n"
        "print('rietx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(slow)


def test_a_volume_by_hand_overrules_the_look_of_a_file(tmp_path: Path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "few.tif", np.arange(7 * 9 * 9, dtype="u2").reshape(7, 9, 9))
    with FileHead.of(tmp_path / "few.tif") as head:
        assert choose(head).modalities[-1] is Modality.IMAGE
        assert choose(head, ReadOptions(labels=False)).modalities == (Modality.CT,)
    (tmp_path / "a.xy").write_text("10.0 5\n10.1 6\n10.2 7\n")
    with (
        FileHead.of(tmp_path / "a.xy") as head,
        pytest.raises(UnreadableFileError, match="no known format of a volume"),
    ):
        choose(head, ReadOptions(part="3"))


def test_options_are_checked_and_unknown_ones_refused():
    with pytest.raises(TypeError):
        ReadOptions(wavelenght="CuKa")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="camera length -3"):
        ReadOptions(camera_length_mm=-3.0)
    with pytest.raises(ValueError, match="Unobtainium"):
        ReadOptions(wavelength="Unobtainium")
    with pytest.raises(ValueError, match="voxel size"):
        ReadOptions(voxel_size_um=(1.0, -1.0, 1.0))


PAGE = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"
# the worked example of CONTRIBUTING.md, word for word
PRIVATE = PAGE.read_text("utf-8").partition("## A new file format")[2].split("```")[1][7:]


def test_a_reader_of_another_package_works_and_a_broken_one_costs_nothing(tmp_path: Path):
    """A throw-away distribution on the path, as pip would install it."""
    packages = tmp_path / "site"
    about = packages / "ourlab-1.0.dist-info"
    about.mkdir(parents=True)
    (packages / "ourlab.py").write_text(PRIVATE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: ourlab\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[xtalfuse.readers]\nourlab = ourlab:READERS\nbroken = ourlab_gone:READERS\n"
    )
    counts = np.random.default_rng(1).poisson(50.0, 400)
    path = tmp_path / "scan.lab"
    path.write_text("OUR OWN LAB " + " ".join(map(str, counts)))
    code = (
        f"import sys; sys.path.insert(0, {str(packages)!r})\n"
        "import xtalfuse\n"
        f"found = xtalfuse.load({str(path)!r})\n"
        "print(found.radiation.name, found.values.size, found.provenance.reader)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["CoKa", "400", "private"], done.stderr


def test_a_format_takes_one_new_module_in_the_room_of_its_instrument(
    tmp_path: Path, copied: Callable[[dict[str, str], str], str]
):
    path = tmp_path / "scan.lab"
    path.write_text("OUR OWN LAB " + " ".join(map(str, range(20, 420))))
    code = (
        "import xtalfuse\n"
        f"found = xtalfuse.load({str(path)!r})\n"
        "print(xtalfuse.__file__, found.radiation.name, found.values.size)\n"
        "print(xtalfuse.READERS['our-lab'].about)"
    )
    printed = copied({"loaders/xrd/ourlab.py": PRIVATE}, code)
    here = tmp_path / "copy" / "xtalfuse" / "__init__.py"
    assert printed.split()[:3] == [str(here), "CoKa", "400"]
    assert "our own laboratory" in printed
    # without the module no reader knows the file
    with pytest.raises(UnreadableFileError, match="no known instrument format"):
        registry.read(path)


def test_a_modality_takes_three_files(tmp_path: Path, copied: Callable[[dict[str, str], str], str]):
    """The example of CONTRIBUTING, word for word, from the file to what `identify` says of it."""
    section = PAGE.read_text("utf-8").partition("## A new modality")[2].partition("\n## ")[0]
    (line,) = [line for line in section.splitlines() if line.startswith("    RAMAN = ")]
    files = dict(
        re.findall(r'^```python title="(\S+)"\n(.*?)^```$', section, re.DOTALL | re.MULTILINE)
    )
    assert set(files) == {"loaders/raman.py", "encoders/raman.py"}
    record = (PAGE.parent / "loaders" / "record.py").read_text("utf-8")
    mark = '    OTHER = "other"'
    assert record.count(mark) == 1
    modules = {"loaders/record.py": record.replace(mark, f"{line}\n{mark}"), **files}
    shift = np.arange(100.0, 800.0)
    mean = 50.0 + 900.0 * np.exp(-(((shift - 520.0) / 4.0) ** 2))  # silicon
    counts = np.random.default_rng(2).poisson(mean)
    folder = tmp_path / "wafer"
    folder.mkdir()
    rows = "".join(f"{x:g} {y}\n" for x, y in zip(shift, counts, strict=True))
    (folder / "wafer.rmn").write_text(f"# Raman, 532 nm\n{rows}")
    printed = copied(modules, f"folder = {str(folder)!r}\n{RAMAN}").splitlines()
    assert printed[0] == "raman 700 1/cm"
    assert [abs(float(band) - 520.0) < 2.0 for band in printed[1].split()] == [True]
    assert printed[2:] == [
        "True",
        "raman False wafer.rmn: no phase is looked for in a record of raman",
        "1.0 no record of this specimen says anything about its phases",
    ]


RAMAN = """
import xtalfuse
from pathlib import Path
found = xtalfuse.load(Path(folder) / "wafer.rmn")
print(found.modality, found.values.size, found.axes[0].unit)
print(*xtalfuse.ENCODERS["raman"].encode(found).shift_per_cm)
record = xtalfuse.load_specimen(folder)
print(all(file.used for file in record.files))
answer = xtalfuse.identify(record)
print(answer.files[0].modality, answer.files[0].used, answer.files[0].reason)
print(answer.unknown.probability, answer.warnings[0])
"""


@pytest.mark.parametrize("name", READERS)
def test_every_reader_says_whence_its_numbers_come(name):
    reader = READERS[name]
    needed = {number for kind in reader.modalities for number in NUMBERS_OF.get(kind, ())}
    assert needed <= {number.name for number in reader.numbers}
    with_unit = {"two_theta", "wavelength", "energy", "scale", "position", "voxel"}
    for number in reader.numbers:
        assert number.row
        assert number.unit or number.row == "not read" or number.name not in with_unit
