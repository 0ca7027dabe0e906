"""A headless Chromium that tests drive through its DevTools protocol, over pipes: no port, no further package."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# software rendering, so that a machine without a graphics card draws, and the same everywhere
OPTIONS = ("--headless", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--hide-scrollbars")
SIZE = (1000, 640)


class Chromium:
    """One page in a browser. Its requests to the network are counted and never answered."""

    def __init__(self, program: str, profile: Path) -> None:
        commands, self._out = os.pipe()  # the browser reads its commands from 3 and answers to 4
        self._in, answers = os.pipe()
        shell = f'exec "$0" "$@" 3<&{commands} 4>&{answers}'
        window = f"--window-size={SIZE[0]},{SIZE[1]}"
        arguments = [program, *OPTIONS, window, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", shell, *arguments], pass_fds=(commands, answers), stderr=subprocess.DEVNULL
        )
        os.close(commands)
        os.close(answers)
        self._buffer, self._number, self._session = b"", 0, None
        self.events: list[dict[str, Any]] = []
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.send("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, seconds: float = 180.0, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and wait for its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + seconds
        while True:
            answer = self._receive(deadline)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self.events.append(answer)

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            part = os.read(self._in, 1 << 20)
            assert part, "the browser ended"
            self._buffer += part
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def open(self, address: str, seconds: float = 90.0) -> None:
        """Open a page and wait until it says that it is ready (`data-ready` of its body)."""
        self.events.clear()
        self.send("Page.navigate", url=address)
        deadline = time.monotonic() + seconds
        while not self.run("document.body && document.body.dataset.ready"):
            assert time.monotonic() < deadline, self.problems()
            time.sleep(0.1)

    def run(self, script: str) -> Any:
        """The value of an expression; a promise is waited for."""
        done = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def click(self, x: float, y: float) -> None:
        """Press and release the left button."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def scroll(self, x: float, y: float, delta: float) -> None:
        """Turn the wheel."""
        self.send("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=delta)

    def picture(self, path: Path) -> Path:
        """What the window shows, as PNG."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))
        return path

    def problems(self) -> list[str]:
        """Exceptions and errors that the page reported."""
        found = []
        for event in self.events:
            values = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(str(values["exceptionDetails"]))
            if event.get("method") == "Log.entryAdded" and values["entry"]["level"] == "error":
                found.append(values["entry"]["text"] + " " + values["entry"].get("url", ""))
        return found

    def requests(self) -> list[str]:
        """Addresses that the page asked for, without data: and blob:."""
        sent = [event["params"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [v["request"]["url"] for v in sent if not v["request"]["url"].startswith(("data:", "blob:"))]

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait(20)
        os.close(self._out)
        os.close(self._in)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A browser for the tests of one file."""
    program = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if program is None or os.name != "posix":
        pytest.skip("needs Chromium (apt-get install chromium)")
    browser = Chromium(program, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()
