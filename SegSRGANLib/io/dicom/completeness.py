"""Slices that the positions of the others do not miss: at an end of the stack, or every second one."""

from __future__ import annotations

_STEPS = (2, 3, 4)  # times the distance that the scanner says; some scanners give the gap between slices there
_ROUNDING = 0.05


def missing_slices(numbers: list[int], images: int, distance: float, stated: float) -> list[str]:
    """A warning where slices may lack in a stack that is regular.

    The positions cannot tell: a stack without its last slice, or without every second one, is as regular as before.
    Several acquisitions may share the numbers of one series, so this is no error.

    Args:
        numbers: of the slices. images: of the whole acquisition, 0 where no file says it. distance: of the slices, mm.
        stated: the distance of slices that the scanner says, mm, 0 where it does not.
    """
    return _between(numbers, distance, stated) or _at_an_end(numbers, images)


def _between(numbers: list[int], distance: float, stated: float) -> list[str]:
    ordered = sorted(numbers)
    steps = {later - earlier for earlier, later in zip(ordered, ordered[1:], strict=False)}
    if stated > 0:
        step = distance / stated
        if round(step) not in _STEPS or abs(step - round(step)) > _ROUNDING:
            return []
        why = f"the scanner says that they are {stated:.2f} mm apart"
    elif len(steps) == 1 and min(steps) > 1:
        why = f"they are numbered {ordered[0]}, {ordered[1]} ... {ordered[-1]}"
    else:
        return []
    return [
        f"The series may lack slices: {len(numbers)} files are {distance:.2f} mm apart, and {why}. "
        "Compare with the scanner."
    ]


def _at_an_end(numbers: list[int], images: int) -> list[str]:
    first, last, count = min(numbers), max(numbers), len(numbers)
    if not (last - first + 1 == count and first in (2, 3)) and images not in (count + 1, count + 2):
        return []
    whole = f", of an acquisition of {images} images" if images else ""
    return [
        f"The series may lack a slice at its end: it has {count} files, numbered {first} to {last}{whole}. "
        "Compare with the scanner."
    ]
