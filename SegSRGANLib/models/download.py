"""Fetching one file over HTTP: resumed after a break, compared with its known fingerprint, cancellable."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import shutil
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from ..utils.errors import DownloadError
from ..utils.progress import Progress, ShouldStop, scaled, stop_if
from ..utils.waiting import interruptible

_BLOCK = 1 << 18  # bytes between two looks at `should_stop`
_LIMIT = 1 << 31  # bytes: no model is larger, so a server that never ends is cut off
_TIMEOUT = 30.0  # seconds without any byte
_ATTEMPTS = 4
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fingerprint:
    """What is known of a file's content. Empty fields are not compared.

    size: bytes. sha256: of the content, hexadecimal. git_blob_sha1: as git names the file, that is the SHA-1 of
    `blob <size>`, a zero byte and the content.
    """

    size: int | None = None
    sha256: str = ""
    git_blob_sha1: str = ""

    def __bool__(self) -> bool:
        return bool(self.sha256 or self.git_blob_sha1)

    def matches(self, path: Path) -> bool:
        """Whether a file has this content."""
        size = path.stat().st_size
        if self.size is not None and self.size != size:
            return False
        if self.sha256 and _digest(path, hashlib.sha256()) != self.sha256:
            return False
        sha1 = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
        return not self.git_blob_sha1 or _digest(path, sha1) == self.git_blob_sha1


def _digest(path: Path, state: hashlib._Hash) -> str:
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            state.update(block)
    return state.hexdigest()


def fetch(
    url: str,
    target: Path,
    fingerprint: Fingerprint,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> None:
    """Download a file to `target`, where it appears only when it is whole and has its fingerprint.

    What arrives is kept in `target` + ".part": after a lost connection or a cancellation the download goes on there.

    Args:
        url: http or https.
        target: the file to make; its folder is created.
        fingerprint: the content that it must have.
        progress: called with the share that has arrived.
        should_stop: asked several times a second.

    Raises:
        DownloadError: wrong address, no connection, no space, or another content than expected.
        Cancelled: should_stop said so.
    """
    if not url.startswith(("https://", "http://")):
        raise DownloadError(f"The address {url!r} is not an http or https address.")
    part = target.with_name(f"{target.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _fetch_part(url, part, fingerprint, scaled(progress, 0, 1), should_stop)
        if not fingerprint.matches(part):
            part.unlink()
            raise DownloadError(f"What {url} sent is not the expected file, and was removed; try again later.")
        os.replace(part, target)
    except OSError as error:
        reason = error.strerror or error
        raise DownloadError(f"{part} cannot be written ({reason}); free some space or set SEGSRGAN_HOME.") from error


def _fetch_part(
    url: str, part: Path, fingerprint: Fingerprint, progress: Progress, should_stop: ShouldStop | None
) -> None:
    """Ask again, from where it broke off, as long as something arrives."""
    for attempt in range(_ATTEMPTS):
        stop_if(should_stop)
        before = _size(part)
        try:
            response = interruptible(lambda: _open(url, before, part), should_stop)  # noqa: B023 (done at once)
            _receive(response, part, fingerprint, progress, should_stop)
            # one that was cancelled is left to the thread that reads it: closing would wait for that
            response.close()
            return
        except urllib.error.HTTPError as error:
            raise DownloadError(
                f"{url} cannot be downloaded: the server answers {error.code} {error.reason}."
            ) from error
        except (urllib.error.URLError, http.client.HTTPException, ssl.SSLError, TimeoutError, ConnectionError) as error:
            _logger.info("download of %s broke off: %s", url, error)
            if attempt + 1 == _ATTEMPTS or _size(part) <= before:
                raise DownloadError(
                    f"The connection to {url} failed ({getattr(error, 'reason', error)}); try again to go on where it "
                    "broke off, or fetch the file elsewhere and import it."
                ) from error


def _open(url: str, start: int, part: Path) -> http.client.HTTPResponse:
    """Ask for the file from byte `start`. Cuts `part` back when the server only sends the whole file."""
    headers = {"User-Agent": "SegSRGAN", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
            raise
        error.close()
        part.unlink()  # nothing is left to send: the part is no beginning of this file, or was never verified
        return _open(url, 0, part)
    resumed = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    if start and not resumed:
        part.unlink()
    return response


def _receive(
    response: http.client.HTTPResponse,
    part: Path,
    fingerprint: Fingerprint,
    progress: Progress,
    should_stop: ShouldStop | None,
) -> None:
    arrived = _size(part)
    length = response.headers.get("Content-Length")
    total = arrived + int(length) if length and length.isdigit() else fingerprint.size
    limit = fingerprint.size or _LIMIT
    if (total or 0) > limit:
        raise DownloadError(f"The server offers {total} bytes, more than the {limit} expected; it was not downloaded.")
    free = shutil.disk_usage(part.parent).free
    if total and total - arrived > free:
        raise DownloadError(f"{part.parent} has {free >> 20} MB free, but {(total - arrived) >> 20} MB are needed.")
    with part.open("ab") as stream:
        while block := interruptible(
            lambda: response.read1(_BLOCK), should_stop
        ):  # what has arrived, not a whole block
            stop_if(should_stop)
            stream.write(block)
            arrived += len(block)
            if arrived > limit:
                raise DownloadError(f"The server sent more than the {limit} bytes expected; the download was stopped.")
            progress(arrived / total if total else 0.0, f"Downloading: {arrived / 1e6:.1f} MB")
    if total is not None and arrived < total:
        raise ConnectionError(f"{arrived} of {total} bytes arrived")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
