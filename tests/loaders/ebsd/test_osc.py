"""`.osc`: the same points as the `.ang` that the same program wrote."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.loaders import UnreadableFileError, registry

COPPER = "ebsd/copper_hexagonal_grid"


def test_twin_files_hold_the_same_points(real):
    binary = registry.read(real / COPPER / "EBSD.osc").crystal_map
    text = registry.read(real / COPPER / "EBSD.ang").crystal_map
    assert len(binary.phase) == 23909
    assert np.array_equal(binary.index, text.index)
    assert np.array_equal(binary.phase, text.phase)
    same = np.abs(np.sum(binary.orientation * text.orientation, axis=1))
    assert same.min() > 1 - 1e-10  # text has five digits
    assert np.allclose(binary.quality["iq"], text.quality["iq"], atol=1e-3)
    assert binary.phases[0].laue == text.phases[0].laue == "m-3m"


@pytest.mark.parametrize("counted", [False, True])
def test_both_forms_of_the_block_of_points(made, points, tmp_path, counted):
    path = made.write(tmp_path, "map.osc", made.osc(points, counted=counted))
    found = registry.read(path).crystal_map
    assert np.array_equal(found.phase, points.phase - 1)
    assert np.allclose(found.position[:, :2], np.stack([points.x, points.y], 1), atol=1e-6)
    assert [(p.name, p.laue) for p in found.phases] == [("Copper", "m-3m"), ("Titanium", "6/mmm")]
    assert found.phases[1].cell == made.HEXAGONAL


def test_a_count_that_is_not_of_the_file_is_refused(made, points, tmp_path):
    content = bytearray(made.osc(points))
    content[24] += 1
    with pytest.raises(UnreadableFileError, match="64 points are declared"):
        registry.read(made.write(tmp_path, "map.osc", bytes(content)))


def test_phases_that_are_not_found_are_refused(made, points, tmp_path):
    content = made.osc(points).replace(b"Titanium", b"\0itanium")
    with pytest.raises(UnreadableFileError, match="1 phases were found where 2 are declared"):
        registry.read(made.write(tmp_path, "map.osc", content))


def test_a_project_is_refused_with_a_remedy(real):
    with pytest.raises(UnreadableFileError, match=r"project of OIM Analysis.*export.*\.ang"):
        registry.read(real / COPPER / "EBSD.oim")
