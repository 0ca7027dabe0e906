"""A file appears whole or not at all."""

import sys
from pathlib import Path

import pytest

from SegSRGANLib.utils.atomic_files import atomic_path
from SegSRGANLib.utils.errors import VolumeError


def test_the_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "new" / "record.json"
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.parent == target.parent
        temporary.write_text("whole")
        same_file = temporary.stat().st_ino
    assert target.stat().st_ino == same_file  # renamed in one step, not copied
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("name", ["v.nii.gz", "sub-01_run-1.5.nii.gz", "picture.png", "no-suffix"])
def test_the_temporary_name_has_the_same_format(tmp_path, name):
    with atomic_path(tmp_path / name) as temporary:
        assert "".join(temporary.suffixes) == "".join(Path(name).suffixes)
        assert temporary.name.startswith(".")
        temporary.write_bytes(b"x")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_keeps_the_old_file_and_its_own_error(tmp_path, error):
    target = tmp_path / "record.json"
    target.write_text("old")
    with pytest.raises(error), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_two_writers_do_not_meet(tmp_path):
    with atomic_path(tmp_path / "a") as first, atomic_path(tmp_path / "a") as second:
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "a").read_text() == "first"  # renamed last


def test_errors_of_the_system_become_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for target in (tmp_path / "file" / "record.json", tmp_path):
        with (
            pytest.raises(VolumeError, match="cannot be written .*: choose a folder"),
            atomic_path(target) as temporary,
        ):
            temporary.write_text("x")
    with pytest.raises(VolumeError, match="No space left"), atomic_path(tmp_path / "full") as temporary:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
def test_a_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("x")
    with atomic_path(tmp_path / "written") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "written").stat().st_mode == (tmp_path / "usual").stat().st_mode
