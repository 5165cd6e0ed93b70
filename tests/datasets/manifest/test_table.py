"""A manifest tells all that is wrong with it at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xtalfuse.datasets.manifest.table import ManifestError, read_manifest
from xtalfuse.datasets.manifest.template import template
from xtalfuse.datasets.manifest.units import UnitError, to_standard
from xtalfuse.datasets.records.plan import found
from xtalfuse.loaders.record import Reason, UnreadableFileError


def test_all_problems_are_told_with_row_column_cause_and_remedy(write):
    path = write(
        [
            {"id": "a", "group": "x", "pathh": "a.xy", "target:hardness[HVV]": 3, "odd": 1},
            {"id": "", "group": "y"},
            {"id": "a", "group": "z"},
        ]
    )
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    told = {(p.row, p.column) for p in caught.value.problems}
    assert {(0, "pathh"), (0, "target:hardness[HVV]"), (0, "odd"), (2, "id"), (3, "group")} <= told
    assert "column 'pathh': '': no such column; did you mean 'path'?" in str(caught.value)
    assert str(caught.value).count("\n") + 1 == len(caught.value.problems)


def test_rows_of_one_id_are_one_specimen_with_several_files(write):
    path = write(
        [
            {"id": "s", "path": "a.xy", "wavelength": "CuKa", "target:E[MPa]": 70000, "scan": ""},
            {"id": "s", "path": "b.xy", "wavelength": "MoKa"},
        ]
    )
    (specimen,) = read_manifest(path).specimens
    assert [f.stated.wavelength for f in specimen.files] == ["CuKa", "MoKa"]
    assert (specimen.targets["E"].value, specimen.targets["E"].unit) == (70.0, "GPa")
    assert specimen.group == "s"


def test_a_wrong_value_costs_its_row_or_label_only(write):
    path = write(
        [
            {"id": "a", "path": "a.xy", "wavelength": "CuQ", "target:E[GPa]": "about 70"},
            {"id": "b", "path": "b.xy", "wavelength": "CuKa", "target:E[GPa]": "71"},
        ]
    )
    manifest = read_manifest(path)
    first, second = manifest.specimens
    assert {(p.row, p.column) for p in manifest.problems} == {
        (1, "wavelength"),
        (1, "target:E[GPa]"),
    }
    assert (first.targets["E"].code, first.targets["E"].valid) == (Reason.LABEL, False)
    assert second.targets["E"].valid


def test_three_formats_say_the_same(tmp_path: Path, write):
    import pandas as pd

    rows = [{"id": "a", "path": "a.xy", "target:n[]": 0.5}, {"id": "b", "path": "b.xy"}]
    found = [read_manifest(write(rows))]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pd.DataFrame(rows).to_parquet(tmp_path / "m.parquet")
    found += [read_manifest(tmp_path / name) for name in ("m.jsonl", "m.parquet")]
    assert found[0].specimens == found[1].specimens == found[2].specimens


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("m.txt", "id\n", "a table is one of"),
        ("m.xlsx", "no workbook", "correct the table"),
        ("m.csv", "id,id\n1,2\n", "two columns are called 'id'"),
        ("m.csv", "id,path\n1,2,3\n", "more fields than the header"),
        ("m.jsonl", "{oops", "correct the table"),
        ("m.parquet", "no parquet", "correct the table"),
        ("m.csv", "id,path\n", "the table has no rows"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, name, content, told):
    (tmp_path / name).write_text(content)
    with pytest.raises(UnreadableFileError, match=told):
        read_manifest(tmp_path / name)


def test_a_template_takes_folders_of_several_kinds_for_specimens(tmp_path: Path):
    for name in ("s1/a.xy", "s1/b.msa", "scans/1.xy", "scans/2.xy", "alone.xy", "a.cif", "b.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1 2")
    found, left_out = template(tmp_path)
    rows = {row["id"]: (row["path"], row["group"]) for row in found}
    assert left_out == {".cif": 1, ".md": 1}  # a structure, a page
    assert [row["id"] for row in template(tmp_path, whole=True)[0]] == ["alone", "s1", "scans"]
    assert rows == {
        "s1": ("s1", ""), "scans/1": ("scans/1.xy", "scans"), "scans/2": ("scans/2.xy", "scans"),
        "alone": ("alone.xy", ""),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "unit", "standard"),
    [
        (450.0, "MPa", (0.45, "GPa")),
        (100.0, "HV", (0.980665, "GPa")),
        (7.87, "g/cm3", (7.87, "g/cm^3")),
        (7870.0, "kg m-3", (7.87, "g/cm^3")),
        (0.4, "nm", (4.0, "angstrom")),
        (0.02, "mm", (20.0, "um")),
        (25.0, "degC", (298.15, "K")),
        (12.0, "wt%", (0.12, "")),
        (3.0, "MPa m^0.5", (3.0, "MPa*m^0.5")),
    ],
)
def test_units_become_those_of_all_records(value, unit, standard):
    assert to_standard(value, unit) == (pytest.approx(standard[0]), standard[1])


@pytest.mark.parametrize("unit", ["GPaa", "import os", "kg*"])
def test_a_unit_that_is_none_is_refused(unit):
    with pytest.raises(UnitError):
        to_standard(1.0, unit)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"Id;Wavelength;path;target:hardness[HV];\na;CuKa;d\\x.xy;120,5;\n;;;;\n"),
        ("a.tsv", b"ID\tpath\twavelength\ttarget:hardness[HV]\na\td\\x.xy\tCuKa\t120,5\n"),
        ("a.csv", "id,path,wavelength,target:hardness[HV],target:E[GPa]\n"
                  "a,d\\x.xy,CuKa,120.5,n/a\n".encode("utf-16")),
        ("a.csv", "id,path,wavelength,target:hardness[HV],notes\n"
                  "a,d\\x.xy,CuKa,120.5,Wärme\n".encode("cp1252")),
        ("a.xlsx", b""),
    ],
)  # fmt: skip
def test_a_spreadsheet_of_any_country_is_read(tmp_path: Path, name: str, content: bytes):
    place = tmp_path / name
    place.write_bytes(content)
    if not content:
        import openpyxl

        book = openpyxl.Workbook()
        book.active.append(["id", "path", "Wavelength", None, "target:hardness[HV]"])
        book.active.append(["a", "d\\x.xy", "CuKa", None, 120.5])
        book.save(place)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.xy").write_text("1 2")
    (specimen,) = read_manifest(place).specimens
    assert {n: t.value for n, t in specimen.targets.items()} == {
        "hardness": pytest.approx(120.5 * 9.80665e-3)}  # fmt: skip
    assert specimen.files[0].stated.wavelength == "CuKa"
    assert list(found(specimen, tmp_path).files) == [tmp_path / "d" / "x.xy"]
    assert specimen.about.get("notes", "Wärme") == "Wärme"
