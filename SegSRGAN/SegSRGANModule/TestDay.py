"""A day at the panel, scripted: patients one after the other, and all that goes wrong on such a day.

The same script runs in the application (`SegSRGANTest`) and in the project's own tests.
"""

from __future__ import annotations

import tempfile
import time
import unittest
from pathlib import Path

import slicer

from .Scene import BrainMask, DisagreementMap, Ownership, SegmentEdits

_SPACING = 1.0  # mm
_SHAPE = (8, 36, 40)  # z, y, x


class Day:
    """Each step looks at every node that must and must not have changed."""

    def __init__(self, test: unittest.TestCase, panel) -> None:
        self.test, self.panel = test, panel
        self.parameters = panel.logic.getParameterNode()
        self.parameters.spacing, self.parameters.patch, self.parameters.device = _SPACING, 32, "cpu"
        self.parameters.isBrain = True  # balls, in which no brain would be found

    def run(self) -> None:
        self.smith, self.doe = self._patient("Smith_John", 1000.0), self._patient("Doe_Jane", 500.0)
        self._readerLooksAt(self.smith)
        first = self.firstPatient()
        self.interrupted()
        second = self.secondPatient(first)
        self.rerunWithMask(first, second)
        self.whatIsRefused()
        self.fourDimensions()
        self.saveCloseReload()

    def firstPatient(self) -> dict:
        before = _views()
        self._choose(self.smith)
        self._apply()
        self.test.assertEqual(_views(), before)  # layout, zoom and slice are the reader's
        self._checkResults(self.smith, "Smith_John")
        return self._state(self.smith)

    def interrupted(self) -> None:
        """Doe's run is cancelled: nothing of hers is there, and nothing of Smith's has changed."""
        before = self._state(self.smith)
        self._choose(self.doe)
        self.panel.ui.applyButton.click()
        self.panel.ui.cancelButton.click()
        self._wait()
        self.test.assertIn("Cancelled", self.panel.ui.statusLabel.text)
        self.test.assertIsNone(Ownership.chosen(self.doe, "outputVolume"))
        self.test.assertEqual(self._state(self.smith), before)

    def secondPatient(self, first: dict) -> dict:
        self._apply()
        self._checkResults(self.doe, "Doe_Jane")
        self.test.assertEqual(self._state(self.smith), first)
        self.test.assertFalse(set(first["ids"]) & set(self._state(self.doe)["ids"]))
        return self._state(self.doe)

    def rerunWithMask(self, first: dict, second: dict) -> None:
        """Half of the brain is masked out; the same nodes are filled, and Doe's stay as they were."""
        import numpy as np

        self._choose(self.smith)
        mask = BrainMask.empty(self.smith)
        half = np.zeros(_SHAPE, np.uint8)
        half[:, :, 20:] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(half, mask, BrainMask.SEGMENT_ID, self.smith)
        self.parameters.brainMask = mask
        self._apply()
        self.test.assertEqual(self._state(self.smith)["ids"], first["ids"])
        cortex = self._cortex(self.smith)
        self.test.assertFalse(cortex[:, :, :18].any())
        self.test.assertEqual(self._state(self.doe), second)
        self._choose(self.doe)
        self.test.assertIsNone(self.parameters.brainMask)  # it is Smith's

    def whatIsRefused(self) -> None:
        """An empty mask, a label map and a raw head's twin without contrast never start."""
        import numpy as np

        count = len(slicer.util.getNodesByClass("vtkMRMLVolumeNode"))
        self.parameters.brainMask = BrainMask.empty(self.doe)
        self._checkRefused("is empty")
        self.parameters.brainMask = None
        labels = _volume("labels", np.indices(_SHAPE)[1] // 6)
        self._choose(labels)
        self._checkRefused("looks like a label map")
        flat = _volume("flat", np.full(_SHAPE, 7.0))
        self._choose(flat)
        self._checkRefused("same value")
        for node in (labels, flat):
            slicer.mrmlScene.RemoveNode(node)
        self.test.assertEqual(len(slicer.util.getNodesByClass("vtkMRMLVolumeNode")), count)

    def fourDimensions(self) -> None:
        """A raw head as one frame of a sequence: the frame is named, and enhanced like any other."""
        browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
        sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "4D")
        for number in range(2):
            frame = _volume("frame", _head(800.0 + number))
            sequence.SetDataNodeAtValue(frame, str(number))
            slicer.mrmlScene.RemoveNode(frame)
        browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
        self.head = _volume("Head", _head(800.0))
        browser.AddProxyNode(self.head, sequence, False)
        self._choose(self.head)
        self.test.assertIn("frames of a sequence", self.panel.ui.warningLabel.text)
        self._apply()
        self._checkResults(self.head, None)
        slicer.mrmlScene.RemoveNode(browser)

    def saveCloseReload(self) -> None:
        """Every result is where it was, with its pixels, its scan and its map."""
        names = ("Smith_John_T2w", "Doe_Jane_T2w", "Head")
        before = {name: self._content(slicer.util.getNode(name)) for name in names}
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "day.mrb")
            self.test.assertTrue(slicer.util.saveScene(path))
            slicer.mrmlScene.Clear(0)
            self.test.assertEqual(self.panel.ui.placesTable.rowCount, 0)
            slicer.util.loadScene(path)
        self.panel.enter()
        self.parameters = self.panel.logic.getParameterNode()
        for name in names:
            scan = slicer.util.getNode(name)
            self.test.assertEqual(self._content(scan), before[name], name)
            self._choose(scan)
            self.test.assertIs(Ownership.ownerOf(self.parameters.outputVolume), scan)

    def _patient(self, name: str, brightness: float):
        """A scan in a study of its own."""
        scan = _volume(f"{name}_T2w", _ball(brightness))
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        subject = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name)
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(scan), hierarchy.CreateStudyItem(subject, "MRI"))
        return scan

    def _readerLooksAt(self, scan) -> None:
        slicer.util.setSliceViewerLayers(background=scan)
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            node.SetFieldOfView(20.0, 20.0, 1.0)

    def _choose(self, scan) -> None:
        self.parameters.inputVolume = scan
        slicer.app.processEvents()

    def _apply(self) -> None:
        self.test.assertTrue(self.panel.ui.applyButton.enabled, self.panel.ui.warningLabel.text)
        self.panel.ui.applyButton.click()
        self._wait()
        self.test.assertIn("Done", self.panel.ui.statusLabel.text)

    def _wait(self) -> None:
        while self.panel.enhanceTab.control.run is not None:
            slicer.app.processEvents()
            time.sleep(0.02)

    def _checkResults(self, scan, subject: str | None) -> None:
        """Names, owner, place in the hierarchy, grid and pixels of a scan's results."""
        volume = Ownership.chosen(scan, "outputVolume")
        self.test.assertIs(self.parameters.outputVolume, volume)
        self.test.assertTrue(volume.GetName().startswith(scan.GetName()))
        self.test.assertEqual(volume.GetImageData().GetDimensions(), (40, 36, 32))
        means = [float(slicer.util.arrayFromVolume(node).mean()) for node in (volume, scan)]
        self.test.assertAlmostEqual(means[0] / means[1], 1.0, delta=0.15)  # the brightness is this patient's
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        for node in (volume, Ownership.chosen(scan, "outputSegmentation"), DisagreementMap.mapOf(volume)):
            self.test.assertIs(Ownership.ownerOf(node), scan)
            study = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))
            if subject:
                self.test.assertEqual(hierarchy.GetItemName(hierarchy.GetItemParent(study)), subject)

    def _checkRefused(self, words: str) -> None:
        self.test.assertFalse(self.panel.ui.applyButton.enabled)
        self.test.assertIn(words, self.panel.ui.warningLabel.text)

    def _cortex(self, scan):
        segmentation = Ownership.chosen(scan, "outputSegmentation")
        ids = segmentation.GetSegmentation().GetSegmentIDs()
        return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, ids[0], scan)

    def _state(self, scan) -> dict:
        nodes = [Ownership.chosen(scan, name) for name in ("outputVolume", "outputSegmentation")]
        return {"ids": [node.GetID() for node in nodes if node], **self._content(scan)}

    @staticmethod
    def _content(scan) -> dict:
        """What must be the same before and after, without node numbers, which change at a reload."""
        volume, segmentation = (Ownership.chosen(scan, name) for name in ("outputVolume", "outputSegmentation"))
        found = {}
        for name, node in (("volume", volume), ("map", DisagreementMap.mapOf(volume))):
            if node:
                array = slicer.util.arrayFromVolume(node)
                found[name] = node.GetName(), array.shape, round(float(array.astype("float64").sum()), 2)
        if segmentation:
            found["segments"] = segmentation.GetName(), SegmentEdits.contentOf(segmentation)
        return found


def _views() -> dict:
    """Layout, and field of view and place of every slice view."""
    manager = slicer.app.layoutManager()
    state = {"layout": manager.layout if manager else None}
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        place = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()).round(3).tolist()
        state[node.GetLayoutName()] = [round(width, 3) for width in node.GetFieldOfView()], place
    return state


def _volume(name: str, array):
    import numpy as np

    node = slicer.util.addVolumeFromArray(np.asarray(array, np.float32), np.diag([1.0, 1.0, 4.0, 1.0]), name)
    node.CreateDefaultDisplayNodes()
    return node


def _ball(brightness: float):
    """Thick slices of a bright ball, off centre."""
    import numpy as np

    z, y, x = np.indices(_SHAPE).astype(np.float32)
    distance = np.sqrt(((z - 4) * 4) ** 2 + (y - 15) ** 2 + (x - 22) ** 2)
    return brightness * np.exp(-((distance / 10) ** 2))


def _head(brightness: float):
    """The ball inside a bright shell, as a brain in its skull."""
    import numpy as np

    ball = _ball(brightness)
    shell = (ball > 0.08 * brightness) & (ball < 0.12 * brightness)
    return np.where(shell, 0.9 * brightness, ball)
