"""Commands and workers in processes of their own that need not import PyTorch anew: forks of a server that did it once.

Importing takes 3 seconds of each process, and the tests start more than a hundred. A fork begins in the environment and
the folder of who asks for it, can be limited and killed, and ends with the status it would have. Tests that are about
processes as the system starts them take `spawned_workers`, and `subprocess` for a command.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from SegSRGANLib.utils import process_pool

try:
    import resource
except ImportError:  # Windows
    resource = None

_PRELOADED = ("SegSRGANLib.batch.worker", "SegSRGANLib.batch.run", "SegSRGANLib.comparison.worker", __name__)
_ROOT = Path(__file__).resolve().parents[2]
_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"  # Windows spawns
_first: dict[str, str] = {}  # the session's environment: the server starts in it, whichever test needs it first


class _Context:
    """The context of spawned processes, with the server's forks in their place."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context(_METHOD)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def Process(self, target: Callable, args: tuple, daemon: bool) -> Any:  # noqa: N802 (as multiprocessing has it)
        """A fork in this process's present folder and environment, not in the server's."""
        if _METHOD == "forkserver" and multiprocessing.parent_process() is None:
            _start_server()
        given = (dict(os.environ), os.getcwd(), _limits(), target, args)
        return self._context.Process(target=_run, args=given, daemon=daemon)


def _start_server() -> None:
    """Start it where it does not run yet, in the environment that the session began with."""
    present = dict(os.environ)
    _replace_environment({**(_first or present), "PYTHONPATH": os.pathsep.join(map(str, (_ROOT, _ROOT / "Testing")))})
    forkserver.set_forkserver_preload(list(_PRELOADED))
    forkserver.ensure_running()
    _replace_environment(present)


def _replace_environment(values: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(values)


def _limits() -> dict[int, tuple[int, int]]:
    """The limits of this process that tests set, which a child of its own would have too."""
    if resource is None:
        return {}
    kinds = (resource.RLIMIT_FSIZE, resource.RLIMIT_DATA, resource.RLIMIT_NOFILE)
    return {kind: resource.getrlimit(kind) for kind in kinds}


def _run(environment: dict[str, str], folder: str, limits: dict, target: Callable, args: tuple) -> None:
    _replace_environment(environment)
    os.chdir(folder)
    for kind, most in limits.items():
        resource.setrlimit(kind, most)
    target(*args)


def _use_forks() -> SimpleNamespace:
    """What the pool of workers takes for `multiprocessing`."""
    context = _Context()
    return SimpleNamespace(get_context=lambda method: context, parent_process=multiprocessing.parent_process)


@pytest.fixture(scope="session", autouse=True)
def forked_workers() -> Iterator[None]:
    """Workers are forks."""
    _first.update(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process_pool, "multiprocessing", _use_forks())
        yield


@pytest.fixture
def spawned_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are what users have: processes that begin from nothing."""
    monkeypatch.setattr(process_pool, "multiprocessing", multiprocessing)


class Command:
    """`python -m SegSRGANLib` in a process of its own, used like `subprocess.Popen`.

    limit: a resource of the process and its most, see `resource.setrlimit`.
    own_session: the process leads a group, which can be killed with its workers.
    """

    def __init__(self, *arguments: Any, limit: tuple[int, int] | None = None, own_session: bool = False) -> None:
        words = [str(argument) for argument in arguments]
        pipes = [multiprocessing.Pipe(duplex=False) for _ in range(2)]
        args = (words, limit, own_session, *(writer for _, writer in pipes))
        self._process = _Context().Process(target=_command, args=args, daemon=False)
        self._process.start()
        self.pid = self._process.pid
        self.said = ["", ""]  # standard output and error
        self._readers = [threading.Thread(target=self._read, args=(k, r)) for k, (r, _) in enumerate(pipes)]
        for (_, writer), reader in zip(pipes, self._readers, strict=True):
            writer.close()
            reader.start()

    def _read(self, number: int, connection: Any) -> None:
        with os.fdopen(os.dup(connection.fileno()), encoding="utf-8", errors="replace") as stream:
            self.said[number] = stream.read()

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        """The status, when the process and all that write to its output have ended.

        Raises:
            subprocess.TimeoutExpired: it has not ended in so many seconds.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("segsrgan", timeout or 0)
        for reader in self._readers:
            reader.join()
        return self._process.exitcode


def _command(words: list[str], limit: tuple[int, int] | None, own_session: bool, output: Any, error: Any) -> None:
    if own_session:
        os.setsid()
    for number, writer in ((1, output), (2, error)):
        os.dup2(writer.fileno(), number)
        writer.close()
    if limit is not None:
        resource.setrlimit(limit[0], (limit[1], limit[1]))
    # its workers come from the server that it comes from itself; Python would start another one
    forkserver._forkserver.ensure_running = lambda: None
    process_pool.multiprocessing = _use_forks()
    sys.argv = ["segsrgan", *words]
    runpy.run_module("SegSRGANLib", run_name="__main__", alter_sys=False)


def run_command(*arguments: Any, limit: tuple[int, int] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `segsrgan` to its end in a process of its own; see `Command`."""
    started = Command(*arguments, limit=limit)
    status = started.wait(timeout=600)
    return subprocess.CompletedProcess(["segsrgan", *map(str, arguments)], status, *started.said)
