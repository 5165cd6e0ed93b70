"""One shard: its specimens read, judged, written down one by one, and stored as one file."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from xtalfuse.datasets.manifest.rules import RULES
from xtalfuse.datasets.records.codec import pack_record
from xtalfuse.datasets.records.journal import Journal, count
from xtalfuse.datasets.records.plan import FORMAT, Member, Refusal, ShardPlan
from xtalfuse.datasets.records.store import StoreError, read_attributes
from xtalfuse.loaders.record import FileReport, Measurement, Reason, Record, UnreadableFileError

_OPTION = re.compile(r"(?:pass|give) --([a-z]+)")  # what a command line is told
SHARDS = "shards"
WORK = "work"  # what is not yet stored


def build_shard(plan: ShardPlan, out: Path) -> None:
    """Store the specimens of a shard, or what is missing of it.

    Parameters
    ----------
    out : folder of the dataset

    Raises
    ------
    OSError
        If the disk is full or may not be written.
    """
    place = out / SHARDS / plan.name
    if place.is_file():
        try:
            read_attributes(place)
            return
        except StoreError:
            pass  # damaged: built again, and put in its place whole
    with Journal(_journal(plan, out), plan.key) as journal:
        for number, member in enumerate(plan.members):
            if number not in journal.entries:
                name = f"{number:04d}"
                made = (
                    read_member(member, name) if isinstance(member, Member) else member.entry(name)
                )
                journal.append(number, *made)
        entries = [journal.entries[number] for number in range(len(plan.members))]
        journal.finish(place, {"format": FORMAT, "plan": plan.key, "entries": entries})


def written(out: Path, plan: ShardPlan) -> int:
    """How many specimens of a shard that is not finished are written down."""
    return count(_journal(plan, out))


def _journal(plan: ShardPlan, out: Path) -> Path:
    return out / WORK / plan.key[:24]


def read_member(member: Member, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what is stored of a specimen as JSON, its arrays).

    Parameters
    ----------
    name : under which the arrays stand
    """
    from xtalfuse.loaders.specimen import load_specimen, read_files

    specimen = member.specimen
    measurements: list[Measurement] = []
    reports: list[FileReport] = []
    group, elements, notes = specimen.group, specimen.about.get("elements"), ""
    plain = {file: options for file, options in member.files.items() if not _is_specimen(file)}
    for folder in member.files:
        if folder in plain:
            continue
        try:
            inside = load_specimen(folder, wavelength=member.files[folder].wavelength)
        except (UnreadableFileError, OSError) as error:
            code = getattr(error, "reason", Reason.NOT_PERMITTED)
            reports.append(FileReport(str(folder), None, None, None, False, str(error), code))
            continue
        measurements += inside.measurements
        reports += inside.files
        group = inside.group if group == specimen.id and inside.group != folder.name else group
        elements = elements or (" ".join(inside.elements) if inside.elements else None)
        notes = notes or inside.notes
    if plain:
        read, told = read_files(plain)
        measurements += read
        reports += told
    names = {str(place): called for place, called in member.names.items()}
    record = Record(
        specimen.id,
        group,
        tuple(_named(m, names) for m in measurements),
        tuple(replace(r, path=_name(r.path, names)) for r in reports),
        tuple(elements.split()) if elements else None,
        notes=specimen.about.get("notes", notes),
    )
    return _judged(member, record, name)


def _judged(member: Member, record: Record, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The entry of a record after all rules, with the reasons for what is not used."""
    specimen = member.specimen
    refusals = [*member.refusals, *_of_files(record), *_doubts(record)]
    targets = {
        key: replace(t, value=None) if t.fault else t  # type: ignore[arg-type]
        for key, t in specimen.targets.items()
    }
    refusals += [
        Refusal(specimen.id, "", key, False, t.code or Reason.LABEL, t.fault, "correct the label")
        for key, t in specimen.targets.items()
        if t.fault
    ]
    for rule in RULES.values():
        for finding in rule.check(specimen, record):
            whole = not finding.target and not finding.path
            refusals.append(
                Refusal(specimen.id, finding.path, finding.target, whole, finding.code,
                        finding.cause, finding.remedy)
            )  # fmt: skip
            if finding.path:
                left = [m for m in record.measurements if m.provenance.path != finding.path]
                record = replace(record, measurements=tuple(left))
            if finding.target:
                label = specimen.targets[finding.target]
                targets[finding.target] = replace(label, fault=finding.cause, code=finding.code)
    nothing = bool(specimen.files) and not record.measurements
    if nothing:
        refusals = [r if r.target else replace(r, whole=True) for r in refusals]
        if not any(r.whole for r in refusals):
            cause, remedy = "none of its files holds a measurement", "check the files"
            refusals.append(Refusal(specimen.id, "", "", True, Reason.NOTHING, cause, remedy))
    kept = not any(r.whole for r in refusals)
    content, arrays = pack_record(record, name) if kept else (None, {})
    entry = {
        "id": specimen.id,
        "group": record.group,
        "kept": kept,
        "record": content,
        "about": dict(specimen.about),
        "targets": {key: asdict(target) for key, target in targets.items()},
        "refusals": [asdict(refusal) for refusal in dict.fromkeys(refusals)],
        "inputs": sorted({_input(m, member) for m in record.measurements}),
        "modalities": sorted(Counter(str(m.modality) for m in record.measurements)),
    }
    return entry, arrays


def _input(measurement: Measurement, member: Member) -> str:
    """What tells a measurement from others: its file, and which scan or volume of it was asked."""
    source = measurement.provenance
    asked = (o for f, o in member.files.items() if member.names[f] == source.path)
    options = next(asked, None)
    which = options and (options.part or options.scan)
    return f"{source.sha256}#{which}" if which else source.sha256


def _is_specimen(place: Path) -> bool:
    """Whether a folder holds files of several instruments, not the slices of one volume."""
    if not place.is_dir():
        return False
    from xtalfuse.loaders import registry

    try:
        return registry.folder_reader(place) is None
    except UnreadableFileError:  # reading it will say why
        return True


def _of_files(record: Record) -> list[Refusal]:
    """What its files were refused for; a second copy of a file costs nothing."""
    found = []
    for report in record.files:
        if report.used or report.code is Reason.DUPLICATE or not report.reason:
            continue
        said = report.reason.removeprefix(f"{Path(report.path).name}: ")
        cause, _, remedy = said.rpartition("; ")
        cause, remedy = (cause, remedy) if cause else (remedy, "leave it out of the manifest")
        remedy = _OPTION.sub(r"in the manifest, \1:", remedy)
        code = report.code or Reason.REFUSED
        found.append(Refusal(record.specimen, report.path, "", False, code, cause, remedy))
    return found


def _doubts(record: Record) -> list[Refusal]:
    """What was put right or left out in reading."""
    return [
        Refusal(record.specimen, m.provenance.path, "", False, Reason.DOUBT, said, "look at it")
        for m in record.measurements
        for said in m.provenance.warnings
    ]


def _name(path: str, names: dict[str, str]) -> str:
    """How a file is called in the dataset; no path of this machine stands there."""
    if path in names:
        return names[path]
    for place, called in names.items():
        if path.startswith(f"{place}/"):
            return f"{called}/{path.removeprefix(f'{place}/')}"
    return Path(path).name


def _named(measurement: Measurement, names: dict[str, str]) -> Measurement:
    source = measurement.provenance
    path = _name(source.path, names)
    return replace(measurement, provenance=replace(source, path=path))
