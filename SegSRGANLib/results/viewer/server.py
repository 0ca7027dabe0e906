"""The pages of results for the browser on this computer: loopback only, behind a random token, and nothing else."""

from __future__ import annotations

import secrets
import threading
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ...utils.errors import VolumeError
from ...utils.progress import ShouldStop
from .page import Layer, layers_of, render_list, render_study
from .study import Study

_HOST = "127.0.0.1"
_SECONDS_BETWEEN_LOOKS = 0.2
_HTML = "text/html; charset=utf-8"
_KEPT = 3  # studies whose volumes stay in memory
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data: blob:; "
    "connect-src 'self' data: blob:; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class ResultServer(ThreadingHTTPServer):
    """Serves the pages of some results and their volumes, and answers 404 to everything else.

    address: what to open. It holds the token; who does not know it, such as another user of this computer or a page
    in another tab, gets nothing.
    """

    daemon_threads = True

    def __init__(self, studies: list[Study]) -> None:
        super().__init__((_HOST, 0), _Handler)
        self.studies = studies
        self.token = secrets.token_urlsafe(24)
        self._lock = threading.Lock()  # two requests of one page would read the volumes twice
        self._cached = lru_cache(maxsize=_KEPT)(lambda number: layers_of(studies[number]))

    @property
    def address(self) -> str:
        """The page of the only result, or the list of all."""
        return f"http://{_HOST}:{self.server_port}/{self.token}/" + ("0/" if len(self.studies) == 1 else "")

    def layers(self, number: int) -> tuple[list[Layer], list[str]]:
        """The volumes of a study; see `page.layers_of`."""
        with self._lock:
            return self._cached(number)


class _Handler(BaseHTTPRequestHandler):
    server: ResultServer  # ty: ignore[incompatible-mutable-override]
    server_version, sys_version = "SegSRGAN", ""

    def do_GET(self) -> None:
        """Answer one request: /TOKEN/, /TOKEN/NUMBER/ or /TOKEN/NUMBER/ROLE.nii."""
        parts = self.path.split("?")[0].split("/")
        # the name of the host is compared, too: a foreign page may have its own name point to this computer
        known = self.headers.get("Host") == f"{_HOST}:{self.server.server_port}"
        if not known or len(parts) < 3 or not secrets.compare_digest(parts[1].encode(), self.server.token.encode()):
            self._send(HTTPStatus.NOT_FOUND)
        elif parts[2:] == [""]:
            nonce = secrets.token_urlsafe(16)
            self._send(
                HTTPStatus.OK, render_list(self.server.studies, nonce).encode(), "text/html; charset=utf-8", nonce
            )
        elif len(parts) == 4 and parts[2].isascii() and parts[2].isdigit() and int(parts[2]) < len(self.server.studies):
            self._study(int(parts[2]), parts[3])
        else:
            self._send(HTTPStatus.NOT_FOUND)

    def _study(self, number: int, name: str) -> None:
        study, nonce = self.server.studies[number], secrets.token_urlsafe(16)
        try:
            layers, notes = self.server.layers(number)
            page = "" if name else render_study(study, layers, notes, embedded=False, nonce=nonce)
        except (VolumeError, OSError, MemoryError) as error:
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, f"{error}\n".encode(), "text/plain; charset=utf-8")
            return
        if page:
            self._send(HTTPStatus.OK, page.encode(), _HTML, nonce)
            return
        layer = next((layer for layer in layers if f"{layer.role}.nii" == name), None)
        if layer is None:
            self._send(HTTPStatus.NOT_FOUND)
        else:
            self._send(HTTPStatus.OK, layer.payload.content, "application/octet-stream")

    def _send(self, status: HTTPStatus, content: bytes = b"", kind: str = "text/plain", nonce: str = "") -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Content-Security-Policy": _POLICY.format(nonce=nonce) if nonce else "default-src 'none'",
        }
        for header, value in headers.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *values: Any) -> None:
        """Write no log: it would hold the token."""


def serve(server: ResultServer, should_stop: ShouldStop) -> None:
    """Serve until `should_stop` says so; asked several times a second.

    Args:
        server: made by `ResultServer(studies)`. should_stop: for instance whether Ctrl-C was pressed.
    """
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": _SECONDS_BETWEEN_LOOKS}, daemon=True
    )
    thread.start()
    try:
        while thread.is_alive() and not should_stop():
            thread.join(_SECONDS_BETWEEN_LOOKS)
    finally:
        server.shutdown()
        server.server_close()
