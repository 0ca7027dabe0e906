"""Run in the child process: `python ChildLauncher.py ARGUMENTS` is `python -m SegSRGANLib ARGUMENTS`.

It adds two things. The folder that holds the library goes on the path, wherever the extension is installed. And the
process number is printed: Slicer's Python is started through a launcher program, and ending only that one would leave
the computation running.
"""

import json
import os
import runpy
import sys
from pathlib import Path


def prepare() -> None:
    """Put the library on the path and print the number of this process."""
    here = Path(__file__).resolve()
    # installed: beside SegSRGANModule; from the source tree: one folder further up
    library = next(folder for folder in here.parents[2:4] if (folder / "SegSRGANLib").is_dir())
    sys.path[0] = str(library)
    sys.stdout.write(json.dumps({"pid": os.getpid()}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    prepare()
    runpy.run_module("SegSRGANLib", run_name="__main__", alter_sys=True)
