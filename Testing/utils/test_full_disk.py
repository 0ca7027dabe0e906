"""A file that finds no room: the sentence names what the user asked for, what is free, and what to do."""

import errno
import os
import shutil
from types import SimpleNamespace

import pytest

from SegSRGANLib.utils.atomic_files import atomic_path, named_as, no_room, staging_folder
from SegSRGANLib.utils.errors import VolumeError


@pytest.fixture
def full(monkeypatch):
    """A disk with 1.5 MB left."""
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_500_000))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_file_without_room(tmp_path, full, number):
    with pytest.raises(VolumeError) as caught, atomic_path(tmp_path / "out" / "a.json"):
        raise OSError(number, os.strerror(number))
    room = "1.5 MB free): make room there, or choose a folder on another disk."
    assert str(caught.value) == f"{tmp_path / 'out' / 'a.json'} cannot be written ({os.strerror(number)}; {room}"


def test_other_errors_speak_of_no_room(tmp_path, full):
    sentence = r"cannot be written \(Permission denied\): choose a folder that is writable"
    with pytest.raises(VolumeError, match=sentence), atomic_path(tmp_path / "a.json"):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_the_staging_folder_is_not_named(tmp_path, full):
    """Neither for a file in it, nor for what was written there without a name."""
    for inside in (True, False):
        with pytest.raises(VolumeError) as caught, staging_folder(tmp_path / "out") as staging:
            if not inside:
                raise OSError(errno.ENOSPC, "No space left on device")
            with atomic_path(staging / "a_sr.nii.gz"):
                raise OSError(errno.ENOSPC, "No space left on device")
        name = tmp_path / "out" / ("a_sr.nii.gz" if inside else "")
        assert str(caught.value).startswith(f"{name} cannot be written (No space left on device; 1.5 MB free)")
    assert not list((tmp_path / "out").iterdir())


def test_a_place_of_a_batch_is_named_as_its_folder(tmp_path):
    folder = tmp_path / "out"
    staging = folder / ".segsrgan" / "1f"
    with pytest.raises(VolumeError) as caught, named_as(staging, folder):
        raise VolumeError(f"{staging / 'a.nii'} is full")
    assert str(caught.value) == f"{folder / 'a.nii'} is full"


def test_what_is_needed_and_what_nobody_knows(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=250_000_000))
    assert "0.2 GB free, up to 0.4 GB needed" in no_room(tmp_path / "a", "full", 400_000_000)

    def unknown(folder):
        raise OSError

    monkeypatch.setattr(shutil, "disk_usage", unknown)
    assert "free space unknown" in no_room(tmp_path / "a", "full")
