"""A day at the panel, scripted: patients one after the other, and all that goes wrong on such a day.

The same script runs in the application (`SegSRGANTest`) and in the project's own tests.
"""

from __future__ import annotations

import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path

import slicer

from . import TestScans
from .Scene import BrainMask, DisagreementMap, Ownership, SegmentEdits
from .Scene.InputTraits import contentOf
from .Scene.VolumeNodes import gridOf
from .TestScans import SHAPE

_SPACING = 1.0  # mm
_OUTPUTS = ("outputVolume", "outputSegmentation", "brainMask")


class Day:
    """Each step looks at every node that must and must not have changed, and at the views.

    makeHead: makes the scan of a head in which a run finds the brain; None leaves that step out.
    """

    def __init__(self, test: unittest.TestCase, panel, makeHead: Callable | None) -> None:
        self.test, self.panel, self.makeHead = test, panel, makeHead
        self.parameters = panel.logic.getParameterNode()
        self.parameters.spacing, self.parameters.patch, self.parameters.device = _SPACING, 32, "cpu"

    def run(self) -> None:
        self.smith, self.doe = self._patient("Smith_John", 1000.0), self._patient("Doe_Jane", 500.0)
        self._readerLooksAt(self.smith)
        first = self.firstPatient()
        self.interrupted()
        second = self.secondPatient(first)
        self.rerunWithMask(first, second)
        self.rawHead()
        self.whatIsRefused()
        self.fourDimensions()
        self.saveCloseReload()

    def firstPatient(self) -> dict:
        self._choose(self.smith)
        self._apply()
        self._checkResults(self.smith, "Smith_John")
        return self._state(self.smith)

    def interrupted(self) -> None:
        """Doe's run is cancelled: nothing of hers is there, and nothing of Smith's has changed."""
        before, views = self._state(self.smith), _views()
        self._choose(self.doe)
        self.panel.ui.applyButton.click()
        self.panel.ui.cancelButton.click()
        self._wait()
        self.test.assertIn("Cancelled", self.panel.ui.statusLabel.text)
        self.test.assertIsNone(Ownership.chosen(self.doe, "outputVolume"))
        self.test.assertEqual((self._state(self.smith), _views()), (before, views))

    def secondPatient(self, first: dict) -> dict:
        self._apply()
        self._checkResults(self.doe, "Doe_Jane")
        self.test.assertEqual(self._state(self.smith), first)
        self.test.assertFalse(set(first["ids"]) & set(self._state(self.doe)["ids"]))
        return self._state(self.doe)

    def rerunWithMask(self, first: dict, second: dict) -> None:
        """Half of the brain is masked out; the same nodes are filled, and Doe's stay as they were."""
        self._choose(self.smith)
        mask = BrainMask.empty(self.smith)
        self._drawHalf(mask, self.smith)
        self.parameters.brainMask = mask
        self._apply()
        self.test.assertEqual(self._state(self.smith)["ids"], [*first["ids"], mask.GetID()])
        self.test.assertFalse(self._cortex(self.smith)[:, :, : SHAPE[2] // 2 - 2].any())
        self.test.assertEqual(self._state(self.doe), second)
        self._choose(self.doe)
        self.test.assertIsNone(self.parameters.brainMask)  # it is Smith's

    def rawHead(self) -> None:
        """A head: the brain is found, its mask can be edited, the next run uses what was drawn."""
        if self.makeHead is None:
            return
        before = [self._state(scan) for scan in (self.smith, self.doe)]
        self.raw = TestScans.patient("Raw_head", self.makeHead(), isBrain=False)
        self._choose(self.raw)
        self.parameters.patch = 128  # of a whole head the patches of the balls would be many
        self._apply()
        self._checkResults(self.raw, "Raw_head")
        mask = self.parameters.brainMask
        self.test.assertIs(Ownership.ownerOf(mask), self.raw)
        inside = slicer.util.arrayFromSegmentBinaryLabelmap(mask, BrainMask.SEGMENT_ID, self.raw) > 0
        self.test.assertTrue(0.02 < inside.mean() < 0.7, inside.mean())
        self.test.assertTrue(mask.GetDisplayNode().GetVisibility())  # it is shown with the result
        nodes = self._state(self.raw)["ids"]
        self._drawHalf(mask, self.raw, inside)
        drawn = SegmentEdits.contentOf(mask)
        self._apply()
        self.test.assertEqual(self._state(self.raw)["ids"], nodes)
        self.test.assertEqual(SegmentEdits.contentOf(mask), drawn)
        cortex = self._cortex(self.raw)
        self.test.assertTrue(cortex.any() and not cortex[:, :, : cortex.shape[2] // 2 - 2].any())
        self.test.assertEqual([self._state(scan) for scan in (self.smith, self.doe)], before)

    def whatIsRefused(self) -> None:
        """An empty mask, a label map and a volume without contrast never start."""
        import numpy as np

        count = len(slicer.util.getNodesByClass("vtkMRMLVolumeNode"))
        self._choose(self.doe)
        self.parameters.brainMask = BrainMask.empty(self.doe)
        self._checkRefused("is empty")
        self.parameters.brainMask = None
        labels = TestScans.volume("labels", np.indices(SHAPE)[1] // 6)
        self._choose(labels)
        self._checkRefused("looks like a label map")
        flat = TestScans.volume("flat", np.full(SHAPE, 7.0))
        self._choose(flat)
        self._checkRefused("same value")
        for node in (labels, flat):
            slicer.mrmlScene.RemoveNode(node)
        self.test.assertEqual(len(slicer.util.getNodesByClass("vtkMRMLVolumeNode")), count)

    def fourDimensions(self) -> None:
        """One frame of a sequence: the frame is named, and enhanced like any other volume."""
        browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
        sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "4D")
        for number in range(2):
            frame = TestScans.volume("frame", TestScans.head(800.0 + number))
            sequence.SetDataNodeAtValue(frame, str(number))
            slicer.mrmlScene.RemoveNode(frame)
        browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
        frame = TestScans.volume("Frame_T2w", TestScans.head(800.0))
        self.frame = TestScans.patient("Frame", frame, isBrain=True)
        browser.AddProxyNode(self.frame, sequence, False)
        Ownership.setBrain(self.frame, True)  # with its pixels the proxy took the attributes of the sequence's frame
        self._choose(self.frame)
        self.test.assertIn("frames of a sequence", self.panel.ui.warningLabel.text)
        self._apply()
        self._checkResults(self.frame, "Frame")
        slicer.mrmlScene.RemoveNode(browser)

    def saveCloseReload(self) -> None:
        """Every result and mask is where it was, with its pixels, its scan and its map."""
        scans = [self.smith, self.doe, self.frame, *([self.raw] if self.makeHead else [])]
        before = {scan.GetName(): self._content(scan) for scan in scans}
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "day.mrb")
            self.test.assertTrue(slicer.util.saveScene(path))
            slicer.mrmlScene.Clear(0)
            self.test.assertEqual(self.panel.ui.placesTable.rowCount, 0)
            slicer.util.loadScene(path)
        self.panel.enter()
        self.parameters = self.panel.logic.getParameterNode()
        for name, content in before.items():
            scan = slicer.util.getNode(name)
            self.test.assertEqual(self._content(scan), content, name)
            self._choose(scan)
            self.test.assertIs(Ownership.ownerOf(self.parameters.outputVolume), scan)
            self.test.assertNotIn("was changed", self.panel.ui.qualityLabel.text)

    def _patient(self, name: str, brightness: float):
        """A ball, in which no brain would be found."""
        return TestScans.patient(name, TestScans.volume(f"{name}_T2w", TestScans.ball(brightness)), isBrain=True)

    def _readerLooksAt(self, scan) -> None:
        slicer.util.setSliceViewerLayers(background=scan)
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            node.SetFieldOfView(20.0, 20.0, 1.0)

    def _choose(self, scan) -> None:
        self.parameters.inputVolume = scan
        slicer.app.processEvents()

    def _apply(self) -> None:
        """Run to the end; layout, zoom and slice are the reader's."""
        views = _views()
        self.test.assertTrue(self.panel.ui.applyButton.enabled, self.panel.ui.warningLabel.text)
        self.panel.ui.applyButton.click()
        self._wait()
        self.test.assertIn("Done", self.panel.ui.statusLabel.text)
        self.test.assertEqual(_views(), views)

    def _wait(self) -> None:
        while self.panel.enhanceTab.control.run is not None:
            slicer.app.processEvents()
            time.sleep(0.02)

    def _checkResults(self, scan, subject: str) -> None:
        """Names, owner, place in the hierarchy, grid and pixels of a scan's results."""
        from SegSRGANLib.data.grid import output_grid

        volume = Ownership.chosen(scan, "outputVolume")
        self.test.assertIs(self.parameters.outputVolume, volume)
        self.test.assertTrue(volume.GetName().startswith(scan.GetName()))
        size = output_grid(gridOf(scan), _SPACING).size
        self.test.assertEqual(tuple(volume.GetImageData().GetDimensions()), tuple(size))
        means = [float(slicer.util.arrayFromVolume(node).mean()) for node in (volume, scan)]
        self.test.assertAlmostEqual(means[0] / means[1], 1.0, delta=0.15)  # the brightness is this patient's
        for node in (volume, Ownership.chosen(scan, "outputSegmentation"), DisagreementMap.mapOf(volume)):
            self.test.assertIs(Ownership.ownerOf(node), scan)
            self.test.assertEqual(_above(node), [subject, "MRI"])

    def _checkRefused(self, words: str) -> None:
        self.test.assertFalse(self.panel.ui.applyButton.enabled)
        self.test.assertIn(words, self.panel.ui.warningLabel.text)

    def _drawHalf(self, mask, scan, inside=None) -> None:
        """What lies in the second half of the columns; all of it, or what was `inside`."""
        import numpy as np

        half = np.ones(slicer.util.arrayFromVolume(scan).shape, np.uint8) if inside is None else inside.astype(np.uint8)
        half[:, :, : half.shape[2] // 2] = 0
        slicer.util.updateSegmentBinaryLabelmapFromArray(half, mask, BrainMask.SEGMENT_ID, scan)

    def _cortex(self, scan):
        segmentation = Ownership.chosen(scan, "outputSegmentation")
        ids = segmentation.GetSegmentation().GetSegmentIDs()
        return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, ids[0], scan)

    def _state(self, scan) -> dict:
        nodes = [Ownership.chosen(scan, name) for name in _OUTPUTS]
        return {"ids": [node.GetID() for node in nodes if node], **self._content(scan)}

    @staticmethod
    def _content(scan) -> dict:
        """What must be the same before and after, without node numbers, which change at a reload."""
        volume = Ownership.chosen(scan, "outputVolume")
        volumes = (scan, volume, DisagreementMap.mapOf(volume))
        segmentations = (Ownership.chosen(scan, name) for name in _OUTPUTS[1:])
        found = {node.GetName(): (_above(node), contentOf(node)) for node in volumes if node}
        found |= {node.GetName(): (_above(node), SegmentEdits.contentOf(node)) for node in segmentations if node}
        return found


def _above(node) -> list[str]:
    """Names of the subject hierarchy items over a node, the patient first."""
    hierarchy, names = slicer.mrmlScene.GetSubjectHierarchyNode(), []
    item = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))
    while item and item != hierarchy.GetSceneItemID():
        names.insert(0, hierarchy.GetItemName(item))
        item = hierarchy.GetItemParent(item)
    return names


def _views() -> dict:
    """Layout, and field of view and place of every slice view."""
    manager = slicer.app.layoutManager()
    state = {"layout": manager.layout if manager else None}
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        place = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()).round(3).tolist()
        state[node.GetLayoutName()] = [round(width, 3) for width in node.GetFieldOfView()], place
    return state
