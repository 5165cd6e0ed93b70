"""Whether the weighed mixtures are, in the beam, what was weighed: by absolute intensities.

    python -m benchmarks.external_standard

One diffractometer counted all mixtures alike, so that for every phase

    G = scale * (mass * volume of the cell) * (mass attenuation of the mixture) / weighed fraction

is one constant of the instrument (O'Connor & Raven 1988, Powder Diffr. 3, 2), whatever else is in
the mixture. The table gives G of each phase over its median in all mixtures that hold the same
powder: a phase far from 1 where it stands beside some powder and near 1 beside others is there
in another amount than weighed, or coarse; no model of the pattern brings it back.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.mixtures import Judge, benchmark_library, specimens
from benchmarks.real import real_folder
from xtalfuse.datasets.library.build import Library
from xtalfuse.physics.crystal.absorption import absorption_per_cm
from xtalfuse.tasks.identify.powder.phase import analyse_pattern


def constants(real: Path, library: Library) -> dict[str, dict[str, float]]:
    """G of each compound of each weighed mixture, counts, 8-minute scans."""
    judge = Judge(library)
    found: dict[str, dict[str, float]] = {}
    for specimen in specimens(real):
        if specimen.family != "mixtures_weighed" or "8min" not in specimen.path.name:
            continue
        measurement = specimen.measurement()
        fit = analyse_pattern(measurement, library, library.select(specimen.elements)).fit
        strength: dict[str, float] = {}
        attenuation: dict[str, float] = {}
        for phase in fit.phases:
            compound = judge.compound(specimen, phase.entry)
            if compound is not None:
                crystal = library.entries[phase.entry].crystal
                amount = phase.scale * phase.model.weight
                strength[compound] = strength.get(compound, 0.0) + amount
                wavelength = phase.model.radiation.primary_angstrom
                absorbed = absorption_per_cm(crystal, wavelength) / crystal.density_g_cm3
                attenuation[compound] = absorbed
        weights = {name: specimen.weights[name] for name in strength}
        mixture = sum(w * attenuation[name] for name, w in weights.items()) / sum(weights.values())
        found[specimen.group] = {n: strength[n] * mixture / w for n, w in weights.items()}
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, default=real_folder(), help="folder of real files")
    real = parser.parse_args().real
    found = constants(real, Library.load(benchmark_library(real)))
    names = sorted({name for row in found.values() for name in row})
    usual = {n: median(row[n] for row in found.values() if n in row) for n in names}
    for group, row in found.items():
        cells = "  ".join(f"{name} {value / usual[name]:.2f}" for name, value in row.items())
        print(f"{group.split('/')[-1]:48}  {cells}")


if __name__ == "__main__":
    main()
