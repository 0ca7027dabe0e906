"""Bring the lists of scripts in CMakeLists.txt up to date.

python Testing/slicer_module/harness/update_cmake_lists.py
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def update(folder: Path) -> None:
    """Replace the list MODULE_PYTHON_SCRIPTS by what is in the folder."""
    scripts = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.py"))
    lines = "\n".join(f"  {script}" for script in scripts)
    path = folder / "CMakeLists.txt"
    text = path.read_text(encoding="utf-8")
    wanted = f"set(MODULE_PYTHON_SCRIPTS\n{lines}\n  )"
    path.write_text(
        re.sub(r"set\(MODULE_PYTHON_SCRIPTS\n.*?\n  \)", lambda _: wanted, text, flags=re.S), encoding="utf-8"
    )


if __name__ == "__main__":
    for name in ("SegSRGAN", "SegSRGANLib"):
        update(ROOT / name)
