"""Bring the lists of scripts in CMakeLists.txt up to date.

python Testing/slicer_module/harness/update_cmake_lists.py
"""

import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def update(folder: Path, name: str, files: Iterable[Path]) -> None:
    """Replace a list in a folder's CMakeLists.txt, for instance MODULE_PYTHON_SCRIPTS, by these files of it."""
    lines = "\n".join(sorted(f"  {file.relative_to(folder).as_posix()}" for file in files))
    path = folder / "CMakeLists.txt"
    text = path.read_text(encoding="utf-8")
    wanted = f"set({name}\n{lines}\n  )"
    path.write_text(re.sub(rf"set\({name}\n.*?\n  \)", lambda _: wanted, text, flags=re.S), encoding="utf-8")


if __name__ == "__main__":
    for half in (ROOT / "SegSRGAN", ROOT / "SegSRGANLib"):
        update(half, "MODULE_PYTHON_SCRIPTS", half.rglob("*.py"))
    library = ROOT / "SegSRGANLib"
    shown = [*library.glob("results/templates/*"), *library.glob("results/viewer/*")]
    resources = [path for path in shown if path.is_file() and path.suffix not in (".py", ".md")]
    update(library, "MODULE_PYTHON_RESOURCES", resources)
