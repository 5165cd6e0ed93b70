"""From a CT volume to its phases, pores, particles, and the graph of them.

`segment_volume` takes a volume of grey values through `volume_phases` (noise, thresholds,
specks) and `volume_objects` (bodies, particles that touch); a volume of labels is taken as it
is. A CT volume knows no orientations: its grains are particles, its graph has sizes, shapes
and boundaries, and misorientations that are NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xtalfuse.encoders.volume.measures import Porosity, porosity, specific_surface
from xtalfuse.encoders.volume.objects import NOTHING, components, particles, sizes
from xtalfuse.encoders.volume.phases import (
    MOST_PHASES,
    Thresholds,
    denoise,
    phase_map,
    slabs,
    thresholds,
    without_specks,
)
from xtalfuse.encoders.volume.specimen import field_of_view, in_air, largest_box
from xtalfuse.loaders.record import Measurement, Modality
from xtalfuse.physics.grains.crystal_map import MapPhase
from xtalfuse.physics.grains.graph import GrainGraph, from_labels

MATRIX = 2.0 / 3.0  # a phase that fills more than this is kept in one piece
PORE = "pore"
LEAST_VOXELS = 8


@dataclass(frozen=True)
class VolumeSegmentation:
    """Phases and bodies of a volume, indexed [z, y, x] as the volume is.

    Parameters
    ----------
    phase : (Z, Y, X) uint8, position in `phases`
    labels : (Z, Y, X) int32, number of the body 0 .. n-1; -1 where there is nothing
    label_phase : (n,) int, position in `phases`
    phases : the phases, the darkest first
    step_um : voxel z, y, x
    calibrated : whether `step_um` is known; 1 um stands for a voxel where it is not
    periodic : whether opposite faces meet
    thresholds : how grey values were cut; None of a volume of labels
    inside : (Z, Y, X) bool, the specimen; None if it fills the volume
    outside_field : share of the volume beyond the field of view
    notes : what was taken for granted, for a person
    """

    phase: np.ndarray
    labels: np.ndarray
    label_phase: np.ndarray
    phases: tuple[MapPhase, ...]
    step_um: tuple[float, float, float]
    calibrated: bool
    periodic: bool
    thresholds: Thresholds | None
    inside: np.ndarray | None = None
    outside_field: float = 0.0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of bodies."""
        return len(self.label_phase)

    @property
    def fractions(self) -> np.ndarray:
        """(k,) share of each phase in the volume."""
        counts = np.zeros(len(self.phases))
        for part in slabs(len(self.phase)):
            own = self.phase[part] if self.inside is None else self.phase[part][self.inside[part]]
            counts += np.bincount(own.ravel(), minlength=len(self.phases))
        return counts / counts.sum()

    @cached_property
    def core(self) -> np.ndarray:
        """(z, y, x) the phases in the largest box of the specimen: all of it, if it fills it."""
        return self.phase if self.inside is None else self.phase[largest_box(self.inside)]

    @property
    def pore_phases(self) -> tuple[int, ...]:
        """Positions of the phases that are empty space."""
        return tuple(i for i, phase in enumerate(self.phases) if phase.pore)

    def porosity(self) -> Porosity:
        """Open and closed porosity; all zero without a pore phase."""
        return porosity(np.isin(self.phase, self.pore_phases), self.periodic, self.inside)

    def specific_surface(self, phase: int) -> float:
        """Surface of a phase per volume of the whole, 1/um."""
        return specific_surface(self.phase == phase, self.step_um, self.periodic, self.inside)

    def diameters(self, phase: int) -> np.ndarray:
        """(m,) um: diameter of the sphere of the same volume, of each body of a phase."""
        voxels = sizes(self.labels, len(self))[self.label_phase == phase]
        return np.cbrt(6.0 / np.pi * voxels * np.prod(self.step_um))

    def graph(self) -> GrainGraph:
        """Bodies as nodes, their boundaries as edges; indexed [x, y, z] from here on."""
        orientation = np.zeros((len(self), 4))
        orientation[:, 0] = 1.0
        z, y, x = self.step_um
        labels = np.ascontiguousarray(self.labels.transpose(2, 1, 0))
        return from_labels(
            labels, orientation, self.label_phase, self.phases, (x, y, z), self.periodic
        )


