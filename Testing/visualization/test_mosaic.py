"""Mosaics show the right slices the right way round, with outlines in the colours of the classes."""

import numpy as np
import pytest
from support.grids import awkward_grids

from SegSRGANLib.data.classes import TISSUES, display_colours
from SegSRGANLib.data.grid import Grid, output_grid
from SegSRGANLib.inference.enhancement import Enhancement
from SegSRGANLib.visualization.mosaic import (
    SLICES,
    Layer,
    Outline,
    Window,
    box_around,
    draw_tile,
    places_along,
    position,
)
from SegSRGANLib.visualization.qc_picture import draw_enhancement, legend_of, thumbnail_of
from SegSRGANLib.visualization.verdict_style import dice_in_words, shown_verdict

Image = pytest.importorskip("PIL.Image", reason="needs the extra report")
GRID = Grid((40, 32, 20), (0.5, 0.5, 1.0), (-10.0, -8.0, -10.0), tuple(np.eye(3).ravel()))


def _corner(grid=GRID):
    """Bright where it is left, posterior and superior (high x, y and z in LPS)."""
    array = np.zeros(grid.shape, np.float32)
    array[grid.shape[0] // 2 :, grid.shape[1] // 2 :, grid.shape[2] // 2 :] = 1.0
    return grid.image(array)


@pytest.mark.parametrize(
    "axis, rows, columns",
    [(2, slice(16, 32), slice(20, 40)), (1, slice(0, 20), slice(20, 40)), (0, slice(0, 20), slice(16, 32))],
)
def test_tiles_are_radiological(axis, rows, columns):
    """Axial: posterior down, left at the right; coronal, sagittal: superior up; sagittal: posterior at the right."""
    layer = Layer("", _corner())
    box = box_around(None, layer.image)
    tile = draw_tile(layer, Window(axis, float(box[1, axis]) - 1, box, 2.0), (0.0, 1.0))[..., 0]
    expected = np.zeros_like(tile)
    expected[rows, columns] = 255
    assert np.array_equal(tile, expected)


def test_scan_and_result_of_other_voxels_show_the_same_anatomy():
    scan = _corner()
    fine = _corner(output_grid(Grid.of(scan), 0.25))
    box = box_around(None, scan)
    for axis in range(3):
        window = Window(axis, float(box[1, axis]) * 0.8, box, 2.0)
        tiles = [draw_tile(Layer("", image), window, (0.0, 1.0)) for image in (scan, fine)]
        assert np.array_equal(*tiles)


def test_each_class_has_its_colour_and_the_mask_another():
    array = np.zeros(GRID.shape, np.uint8)
    array[5:15, 4:14, 4:14], array[5:15, 18:28, 20:34] = 1, 2
    labels, names = GRID.image(array), ("cortex", "cerebellum")
    layer = Layer("", _corner(), (Outline(labels, display_colours(names)),))
    tile = draw_tile(layer, Window(2, 10.0, box_around(None, labels), 4.0), (0.0, 1.0))
    found = {tuple(pixel) for pixel in tile.reshape(-1, 3) if len(set(pixel)) > 1}
    assert found == {TISSUES[name].colour for name in names}
    cortex = (tile == TISSUES["cortex"].colour).all(axis=-1)
    assert cortex.sum() == 4 * 20 - 4  # an outline of 10 voxels of two pixels a side, not an area


def test_slices_are_spread_over_the_brain_and_say_where_they_are():
    array = np.zeros(GRID.shape, np.uint8)
    array[2:18, 8:24, 10:30] = 1
    box = box_around(GRID.image(array), _corner())
    places = places_along(box, 2)
    assert len(places) == SLICES >= 7 and np.allclose(np.diff(places, 2), 0) and places[0] > box[0, 2]
    # the near face lies at -10.5 mm, so 3.5 mm from it is 7 mm below the origin
    assert position(_corner(), Window(2, 3.5, box, 1.0)) == "I 7 mm"
    assert position(_corner(), Window(0, 15.25, box, 1.0)) == "L 5 mm"
    assert position(_corner(), Window(1, 3.25, box, 1.0)) == "A 5 mm"


@pytest.mark.parametrize("grid", awkward_grids().values(), ids=awkward_grids())
def test_picture_of_any_grid_holds_a_small_one(grid, tmp_path):
    image = _corner(grid)
    labels, mask = image > 0.5, image > -1
    result = Enhancement(image, {"cortex": image}, labels, {}, mask=mask)
    draw_enhancement(image, result, tmp_path / "qc.png", "marked")
    assert [title for title, _ in legend_of(result)] == ["Cerebral cortex", "Brain mask"]
    assert thumbnail_of(tmp_path / "qc.png").startswith("data:image/jpeg;base64,")
    with Image.open(tmp_path / "qc.png") as picture:
        assert picture.width < 1700 and picture.height > 400


def test_no_small_picture_where_there_is_none(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "other.png")
    (tmp_path / "text.png").write_text("no picture")
    for name in ("other.png", "text.png", "missing.png"):
        assert thumbnail_of(tmp_path / name) is None


@pytest.mark.parametrize(
    "dice, words",
    [
        (0.8, "0.80"),
        ([0.7, 0.9], "0.70 to 0.90"),
        ([0.8, 0.7, 0.9], "0.80 (0.70 to 0.90)"),
        ({"value": 0.8, "low": 0.7, "high": 0.9}, "0.80 (0.70 to 0.90)"),
        ({"value": 0.8, "interval": [0.7, 0.9]}, "0.80 (0.70 to 0.90)"),
        ({"value": 0.8}, "0.80"),
        (float("nan"), ""),
        (None, ""),
        ("good", ""),
    ],
)
def test_predicted_dice_in_words(dice, words):
    assert dice_in_words(dice) == words


def test_without_a_verdict_there_is_none():
    for record in ({}, {"verdict": None}, {"verdict": {"word": "splendid"}}):
        assert shown_verdict(record).word == "no verdict"
    shown = shown_verdict({"verdict": {"word": "do not use", "reasons": ["No brain."], "predicted_dice": None}})
    assert (shown.word, shown.reasons, shown.dice) == ("do not use", ("No brain.",), "")
