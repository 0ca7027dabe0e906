"""Tables, BIDS folders and volumes: what is read, and the sentence for what cannot be."""

import numpy as np
import pytest
from support.training_brains import CORTEX, brain, table, write

from SegSRGANLib.training.data.loading import load_subject, load_subjects
from SegSRGANLib.training.data.splits import DataError, read_cases
from SegSRGANLib.transforms.normalization import Normalization

WANTED = {"cortex": (CORTEX,)}


def _cases(path):
    return read_cases(str(path), None, 0.2, 0)


def _load(path, wanted=(CORTEX,)):
    return load_subjects(_cases(path), {"cortex": wanted}, Normalization(), lambda fraction, message: None, None)


def _edit(path, old, new):
    path.write_text(path.read_text().replace(old, new))


def test_a_table_is_read(tmp_path):
    cases = _cases(table(tmp_path))
    assert [case.base for case in cases] == ["Train", "Train", "Test"]
    assert [case.name for case in cases] == ["sub-00", "sub-01", "sub-02"]
    assert all(case.image.is_file() and case.labels.is_file() for case in cases)


def test_variables_in_a_table_are_replaced(tmp_path, monkeypatch):
    path = table(tmp_path / "data").rename(tmp_path / "subjects.csv")
    monkeypatch.setenv("HERE", str(tmp_path / "data"))
    _edit(path, "sub-", "$HERE/sub-")
    assert len(_cases(path)) == 3


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("Label_image", "Labels", "subjects.csv has no column Label_image"),
        ("sub-01_T2w", "sub-77_T2w", "subjects.csv, line 3: there is no file"),
        ("sub-01_dseg.nii", "", "line 3: a file name is missing"),
        (",Test", ",Validate", "line 4: Base must be Train or Test, not 'Validate'"),
        (",Test", ",Train", "no subject with Base = Test"),
        (",Train", ",Test", "no subject with Base = Train"),
        ("sub-02_T2w.nii,sub-02", "sub-01_T2w.nii,sub-02", "line 4: sub-01 is in both Train and Test"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, old, new, sentence):
    path = table(tmp_path)
    _edit(path, old, new)
    with pytest.raises(DataError, match=sentence):
        _cases(path)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(DataError, match="There is no table"):
        _cases(tmp_path / "none.csv")


@pytest.mark.parametrize("weight", ["-1", "many"])
def test_a_bad_weight_is_refused(tmp_path, weight):
    path = table(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0] + ",Weight", *(line + f",{weight}" for line in lines[1:])]))
    with pytest.raises(DataError, match="line 2: Weight must be a positive number"):
        _cases(path)


def test_a_copy_of_a_scan_in_the_other_split_is_refused(tmp_path):
    path = table(tmp_path)
    (tmp_path / "sub-02_T2w.nii").write_bytes((tmp_path / "sub-01_T2w.nii").read_bytes())
    (tmp_path / "sub-02_dseg.nii").write_bytes((tmp_path / "sub-01_dseg.nii").read_bytes())
    with pytest.raises(DataError, match="line 4: sub-02 is the same scan as sub-01, which is in Train"):
        _load(path)


def _bids(root, count=5, sessions=False):
    for index in range(count):
        intensity, labels = brain(index, 16)
        folder = root / f"sub-{index:02}" / ("ses-1/anat" if sessions else "anat")
        stem = f"sub-{index:02}_ses-1" if sessions else f"sub-{index:02}"
        write(intensity, folder / f"{stem}_T2w.nii.gz")
        write(labels, folder / f"{stem}_dseg.nii.gz")
    return root


@pytest.mark.parametrize("sessions", [False, True])
def test_a_bids_folder_is_split_by_subject_and_seed(tmp_path, sessions):
    root = str(_bids(tmp_path, sessions=sessions))
    splits = [tuple(case.base for case in read_cases(None, root, 0.4, seed)) for seed in (1, 1, 2, 3)]
    assert all(split.count("Test") == 2 and len(split) == 5 for split in splits)
    assert splits[0] == splits[1] and len(set(splits)) > 1


def test_participants_decide_the_split(tmp_path):
    root = _bids(tmp_path, 3)
    rows = ["participant_id\tBase\tWeight", "sub-00\tTest\t", "sub-01\tTrain\t2.5", "sub-02\tTrain\t"]
    (root / "participants.tsv").write_text("\n".join(rows))
    cases = read_cases(None, str(root), 0.5, 0)
    assert [case.base for case in cases] == ["Test", "Train", "Train"]
    assert [case.weight for case in cases] == [1.0, 2.5, 1.0]


def test_an_empty_bids_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no subject with both"):
        read_cases(None, str(tmp_path), 0.2, 0)


def test_a_subject_keeps_what_counts(tmp_path):
    (case, subject), *_ = _load(table(tmp_path))
    intensity, labels = brain(0, 28)
    scale = np.percentile(intensity[intensity > 0], 99.5)
    assert subject.spacing == pytest.approx(0.8)
    np.testing.assert_allclose(subject.intensity, np.maximum(intensity, 0) / scale, rtol=1e-5)
    np.testing.assert_array_equal(subject.class_table[subject.labels] > 0, labels == CORTEX)
    np.testing.assert_array_equal(subject.labels > 0, labels > 0)
    assert sum(map(len, subject.class_voxels)) == np.count_nonzero(labels == CORTEX)


