"""`segsrgan batch` with the command line of a BIDS app: what the container runs.

/data /out participant [--participant_label 01 02] [options of segsrgan batch]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .. import __version__
from .main import main as run


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the app; exit status as of `main.main`.

    Args:
        arguments: of the command line, without the program; None for those of this process.
    """
    parser = argparse.ArgumentParser(
        prog="segsrgan-bids-app",
        description="Super-resolution and cortical segmentation of the T2w images of a BIDS dataset.",
        epilog="All other options are those of  segsrgan batch, for example --spacing, --workers or --report.",
        allow_abbrev=False,
    )
    parser.add_argument("bids_dir", help="BIDS dataset, or another input of segsrgan batch")
    parser.add_argument("output_dir", help="folder for the derivatives")
    parser.add_argument("analysis_level", choices=["participant"], help="each image is worked on by itself")
    names = ("--participant_label", "--participant-label")
    parser.add_argument(*names, nargs="+", default=[], metavar="LABEL", help="only these, with or without sub-")
    parser.add_argument("-v", "--version", action="version", version=__version__)
    known, more = parser.parse_known_args(arguments)
    chosen = [word for label in known.participant_label for word in ("--participant", label)]
    run(["batch", known.bids_dir, "-o", known.output_dir, *chosen, *more])


if __name__ == "__main__":
    main()
