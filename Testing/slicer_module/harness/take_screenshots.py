"""Take the pictures of the tutorial: panel tabs, four views with the segments, before and after, swipe.

    python Testing/slicer_module/harness/take_screenshots.py [OUTPUT]

The volume is the procedural phantom with thick slices; the computation is the real one, in its child process. Panel
and views are drawn by the harness, so frames and colours differ a little from the application's.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

HARNESS = Path(__file__).resolve().parent
ROOT = HARNESS.parents[2]
sys.path[:0] = [str(HARNESS), str(ROOT / "SegSRGAN"), str(ROOT)]
WIDTHS = (420, 700)
TABS = ("enhance", "quality", "batch", "training")
VIEW = (360, 360)


def main(output: Path) -> None:
    os.environ["SEGSRGAN_HOME"] = tempfile.mkdtemp()
    import application

    slicer = application.boot()
    _module, _instance, panel = application.loadModule(ROOT / "SegSRGAN" / "SegSRGAN.py", _services)
    import views
    from SegSRGANModule.Jobs import SampleData

    output.mkdir(parents=True, exist_ok=True)
    views._SLICE_MANAGERS.append("vtkMRMLOrientationMarkerDisplayableManager")  # Slicer's own letters for R, A and S
    slices = {
        name: views.SliceView(name, kind, VIEW) for name, kind in (("R", "Axial"), ("Y", "Sagittal"), ("G", "Coronal"))
    }
    for view in slices.values():
        view.node.SetOrientationMarkerType(view.node.OrientationMarkerTypeAxes)
        view.node.SetOrientationMarkerSize(view.node.OrientationMarkerSizeMedium)
    volume, truth = SampleData.loadPhantom()
    panel.enter()
    parameters = panel.logic.getParameterNode()
    parameters.inputVolume, parameters.spacing = volume, 0.8
    panel.ui.applyButton.click()
    run = panel.enhanceTab.control.run
    while panel.enhanceTab.control.run is not None and panel.ui.progressBar.value < 500:
        slicer.app.processEvents()
        time.sleep(0.01)
    _grab(panel, 0, 420, output / "enhance-running.png")
    run.wait()
    _fillTraining(panel, volume, truth)
    _fillBatch(panel)
    for tab, name in enumerate(TABS):
        for width in WIDTHS:
            _grab(panel, tab, width, output / f"{name}-{width}.png")
    _fourViews(slicer, panel, slices, output / "four-views.png")
    _beforeAfter(parameters, volume, slices, output / "before-after.png")
    _swipe(slicer, panel, slices, output / "swipe.png")
    _foundMask(panel, slices, output / "found-mask.png")


def _services():
    """Nobody is there to accept the terms."""
    from collaborators import services

    return services()


def _grab(panel, tab: int, width: int, path: Path) -> None:
    import application
    from PIL import Image

    application.showPage(panel, tab, width)
    panel.parent.grab().save(str(path))
    _quantized(Image.open(path)).save(path, optimize=True)


def _fillTraining(panel, volume, truth) -> None:
    """Two pairs in the list, as a user would have them; nothing is trained for a picture."""
    import slicer
    from SegSRGANModule.Jobs import TrainingPairs

    parameterNode = panel.logic.getParameterNode().parameterNode
    panel.logic.getParameterNode().label = 5
    for name in ("preterm_01", "preterm_02"):
        copy = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, volume, f"{name}_T2w")
        labels = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, truth, f"{name}_dseg")
        TrainingPairs.add(parameterNode, copy, labels)
    panel.logic.getParameterNode().trainingFolder = "/data/models"


def _fillBatch(panel) -> None:
    """A cohort in the middle of its batch: one scan done, with the record of the run above, one failed, one waiting."""
    from SegSRGANModule.Scene import ResultNodes

    parameters, folder = panel.logic.getParameterNode(), Path(tempfile.mkdtemp())
    os.chdir(folder)  # the picture shows short names
    (folder / "scans").mkdir()
    (folder / "results").mkdir()
    for name in ("sub-01_T2w", "sub-02_T2w", "sub-03_T2w"):
        (folder / "scans" / f"{name}.nii.gz").touch()
    record = json.dumps(ResultNodes.recordOf(parameters.outputVolume))
    (folder / "results" / "sub-01_T2w_record.json").write_text(record)
    failed = "name\tstatus\treason\nsub-02_T2w\tfailed\tThe file is cut off.\n"
    (folder / "results" / "summary.tsv").write_text(failed)
    parameters.batchSource, parameters.batchOutput = "scans", "results"


def _swipe(slicer, panel, slices, path: Path) -> None:
    """The curtain in the axial and in the coronal view, the segmentation hidden."""
    import numpy as np

    parameters = panel.logic.getParameterNode()
    display = parameters.outputSegmentation.GetDisplayNode()
    display.SetVisibility(False)
    shown = [slices[name].show(parameters.inputVolume, parameters.outputVolume, zoom=1.0) for name in "RG"]
    panel.ui.swipeButton.checked = True
    for view in shown:
        view.logic.UpdatePipeline()
    _save(np.hstack([view.pixels() for view in shown]), path)
    panel.ui.swipeButton.checked = False
    display.SetVisibility(True)


def _foundMask(panel, slices, path: Path) -> None:
    """A raw head, and the outline of the brain that a run found in it."""
    import numpy as np
    from SegSRGANModule import TestScans
    from SegSRGANModule.Scene import OtherOverlays

    parameters = panel.logic.getParameterNode()
    parameters.inputVolume = head = TestScans.rawHead()
    OtherOverlays.hide(OtherOverlays.over(head))
    panel.ui.applyButton.click()
    panel.enhanceTab.control.run.wait()
    parameters.outputSegmentation.GetDisplayNode().SetVisibility(False)
    _save(np.hstack([slices[name].show(head).pixels() for name in "RYG"]), path)


def _fourViews(slicer, panel, slices, path: Path) -> None:
    import numpy as np
    import views

    parameters = panel.logic.getParameterNode()
    panel.ui.show3DButton.checked = True
    front = views.ThreeDView(size=VIEW).look("Left").pixels()
    pictures = [view.show(parameters.outputVolume).pixels() for view in slices.values()]
    _save(np.vstack([np.hstack([pictures[0], front]), np.hstack(pictures[1:])]), path)


def _beforeAfter(parameters, volume, slices, path: Path) -> None:
    import numpy as np

    view = slices["G"]
    parameters.outputSegmentation.GetDisplayNode().SetVisibility(False)
    volume.GetDisplayNode().SetInterpolate(False)  # the slices as thick as they are
    pictures = [view.show(node, zoom=1.0).pixels() for node in (volume, parameters.outputVolume)]
    parameters.outputSegmentation.GetDisplayNode().SetVisibility(True)
    pictures.append(view.show(parameters.outputVolume, zoom=1.0).pixels())
    _save(np.hstack(pictures), path)


def _save(pixels, path: Path) -> None:
    from PIL import Image

    _quantized(Image.fromarray(pixels)).save(path, optimize=True)


def _quantized(picture):
    """256 colours, which panels and views do with; a quarter of the size."""
    return picture.convert("RGB").quantize(256)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "Resources" / "Screenshots")
