"""The protocol of an evaluation."""

import numpy as np
import pytest
import SimpleITK as sitk
from support.volume_pairs import volume_pair

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.metrics.evaluation import evaluate
from SegSRGANLib.metrics.image import psnr, ssim
from SegSRGANLib.metrics.segmentation import assd, dice, hd95, tolerant_dice, volume_bias

GRID = Grid((14, 16, 18), (0.5, 0.7, 1.1), (3.0, -2.0, 7.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


def _images():
    truth, estimate = volume_pair()
    labels = np.digitize(truth, [0.3, 0.5, 0.7]).astype(np.uint8) * 5  # 0, 5, 10, 15
    return GRID.image(1800 * estimate), GRID.image(1800 * truth), GRID.image(labels)


def test_evaluate_follows_the_protocol():
    sr, hr, truth = _images()
    found_labels = (sitk.GetArrayFromImage(sr) > 900).astype(np.uint8)
    mask = (sitk.GetArrayFromImage(hr) > 500).astype(np.uint8)
    scores = evaluate(sr, hr, GRID.image(found_labels), truth, GRID.image(mask), truth_label=10)
    high, low = sitk.GetArrayFromImage(hr) / 1800, sitk.GetArrayFromImage(sr) / 1800
    wanted = sitk.GetArrayFromImage(truth) == 10
    expected = {
        "psnr": psnr(high, low),
        "ssim": ssim(high, low),
        "psnr_mask": psnr(high, low, mask),
        "ssim_mask": ssim(high, low, mask),
        "dice": dice(wanted, found_labels),
        "tolerant_dice": tolerant_dice(wanted, found_labels),
        "hd95": hd95(wanted, found_labels, GRID.spacing),
        "assd": assd(wanted, found_labels, GRID.spacing),
        "volume_bias": volume_bias(wanted, found_labels),
    }
    assert set(scores) == set(expected)
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, rel=1e-4), name
    assert scores["psnr"] != pytest.approx(scores["psnr_mask"], abs=0.01)


def test_evaluate_does_not_depend_on_the_intensity_unit():
    sr, hr, _ = _images()
    assert evaluate(sr, hr) == pytest.approx(evaluate(sr * 7.5, hr * 7.5), rel=1e-4)
    assert set(evaluate(sr, hr)) == {"psnr", "ssim"}


def test_evaluate_takes_integer_volumes_and_leaves_its_input_alone():
    sr, hr, _ = _images()
    before = sitk.GetArrayFromImage(hr).copy()
    integers = evaluate(sitk.Cast(sr, sitk.sitkInt16), sitk.Cast(hr, sitk.sitkInt16))
    assert integers["psnr"] == pytest.approx(evaluate(sr, hr)["psnr"], abs=0.05)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(hr), before)


def _moved(image):
    other = sitk.Image(image)
    other.SetOrigin((3.0, -2.0, 7.5))
    return other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda sr, hr, t: (_moved(sr), hr), "super-resolved volume must be on the grid.*7.5"),
        (lambda sr, hr, t: (sitk.Expand(sr, [2, 1, 1]), hr), r"super-resolved volume.*size \(28, 16, 18\)"),
        (lambda sr, hr, t: (sr, hr, t > 5, _moved(t), None, 5), "true segmentation must be on the grid"),
        (lambda sr, hr, t: (sr, hr, _moved(t), t, None, 5), "The segmentation must be on the grid"),
        (lambda sr, hr, t: (sr, hr, None, None, _moved(t)), "mask must be on the grid"),
        (lambda sr, hr, t: (sr, hr, t), "give both"),
        (lambda sr, hr, t: (sr, hr, None, t), "give both"),
        (lambda sr, hr, t: (sr, hr, t > 5, t), "truth holds the labels 5, 10, 15"),
        (lambda sr, hr, t: (sr, hr, t, t, None, 5), "result holds the labels 5, 10, 15"),
        (lambda sr, hr, t: (sr, hr, t > 5, t, None, 4), "no label 4; its labels are: 5, 10, 15"),
        (lambda sr, hr, t: (sr, hr * 0), "no positive intensity"),
        (lambda sr, hr, t: (sr * float("nan"), hr), "super-resolved volume holds values that are not numbers"),
        (lambda sr, hr, t: (sr, hr, None, None, t * 0), "mask is empty"),
    ],
)
def test_evaluate_refuses_with_one_sentence(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        evaluate(*arguments(*_images()))
    assert "\n" not in str(caught.value)


def test_volumes_that_end_elsewhere_are_compared_on_their_common_grid(caplog):
    sr, hr, t = _images()
    figures = evaluate(sr[1:, :, :-2], hr, t[1:, :, :] > 5, t, truth_label=10)
    assert figures == evaluate(sr[1:, :, :-2], hr[1:, :, :-2], t[1:, :, :-2] > 5, t[1:, :, :-2], truth_label=10)
    assert "13 x 16 x 16 voxels: the high-resolution volume has 14 x 16 x 18, the super-resolved one" in caplog.text
    caplog.clear()
    evaluate(sr, hr)
    assert not caplog.text