def encode_volume(volume: Measurement) -> VolumeSegmentation:
    """Phases and bodies of a volume as a file gave it; `segment_volume` has the choices.

    Raises
    ------
    ValueError
        If it is no CT volume, or holds no phases that can be told apart.
    """
    if not volume.values.size:
        raise ValueError(f"{volume.provenance.path}: no voxel in it; export the volume again")
    try:
        return segment_volume(volume)
    except ValueError as error:
        if str(error).startswith(volume.provenance.path):
            raise
        raise ValueError(
            f"{volume.provenance.path}: {error}; look at the volume, and export it again"
        ) from None


def segment_volume(
    volume: Measurement,
    *,
    phases: int | None = None,
    names: tuple[str, ...] | None = None,
    pores: bool = True,
    separate: tuple[int, ...] | None = None,
    neck: float = 0.8,
    least_voxels: int = LEAST_VOXELS,
    noise: str = "wiener",
    periodic: bool = False,
    specimen: str | np.ndarray = "found",
) -> VolumeSegmentation:
    """Phases and bodies of a CT volume.

    Parameters
    ----------
    volume : of modality CT; `value_unit` tells grey values from labels
    phases : number of phases, 1-4; None to let the histogram tell (see `thresholds`)
    names : of the phases, the darkest first
    pores : whether the darkest of several phases is empty space
    separate : phases whose particles are told apart where they touch; None for all that
        fill less than two thirds of the volume
    neck : how wide a neck may be between two particles, see `particles`
    least_voxels : bodies of fewer voxels are given to their surroundings
    noise : how noise is removed, see `denoise`
    periodic : whether opposite faces meet
    specimen : ``"found"``: without what lies beyond the field of view, and without air around
        the specimen (see `specimen`); ``"whole"``: all; or (Z, Y, X), not zero where it is

    Raises
    ------
    ValueError
        If it is no CT volume, or `phases`, `names`, `separate` or `specimen` do not fit.
    """
    if volume.modality is not Modality.CT or volume.values.ndim != 3:
        raise ValueError(f"{volume.provenance.path}: {volume.modality.value}, not a CT volume")
    step, calibrated = _voxel(volume)
    field, search = _chosen(specimen, volume.values.shape)
    cut: Thresholds | None = None
    grains: tuple[np.ndarray, np.ndarray] | None = None
    notes: tuple[str, ...] = ()
    if volume.value_unit == "label":
        found, grains, notes = _given(volume.values, phases)
        pores = pores and (grains is not None or not volume.values.all())
    else:
        field = field_of_view(volume.values) if search else field
        found, cut = _cut(volume.values, phases, noise, periodic, field, least_voxels)
    count = int(found.max()) + 1 if cut is None else len(cut)
    listed = _named(names, count, pores and count > 1)
    inside = _without_air(found, listed, field) if search and not periodic else field
    if inside is not None:
        found[~inside] = 0
    labels, label_phase = grains or _bodies(found, count, separate, neck, periodic, inside)
    beyond = 0.0 if field is None else float(1.0 - field.mean())
    return VolumeSegmentation(
        found, labels, label_phase, listed, step, calibrated, periodic, cut, inside, beyond, notes
    )


def _cut(
    values: np.ndarray,
    phases: int | None,
    noise: str,
    periodic: bool,
    inside: np.ndarray | None,
    least_voxels: int,
) -> tuple[np.ndarray, Thresholds]:
    """Phases of a volume of grey values, and how it was cut."""
    smooth = denoise(values, noise, periodic, inside)
    cut = thresholds(smooth, phases, inside)
    found = phase_map(smooth, cut)
    return without_specks(found, least_voxels) if least_voxels > 1 and len(cut) > 1 else found, cut


