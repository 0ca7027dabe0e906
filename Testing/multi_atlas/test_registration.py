"""Atlases are read, and registered to the volume."""

import numpy as np
import pytest
import SimpleITK as sitk
from support.atlas_scenes import dice, jittered

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.datasets.phantom import CORTEX as LABEL
from SegSRGANLib.datasets.phantom import CSF, neonatal_phantom
from SegSRGANLib.io.volume import write_volume
from SegSRGANLib.multi_atlas.atlas import Atlas, read_atlases
from SegSRGANLib.multi_atlas.outer_fluid import lacks_outer_fluid
from SegSRGANLib.multi_atlas.registration import RegistrationOptions, register_atlases
from SegSRGANLib.utils.errors import Cancelled

QUICK = ((4.0, 30), (2.0, 10))


@pytest.fixture(scope="module")
def atlases() -> list[Atlas]:
    """Three of the subject's brain, the better the smaller their number, and two of other brains' folds."""
    phantom = neonatal_phantom(2.0, seed=0)
    found = []
    for seed, (amplitude, scale) in enumerate([(1.0, 1.05), (2.0, 0.9), (3.0, 1.15)]):
        warped = jittered(phantom.t2w, phantom.labels, amplitude, seed + 1, scale)
        found.append(Atlas(f"sub-A{seed}", warped.image, warped.labels, None))
    return found


def test_registration_brings_the_tissues_into_place(atlases):
    phantom = neonatal_phantom(2.0, seed=0)
    truth = sitk.GetArrayFromImage(phantom.labels)
    seen = []
    warped = register_atlases(
        phantom.t2w,
        phantom.mask,
        atlases,
        RegistrationOptions(atlases=2, levels=QUICK),
        lambda fraction, _: seen.append(fraction),
    )
    assert [atlas.name for atlas in warped] == ["sub-A0", "sub-A1"]
    assert seen == sorted(seen) and seen[-1] == 1
    for atlas, original in zip(warped, atlases[:2], strict=True):
        assert Grid.of(atlas.image) == Grid.of(atlas.labels) == Grid.of(phantom.t2w)
        for label, least in ((1, 0.8), (LABEL, 0.65), (CSF, 0.7)):
            before = dice(original.labels == label, truth == label)
            after = dice(atlas.labels == label, truth == label)
            assert after > max(before + 0.1, least), (atlas.name, label, before, after)


def test_brain_without_outer_fluid_is_matched_without_it(atlases):
    phantom = neonatal_phantom(2.0, seed=0)
    bare = sitk.Cast((phantom.labels > 0) & (phantom.labels != CSF), sitk.sitkUInt8)
    truth = sitk.GetArrayFromImage(phantom.labels)
    found = [
        dice(
            register_atlases(phantom.t2w, bare, atlases, RegistrationOptions(atlases=1, levels=QUICK[:1], fluid=fluid))[
                0
            ].labels
            == 1,
            truth == 1,
        )
        for fluid in ((CSF,), ())
    ]
    assert found[0] > found[1] + 0.05, found


def test_a_brain_that_fills_its_volume_keeps_the_fluid_of_the_atlases():
    """Where no surface is seen, nothing is known of what lies under it."""
    ball = np.zeros((24,) * 3, np.float32)
    ball[4:20, 4:20, 4:20] = 2.0
    core = ball.copy()
    core[5:19, 5:19, 5:19] = 1.0  # most of the brain
    full, whole, bare = (sitk.GetImageFromArray(array) for array in (np.full_like(ball, 1.5), core, ball / 2))
    assert not lacks_outer_fluid(full, whole, bare)
    assert lacks_outer_fluid(bare, whole, bare)
    assert not lacks_outer_fluid(whole, whole, bare)


def test_registration_says_what_is_wrong(atlases):
    phantom = neonatal_phantom(2.0, seed=0)
    with pytest.raises(ValueError, match="no atlas to register"):
        register_atlases(phantom.t2w, phantom.mask, [])
    with pytest.raises(ValueError, match="mask is empty"):
        register_atlases(phantom.t2w, phantom.mask * 0, atlases)
    with pytest.raises(ValueError, match="another grid"):
        register_atlases(phantom.t2w, phantom.mask[1:], atlases)
    with pytest.raises(ValueError, match="cannot be aligned"):
        register_atlases(phantom.t2w * 0, phantom.mask, atlases[:1])
    with pytest.raises(ValueError, match="sub-B has no labels"):
        register_atlases(phantom.t2w, None, [Atlas("sub-B", phantom.t2w, phantom.labels * 0)])
    with pytest.raises(Cancelled):
        register_atlases(phantom.t2w, None, atlases, should_stop=lambda: True)
    with pytest.raises(ValueError, match="coarse to fine"):
        RegistrationOptions(levels=((0.8, 5), (3.2, 5)))


def test_atlases_are_read_with_their_age(tmp_path):
    phantom = neonatal_phantom(4.0)
    for name in ("sub-STA30", "sub-01", "sub-CC00050XX01", "sub-T"):
        folder = tmp_path / name / "anat"
        write_volume(phantom.t2w, folder / f"{name}_T2w.nii.gz")
        write_volume(phantom.labels, folder / f"{name}_dseg.nii.gz")
    rows = ["participant_id\tBase\tscan_age", "sub-T\tTest\t30", "sub-01\t\t36.5", "sub-STA30\t\tn/a"]
    (tmp_path / "participants.tsv").write_text("\n".join(rows))
    found = {atlas.name: atlas.age for atlas in read_atlases(tmp_path)}
    assert found == {"sub-01": 36.5, "sub-CC00050XX01": None, "sub-STA30": 30.0}
    table = tmp_path / "list.csv"
    table.write_text("HR_image,Label_image\nsub-01/anat/sub-01_T2w.nii.gz,sub-01/anat/sub-01_dseg.nii.gz\n")
    assert [(atlas.name, atlas.age) for atlas in read_atlases(table)] == [("sub-01", None)]
    (tmp_path / "participants.tsv").write_text("participant_id\tscan_age\nsub-01\told")
    with pytest.raises(ValueError, match="scan_age must be a number of weeks, not 'old'"):
        read_atlases(tmp_path)
