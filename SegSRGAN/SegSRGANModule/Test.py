"""The module's self-test: the same scenarios in the application and in the project's own test suite."""

from __future__ import annotations

import qt
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from . import Preflight, TestScans
from .Logic import SegSRGANLogic
from .Models import ModelChoice, Models
from .Packages import Packages
from .Panel.Questions import Questions
from .Panel.Widget import SegSRGANWidget
from .Scene import ResultNodes, SegmentVolumes, Terminology
from .Services import Services
from .Settings import EnhanceSettings
from .TestDay import Day

_SETTINGS = EnhanceSettings(spacing=1.0, patch=32, overlap=0.25, device="cpu", isBrain=True)  # a ball, no head


class SegSRGANTest(ScriptedLoadableModuleTest):
    """A small volume through the whole module; without PyTorch or a model, all that comes before the run."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        for scenario in (self.test_preflight, self.test_parameters, self.test_enhance, self.test_day):
            self.setUp()
            scenario()

    def test_preflight(self):
        line = Preflight.describe(_volume(), _SETTINGS, None).line
        self.assertIn("1 x 1 x 4 mm, 8 slices -> 1 x 1 x 1 mm, 40 x 36 x 32 voxels", line)

    def test_parameters(self):
        parameters = SegSRGANLogic().getParameterNode()
        parameters.spacing = 0.75
        self.assertEqual(SegSRGANLogic().getParameterNode().spacing, 0.75)

    def test_enhance(self):
        if not self._canEnhance():
            return
        source = _volume()
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        source.SetAndObserveTransformNodeID(transform.GetID())
        logic = SegSRGANLogic()
        nodes = logic.enhance(source, _SETTINGS)
        self._checkOutputs(source, nodes)
        with self.assertRaises(ValueError):
            logic.enhance(None)

    def test_day(self):
        """Two patients, an interruption, masks, a raw head, what is refused, save and reload: see `TestDay`."""
        if not self._canEnhance():
            return
        panel = SegSRGANWidget(_parent(), Services(Models(), Packages(), _Accepted(), Questions()))
        panel.setup()
        try:
            panel.enter()
            Day(self, panel, TestScans.rawHead if Models().canFindBrain() else None).run()
        finally:
            panel.cleanup()

    def _canEnhance(self) -> bool:
        installed = any(choice.key and choice.isInstalled for choice in Models().choices())
        if Packages().isTorchInstalled() and installed:
            return True
        self.delayDisplay("Without PyTorch and a model nothing can be enhanced: skipped")
        return False

    def _checkOutputs(self, source, nodes):
        self.assertEqual(nodes.volume.GetImageData().GetDimensions(), (40, 36, 32))
        self.assertEqual((ResultNodes.recordOf(nodes.volume) or {})["input"]["grid"]["size"], [40, 36, 8])
        for node in nodes:
            self.assertEqual(node.GetTransformNodeID(), source.GetTransformNodeID())
        segmentation = nodes.segmentation.GetSegmentation()
        segment = segmentation.GetSegment(Terminology.SEGMENT_ID)
        self.assertEqual(segment.GetName(), Terminology.titleOf(Terminology.SEGMENT_ID))
        self.assertEqual(len(SegmentVolumes.volumesOf(nodes.segmentation)), segmentation.GetNumberOfSegments())


class _Accepted:
    """Terms that nobody is asked about, and that are not noted as accepted."""

    def ensure(self, choice: ModelChoice | None) -> bool:
        return True


def _parent():
    """An empty widget, as Slicer gives a module for its own."""
    parent = slicer.qMRMLWidget()
    parent.setLayout(qt.QVBoxLayout())
    parent.setMRMLScene(slicer.mrmlScene)
    return parent


def _volume():
    """Thick slices of a bright ball in a dark box, off centre."""
    import numpy as np

    z, y, x = np.indices((8, 36, 40)).astype(np.float32)
    distance = np.sqrt(((z - 4) * 4) ** 2 + (y - 15) ** 2 + (x - 22) ** 2)
    node = slicer.util.addVolumeFromArray(1000 * np.exp(-((distance / 10) ** 2)), np.diag([1.0, 1.0, 4.0, 1.0]), "T2w")
    node.CreateDefaultDisplayNodes()
    return node
