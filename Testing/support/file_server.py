"""An HTTP server that fails as servers do."""

from __future__ import annotations

import hashlib
import http.server
import threading

import numpy as np
import pytest

from SegSRGANLib.models.download import Fingerprint

CONTENT = np.random.default_rng(0).bytes(1_500_000)
PRINT = Fingerprint(len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Server(http.server.ThreadingHTTPServer):
    """Serves `content`; `drops` lists after how many bytes each next answer breaks off."""

    content = CONTENT
    ranges = True
    status = 0
    length = True
    stall_after: int | None = None  # bytes, and then nothing until `shutdown`

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.drops: list[int] = []
        self.stopped = threading.Event()
        self.asked: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_port}/file"

    def handle_error(self, *_) -> None:
        """A client that hangs up is part of the tests."""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if server.status:
            return self.send_error(server.status)
        start = int(asked[6:-1]) if asked and server.ranges else 0
        if start >= len(server.content):
            return self.send_error(416)
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        if server.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.stall_after is not None:
            self.wfile.write(body[: server.stall_after])
            self.wfile.flush()
            server.stopped.wait(20)
            return None
        self.wfile.write(body[: server.drops.pop(0)] if server.drops else body)
        return None

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server():
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.stopped.set()
    running.shutdown()
    running.server_close()
    thread.join()