def _without_air(
    found: np.ndarray, listed: tuple[MapPhase, ...], field: np.ndarray | None
) -> np.ndarray | None:
    """The specimen in its field of view, without the air around it; None if it is all."""
    empty = [i for i, phase in enumerate(listed) if phase.pore or phase.name.startswith(PORE)]
    air = in_air(~np.isin(found, empty), field) if empty else None
    return field if air is None else air


def _chosen(specimen: str | np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray | None, bool]:
    """The specimen as it was given, None for all; and whether it is to be found."""
    if isinstance(specimen, str):
        if specimen not in ("found", "whole"):
            raise ValueError(f"specimen {specimen!r}: give found, whole, or a volume")
        return None, specimen == "found"
    if specimen.shape != shape:
        raise ValueError(f"specimen of {specimen.shape} voxels for a volume of {shape}")
    if not specimen.any():
        raise ValueError("specimen: no voxel is in it")
    return specimen != 0, False


def _voxel(volume: Measurement) -> tuple[tuple[float, float, float], bool]:
    steps = [
        float(axis.values[1] - axis.values[0]) if len(axis.values) > 1 else 1.0
        for axis in volume.axes
    ]
    return (steps[0], steps[1], steps[2]), volume.axes[0].unit == "um"


def _named(names: tuple[str, ...] | None, count: int, pores: bool) -> tuple[MapPhase, ...]:
    if names is None:
        names = tuple("pore" if pores and k == 0 else f"phase {k}" for k in range(count))
    if len(names) != count:
        raise ValueError(f"{count} phases and {len(names)} names: {', '.join(names)}")
    return tuple(MapPhase(name, None, pore=pores and k == 0) for k, name in enumerate(names))


def _given(
    values: np.ndarray, phases: int | None
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray] | None, tuple[str, ...]]:
    """Phases of a volume of labels; its grains, where labels number grains; what was assumed.

    The value 0 is then what surrounds them. Labels number grains where there are more than a
    volume can have phases, or, of three or four, where each is one body. As many phases as
    values, said by hand, are phases.
    """
    known = np.unique(np.concatenate([np.unique(values[part]) for part in slabs(len(values))]))
    position = np.empty(values.shape, np.int32)
    for part in slabs(len(values)):
        position[part] = np.searchsorted(known, values[part])
    around = known[0] <= 0
    bodies = len(known) - int(around)
    few = bodies <= MOST_PHASES
    if (
        len(known) == phases
        or len(known) <= 2
        or (few and not _one_body_each(position, len(known), around))
    ):
        return position.astype(np.uint8), None, ()
    told = (
        f"labels are taken for the numbers of {bodies} grains of one phase, as each is one body; "
        "if they are phases, name all of them by --phases"
    )
    phase = (values > 0).astype(np.uint8) if around else np.zeros(values.shape, np.uint8)
    label_phase = (known > 0).astype(int) if around else np.zeros(len(known), int)
    return phase, (position, label_phase), (told,) if few else ()


def _one_body_each(position: np.ndarray, count: int, around: bool) -> bool:
    """Whether the voxels of each label, but for what is around, hang together."""
    return all(components(position == k)[1] == 1 for k in range(int(around), count))


def _bodies(
    phase: np.ndarray,
    count: int,
    separate: tuple[int, ...] | None,
    neck: float,
    periodic: bool,
    inside: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """(labels of the bodies of all phases, phase of each)."""
    if separate is not None and not set(separate) <= set(range(count)):
        raise ValueError(f"separate {separate}: the phases are 0 to {count - 1}")
    labels = np.full(phase.shape, NOTHING, np.int32)
    label_phase: list[np.ndarray] = []
    first = 0
    for number in range(count):
        mask = phase == number
        if inside is not None:
            mask &= inside
        fraction = np.count_nonzero(mask) / mask.size
        if fraction == 0.0:
            continue
        wanted = fraction < MATRIX if separate is None else number in separate
        if wanted:
            own, bodies = particles(mask, neck, periodic)
        else:
            own, bodies = components(mask, periodic)
        for part in slabs(len(labels)):
            np.copyto(labels[part], own[part] + np.int32(first), where=mask[part])
        label_phase.append(np.full(bodies, number))
        first += bodies
    return labels, np.concatenate(label_phase)
