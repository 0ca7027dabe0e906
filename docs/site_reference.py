"""Docstrings of classes for the reference: lines such as `spacing: of the output, mm` become a list."""

from __future__ import annotations

import re
from typing import Any

import griffe

# A member's name and a colon, at the beginning of a line or of a sentence.
_MEMBER = re.compile(r"(^|(?<=[.;]) |(?<=[.;])\n)(\w+): (?=\S)", re.MULTILINE)


def as_list(text: str, names: set[str]) -> str:
    """The text, in which each "name: what it is" of the given names is an item of a Markdown list."""
    found = [match for match in _MEMBER.finditer(text) if match[2] in names]
    if not found:
        return text
    ends = [match.start() for match in found[1:]] + [len(text)]
    items = [f"- **`{m[2]}`**: {text[m.end() : end].strip()}" for m, end in zip(found, ends, strict=True)]
    return text[: found[0].start()].rstrip() + "\n\n" + "\n".join(items)


class MembersAsList(griffe.Extension):
    """Rewrites the docstrings of classes; those of functions have sections that the site knows."""

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Change the docstring in place."""
        if cls.docstring is not None:
            cls.docstring.value = as_list(cls.docstring.value, set(cls.members))