def test_any_order_of_axes_gives_the_same_subject(tmp_path):
    import SimpleITK as sitk

    path = table(tmp_path)
    straight = load_subject(_cases(path)[0], WANTED, Normalization())
    for name in ("sub-00_T2w.nii", "sub-00_dseg.nii"):
        sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(tmp_path / name)), "ASR"), str(tmp_path / name))
    turned = load_subject(_cases(path)[0], WANTED, Normalization())
    np.testing.assert_array_equal(turned.labels, straight.labels)
    np.testing.assert_allclose(turned.intensity, straight.intensity, rtol=1e-6)


def test_several_labels_count_as_one(tmp_path):
    (_, subject), *_ = _load(table(tmp_path), (CORTEX, 1))
    labels = brain(0, 28)[1]
    assert subject.class_table[subject.labels].sum() == np.isin(labels, (CORTEX, 1)).sum()


def test_volumes_are_cropped_to_the_brain(tmp_path):
    path = table(tmp_path)
    intensity, labels = (np.pad(volume, 50) for volume in brain(0, 28))
    write(intensity, tmp_path / "sub-00_T2w.nii")
    write(labels, tmp_path / "sub-00_dseg.nii")
    (_, subject), *_ = _load(path)
    assert max(subject.labels.shape) <= 28 + 2 * 32
    assert np.count_nonzero(subject.labels) == np.count_nonzero(labels)


def test_a_map_of_the_cortex_alone_leaves_the_rest_of_the_brain_open(tmp_path):
    path = table(tmp_path)
    intensity, labels = brain(0, 28)
    write(((labels == CORTEX) * 300).astype(np.int16), tmp_path / "sub-00_dseg.nii")
    subject = load_subject(_cases(path)[0], {"cortex": (300,)}, Normalization())
    np.testing.assert_array_equal(subject.class_table[subject.labels] > 0, labels == CORTEX)
    np.testing.assert_array_equal(subject.labels > 0, labels > 0)


def test_a_mask_says_where_the_brain_is(tmp_path):
    path = table(tmp_path)
    _edit(path, "Base", "Base,Mask_image")
    mask = np.zeros((28, 28, 28), np.uint8)
    mask[2:-2, 2:-2, 2:-2] = 1
    write(mask, tmp_path / "mask.nii")
    _edit(path, ",Train\n", ",Train,mask.nii\n")
    subject = load_subject(_cases(path)[0], WANTED, Normalization())
    np.testing.assert_array_equal(subject.labels > 0, (mask > 0) | (brain(0, 28)[1] > 0))


def test_slightly_anisotropic_volumes_become_isotropic(tmp_path):
    import SimpleITK as sitk

    path = table(tmp_path)
    for name in ("sub-00_T2w.nii", "sub-00_dseg.nii"):
        image = sitk.ReadImage(str(tmp_path / name))
        image.SetSpacing((0.8, 0.8, 1.0))
        sitk.WriteImage(image, str(tmp_path / name))
    subject = load_subject(_cases(path)[0], WANTED, Normalization())
    assert subject.spacing == pytest.approx(0.8)
    assert subject.labels.shape == subject.intensity.shape == (35, 28, 28)


def test_volumes_that_do_not_fit_are_refused(tmp_path):
    path = table(tmp_path)
    intensity, labels = brain(0, 28)
    image, tissue = tmp_path / "sub-00_T2w.nii", tmp_path / "sub-00_dseg.nii"
    write(labels[:-1], tissue)
    with pytest.raises(DataError, match=r"line 2: sub-00_dseg.nii has \(28, 28, 27\) voxels"):
        _load(path)
    write(labels, tissue, spacing=0.9)
    with pytest.raises(DataError, match="line 2: sub-00_dseg.nii lies elsewhere in space"):
        _load(path)
    write(labels, tissue)
    with pytest.raises(DataError, match="line 2: sub-00_dseg.nii has no voxel of label 7; it has 1, 4, 5"):
        _load(path, (7,))
    write(intensity, image, spacing=0.8)


def test_thick_slices_are_no_training_volumes(tmp_path):
    import SimpleITK as sitk

    path = table(tmp_path)
    for name in ("sub-00_T2w.nii", "sub-00_dseg.nii"):
        image = sitk.ReadImage(str(tmp_path / name))
        image.SetSpacing((0.8, 0.8, 3.0))
        sitk.WriteImage(image, str(tmp_path / name))
    with pytest.raises(DataError, match="has voxels of 0.8 x 0.8 x 3 mm; train on isotropic volumes"):
        _load(path)


def test_tissues_of_each_class_by_its_name(tmp_path):
    path, labels = table(tmp_path), brain(0, 28)[1]
    subject = load_subject(_cases(path)[0], {"white matter": (1,), "grey and fluid": (CORTEX, 4)}, Normalization())
    expected = np.select([labels == 1, np.isin(labels, (CORTEX, 4))], [1, 2])
    np.testing.assert_array_equal(subject.class_table[subject.labels], expected)
    assert sum(map(len, subject.class_voxels)) == np.count_nonzero(expected)
    np.testing.assert_array_equal(subject.labels > 0, labels > 0)  # a map of several tissues is complete
