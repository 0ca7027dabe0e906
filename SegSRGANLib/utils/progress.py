"""How long work reports its progress and is asked to stop.

Long functions take ``progress`` and ``should_stop``, both optional. They call ``progress(fraction, message)`` with a
fraction in [0, 1] that never falls, and ``stop_if(should_stop)`` between two patches or two training steps.
"""

from collections.abc import Callable

from .errors import Cancelled

Progress = Callable[[float, str], None]
ShouldStop = Callable[[], bool]


def scaled(progress: Progress | None, low: float, high: float) -> Progress:
    """Map the progress of one part of the work, 0 to 1, onto the range ``low`` to ``high`` of the whole.

    Without a callback the result does nothing, so that callers never ask whether there is one.
    """
    if progress is None:
        return lambda fraction, message: None
    return lambda fraction, message: progress(low + (high - low) * min(max(fraction, 0.0), 1.0), message)


def stop_if(should_stop: ShouldStop | None) -> None:
    """Raise `Cancelled` when there is a ``should_stop`` and it says so."""
    if should_stop is not None and should_stop():
        raise Cancelled("Cancelled on request.")
