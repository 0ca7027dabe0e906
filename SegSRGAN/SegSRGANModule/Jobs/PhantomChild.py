"""Run in a child process: `python PhantomChild.py FOLDER` writes the procedural phantom, which takes seconds.

phantom_T2w.nrrd is the scan with thick slices, phantom_labels.nrrd its true labels at high resolution.
"""

import argparse
import json
import sys
from pathlib import Path

import ChildLauncher

SPACING = 0.8  # mm


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--thickness", type=float, required=True)
    options, _rest = parser.parse_known_args()
    import SimpleITK as sitk

    from SegSRGANLib.datasets.phantom import neonatal_phantom

    phantom = neonatal_phantom(spacing=SPACING)
    factor = max(1, round(options.thickness / SPACING))
    # Each slice is the mean of what lies in it, and the field of view stays: enough for a demonstration.
    scan = sitk.BinShrink(sitk.Cast(phantom.t2w, sitk.sitkFloat32), [1, 1, factor])
    for image, name in ((scan, "T2w"), (phantom.labels, "labels")):
        sitk.WriteImage(image, str(options.folder / f"phantom_{name}.nrrd"), True)
    sys.stdout.write(json.dumps({"done": True}) + "\n")


if __name__ == "__main__":
    ChildLauncher.prepare()
    main()
