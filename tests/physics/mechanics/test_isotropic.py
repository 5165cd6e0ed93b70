"""Moduli in numpy alone are those of the mechanics, and listing them loads no torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from xtalfuse.commands.materials import _row
from xtalfuse.datasets.constants.elastic import elastic_records
from xtalfuse.physics.mechanics.elasticity import voigt_from_mandel
from xtalfuse.physics.mechanics.isotropic import isotropic_moduli
from xtalfuse.tasks.structure.properties.elastic import MODULI, mean_modulus


def test_moduli_and_matrix_are_those_of_the_mechanics():
    for record in elastic_records():
        wanted = {name: mean_modulus(name, record.stiffness.copy()) for name in MODULI}
        assert isotropic_moduli(record.stiffness) == pytest.approx(wanted, rel=1e-9)
        matrix = voigt_from_mandel(record.stiffness.copy()).tolist()
        for got, row in zip(_row(record)["stiffness_voigt_gpa"], matrix, strict=True):
            assert got == pytest.approx(row, rel=1e-12, abs=1e-12)


def test_a_list_of_materials_loads_no_torch():
    code = (
        "import sys; from xtalfuse.commands.materials import _row; "
        "from xtalfuse.datasets.constants.elastic import elastic_records as r; "
        "[_row(x) for x in r()]; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
