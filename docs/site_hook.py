"""What the site shows that does not lie in docs/: pictures, the changelog, the guide for contributors.

The files in docs/ also read well in the repository, where links lead out of the folder; here they are turned.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).parents[1]
_REPOSITORY = "https://github.com/SegSRGAN/SlicerSegSRGAN/blob/main/"
_PICTURES = "Resources/Screenshots/"
_TEXTS = {"history.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
_OUTSIDE = re.compile(r"(\]\()((?:\.\./)+)([^)#]+)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pictures and the texts of the repository's top folder."""
    for picture in [_ROOT / "SegSRGAN.png", *sorted((_ROOT / _PICTURES).glob("*.png"))]:
        address = picture.relative_to(_ROOT).as_posix()
        files.append(File.generated(config, address, content=picture.read_bytes()))
    for page, source in _TEXTS.items():
        text = (_ROOT / source).read_text(encoding="utf-8")
        text = re.sub(r"(\]\()(?!https?:|#)(?!docs/)([^)]+)", rf"\g<1>{_REPOSITORY}\2", text)
        files.append(File.generated(config, page, content=text.replace("](docs/", "](")))
    return files


def on_page_markdown(text: str, page: Any, **_: Any) -> str:
    """Turn links that leave docs/: pictures are beside the pages here, other files are in the repository."""
    folder = posixpath.dirname(page.file.src_uri)

    def turned(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", folder, match[2] + match[3]))
        if target.startswith("docs/"):
            return match[0]
        if target.startswith(_PICTURES):
            return match[1] + posixpath.relpath(target, folder or ".")
        return match[1] + _REPOSITORY + target

    return _OUTSIDE.sub(turned, text)


def on_post_page(html: str, **_: Any) -> str:
    """Leave out what would ask GitHub for its stars: nothing is fetched from elsewhere when the pages are read."""
    return html.replace(' data-md-component="source"', "")
