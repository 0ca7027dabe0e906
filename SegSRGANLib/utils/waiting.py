"""Waiting for what blocks, such as a slow server, and still hearing the user's wish to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from .progress import ShouldStop, stop_if

T = TypeVar("T")
_LOOK = 0.1  # s between two looks at `should_stop`


def interruptible(call: Callable[[], T], should_stop: ShouldStop | None) -> T:
    """Do a blocking call in a thread of its own, and look at `should_stop` several times a second.

    Args:
        call: left alone when the user stops; its result is then lost.
        should_stop: may be None, and then the call is simply done.

    Raises:
        Cancelled: should_stop said so. Otherwise whatever the call raises.
    """
    if should_stop is None:
        return call()
    outcome: dict[str, Any] = {}
    done = threading.Event()

    def work() -> None:
        try:
            outcome["value"] = call()
        except BaseException as error:  # noqa: BLE001 (raised again below, in the caller's thread)
            outcome["error"] = error
        finally:
            done.set()

    threading.Thread(target=work, daemon=True).start()
    while not done.wait(_LOOK):
        stop_if(should_stop)
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]
