"""Take the pictures of docs/view.md in a real Chromium: a phantom and its scan, and a cohort of phantoms.

    python Testing/support/viewer_pictures.py [OUTPUT]

The computation is the real one, with the bundled default model: some minutes of one core.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import SimpleITK as sitk
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing")]

from support.chromium import PROGRAMS, Chromium  # noqa: E402

from SegSRGANLib.datasets.phantom import neonatal_phantom  # noqa: E402
from SegSRGANLib.io.volume import write_volume  # noqa: E402
from SegSRGANLib.results.viewer.server import ResultServer  # noqa: E402
from SegSRGANLib.results.viewer.study import find_studies  # noqa: E402
from SegSRGANLib.transforms.acquisition import acquire  # noqa: E402

FINE, COARSE = (0.8, 3.0), (1.2, 3.6)  # mm in the slices and between them; no brain of the cohort is shown


def cut_off(scan: sitk.Image) -> sitk.Image:
    """The scan without its upper third."""
    return scan[:, :, : 2 * scan.GetDepth() // 3]


def one_bright_slice(scan: sitk.Image) -> sitk.Image:
    """The scan with its middle slice half as bright again."""
    middle = scan.GetDepth() // 2
    bright = sitk.Image(scan)
    bright[:, :, middle] = scan[:, :, middle] * 1.5
    return bright


FAULTS: dict[int, Callable[[sitk.Image], sitk.Image]] = {3: cut_off, 5: one_bright_slice}
SCANS = {"alone": (FINE, {0: "phantom"}), "cohort": (COARSE, {seed: f"sub-{seed:02}_T2w" for seed in range(1, 7)})}


def main(output: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        alone, cohort = (_enhanced(Path(folder) / name, *scans) for name, scans in SCANS.items())
        program = next(path for name in PROGRAMS if (path := shutil.which(name)))
        browser = Chromium(program, Path(folder) / "profile")
        try:
            take(browser, alone, (1200, 717), output / "view-phantom.png")
            take(browser, cohort, (1000, 420), output / "view-cohort.png")
        finally:
            browser.close()


def _enhanced(folder: Path, sides: tuple[float, float], names: dict[int, str]) -> Path:
    """The folder of results of phantoms by seed, as `segsrgan batch` makes them of their scans."""
    spacing, thickness = sides
    (folder / "scans").mkdir(parents=True)
    for seed, name in names.items():
        scan = acquire(neonatal_phantom(spacing, seed).t2w, (spacing, spacing, thickness))
        write_volume(FAULTS.get(seed, sitk.Image)(scan), folder / "scans" / f"{name}.nii.gz")
    command = ["batch", folder / "scans", "-o", folder / "results", "--spacing", spacing, "--progress", "none"]
    subprocess.run([sys.executable, "-m", "SegSRGANLib", *map(str, command)], cwd=ROOT, check=True)
    return folder / "results"


def take(browser: Chromium, results: Path, size: tuple[int, int], path: Path) -> None:
    """What `segsrgan view RESULTS` shows in a window of that size."""
    browser.send("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False)
    with ResultServer(find_studies(results)) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        browser.send("Page.navigate", url=server.address)
        ready = "document.getElementById('results') || (document.body && document.body.dataset.ready)"
        while not browser.run(f"Boolean({ready})"):
            pass
        assert not browser.problems(), browser.problems()
        browser.picture(path)
        server.shutdown()
    # an octree keeps the legend's colours; the default, median cut, merges them
    picture = Image.open(path).convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "Resources" / "Screenshots")
