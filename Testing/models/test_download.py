"""Downloads against a local server that behaves badly, and the user's model folder."""

from __future__ import annotations

import shutil
import time

import pytest
from support.file_server import CONTENT, PRINT

from SegSRGANLib.models import download as downloads
from SegSRGANLib.models.download import Fingerprint, fetch
from SegSRGANLib.utils.errors import Cancelled, DownloadError


def test_a_file_arrives_whole_with_rising_progress(server, tmp_path):
    seen = []
    fetch(server.url, tmp_path / "new" / "file", PRINT, lambda fraction, message: seen.append(fraction))
    assert (tmp_path / "new" / "file").read_bytes() == CONTENT
    assert seen == sorted(seen) and seen[-1] == 1.0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_a_broken_connection_is_resumed_where_it_broke(server, tmp_path):
    server.drops = [500_000, 300_000]
    fetch(server.url, tmp_path / "file", PRINT)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=500000-", "bytes=800000-"]


def test_a_server_without_ranges_starts_again(server, tmp_path):
    server.drops, server.ranges = [500_000], False
    fetch(server.url, tmp_path / "file", PRINT)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_without_lengths_is_enough(server, tmp_path):
    server.length = False
    fetch(server.url, tmp_path / "file", PRINT)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_that_sends_nothing_more_is_given_up_and_resumed_later(server, tmp_path):
    server.drops = [500_000, 0, 0, 0]
    with pytest.raises(DownloadError, match="500000 of 1500000 bytes arrived.*try again"):
        fetch(server.url, tmp_path / "file", PRINT)
    assert not (tmp_path / "file").exists()
    server.drops = []
    fetch(server.url, tmp_path / "file", PRINT)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=500000-"


@pytest.mark.parametrize("after", [0, 1000])
def test_cancelling_does_not_wait_for_a_stalled_server(server, tmp_path, after):
    server.stall_after = after
    start = time.monotonic()
    with pytest.raises(Cancelled):
        fetch(server.url, tmp_path / "file", PRINT, should_stop=lambda: time.monotonic() - start > 0.5)
    assert time.monotonic() - start < 5
    assert (tmp_path / "file.part").stat().st_size == after


def test_cancelling_keeps_what_arrived(server, tmp_path):
    calls = iter([False, False, False, True])
    with pytest.raises(Cancelled):
        fetch(server.url, tmp_path / "file", PRINT, should_stop=lambda: next(calls, True))
    assert 0 < (tmp_path / "file.part").stat().st_size < len(CONTENT)
    fetch(server.url, tmp_path / "file", PRINT)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_other_content_is_removed_and_refused(server, tmp_path):
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(DownloadError, match="not the expected file"):
        fetch(server.url, tmp_path / "file", PRINT)
    assert not list(tmp_path.iterdir())


def test_a_wrong_beginning_does_not_stay_forever(server, tmp_path):
    (tmp_path / "file.part").write_bytes(b"x" * len(CONTENT))
    fetch(server.url, tmp_path / "file", PRINT)  # the server answers 416: nothing left to send
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("length", [True, False], ids=["announced", "endless"])
def test_more_than_expected_is_refused(length, server, tmp_path):
    server.content, server.length = CONTENT + b"more", length
    with pytest.raises(DownloadError, match="more than the 1500000"):
        fetch(server.url, tmp_path / "file", PRINT)


@pytest.mark.parametrize("status", [404, 403, 500])
def test_an_error_of_the_server_is_named(status, server, tmp_path):
    server.status = status
    with pytest.raises(DownloadError, match=f"answers {status}"):
        fetch(server.url, tmp_path / "file", PRINT)
    assert len(server.asked) == 1


def test_no_connection_is_one_sentence(server, tmp_path):
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadError, match="import it") as caught:
        fetch(server.url, tmp_path / "file", PRINT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/x", "weights.h5"])
def test_other_addresses_are_refused(url, tmp_path):
    with pytest.raises(DownloadError, match="not an http"):
        fetch(url, tmp_path / "file", PRINT)


def test_a_full_disk_is_found_before_the_download(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(DownloadError, match="0 MB free, but 1 MB are needed"):
        fetch(server.url, tmp_path / "file", PRINT)


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "models").write_text("a file, not a folder")
    with pytest.raises(DownloadError, match="SEGSRGAN_HOME"):
        fetch(server.url, tmp_path / "models" / "file", PRINT)


def test_git_names_a_file_by_size_and_content(tmp_path):
    (tmp_path / "file").write_bytes(b"hello\n")
    assert Fingerprint(git_blob_sha1="ce013625030ba8dba906f756967f9e9ca394464a").matches(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"hello")
    assert not Fingerprint(git_blob_sha1="ce013625030ba8dba906f756967f9e9ca394464a").matches(tmp_path / "file")
