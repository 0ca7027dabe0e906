"""Scans used again: how many, of which shape, changed in contrast and order of axes but not in what they show."""

from __future__ import annotations

import torch

from SegSRGANLib.training.brain.fields import Shape
from SegSRGANLib.training.brain.heads import SyntheticHeads, permuted
from SegSRGANLib.training.brain.replay import ReplayedHeads

_SHAPES: tuple[Shape, ...] = ((4, 6, 8),)


class _Counted(SyntheticHeads):
    """Scans whose voxels in a box have the number of the scan; the mask is the box."""

    def __init__(self) -> None:
        self.count = 0

    def made(self, size: int, shape: Shape) -> tuple[torch.Tensor, torch.Tensor]:
        image, target = torch.zeros(size, 1, *shape), torch.zeros(size, 1, *shape)
        for item in range(size):
            self.count += 1
            image[item, :, 1:3, 2:4, 2:7] = self.count
            target[item, :, 1:3, 2:4, 2:7] = 1
        return image, target


def test_batches_grow_to_their_size_with_one_new_scan_each() -> None:
    source = _Counted()
    heads = ReplayedHeads(source, _SHAPES, fresh=1)
    sizes = [len(heads.batch(3)[0]) for _ in range(5)]
    assert sizes == [1, 2, 3, 3, 3]
    assert source.count == 5


def test_the_oldest_scans_give_way() -> None:
    heads = ReplayedHeads(_Counted(), _SHAPES, fresh=2, kept=4)
    torch.manual_seed(0)
    for _ in range(6):
        image, target = heads.batch(6)
    assert len(image) == 6
    # contrast changes a brightness b to b^0.7 ... b^1.4: the scans 1 to 6 are gone, 7 to 10 are kept, 11 and 12 are new
    brightest = image.flatten(1).amax(1)
    assert brightest[:2].tolist() == [11, 12]
    assert float(brightest[2:].min()) >= 7**0.7 - 0.01


def test_masks_stay_on_what_they_mark_in_every_order_of_axes() -> None:
    torch.manual_seed(0)
    heads, shapes = ReplayedHeads(_Counted(), _SHAPES, fresh=1, seed=3), set()
    for _ in range(12):
        image, target = heads.batch(4)
        assert image.shape == target.shape
        assert torch.equal(image > 0, target > 0)
        assert target.sum((1, 2, 3, 4)).tolist() == [20.0] * len(target)
        shapes.add(tuple(image.shape[2:]))
    assert all(sorted(shape) == sorted(_SHAPES[0]) for shape in shapes)
    assert len(shapes) > 2


def test_earlier_scans_come_back_with_another_contrast() -> None:
    torch.manual_seed(0)
    heads = ReplayedHeads(_Counted(), _SHAPES, fresh=1)
    for _ in range(8):
        image, _ = heads.batch(4)
    again = image[1:].flatten(1).amax(1)
    assert not torch.isclose(again, again.round(), atol=1e-3).all()
    assert torch.isfinite(image).all()


def test_permuted_moves_image_and_mask_alike() -> None:
    image = torch.arange(2 * 24.0).view(2, 1, 2, 3, 4)
    moved, mask = permuted(image, image > 7, torch.Generator().manual_seed(1))
    assert sorted(moved.shape[2:]) == [2, 3, 4]
    assert torch.equal(moved > 7, mask)
    assert moved[0].sum() == image[0].sum()
