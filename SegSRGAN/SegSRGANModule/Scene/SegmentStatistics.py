"""Slicer's own statistics of the segments (surface, intensities, shape), beside the volumes of the panel's table."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from . import Ownership

_ROLE = "SegSRGAN.statistics"  # segmentation -> its table


def show(segmentation, volume) -> None:
    """Measure every segment in `volume` with the module *Segment Statistics*, and show the table.

    Raises:
        ImportError: this Slicer lacks the module.
    """
    from SegmentStatistics import SegmentStatisticsLogic

    logic = SegmentStatisticsLogic()
    parameters = logic.getParameterNode()  # a new node each time
    try:
        parameters.SetParameter("Segmentation", segmentation.GetID())
        parameters.SetParameter("ScalarVolume", volume.GetID())
        parameters.SetParameter("visibleSegmentsOnly", "False")
        logic.computeStatistics()
        table = _tableOf(segmentation)
        logic.exportToTable(table)
    finally:
        slicer.mrmlScene.RemoveNode(parameters)
    if slicer.app.layoutManager() is not None:
        logic.showTable(table)


def _tableOf(segmentation):
    """The table of an earlier measurement is filled again."""
    table = segmentation.GetNodeReference(_ROLE)
    if table is None:
        name = _("{name} statistics").format(name=segmentation.GetName())
        table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", name)
        segmentation.SetNodeReferenceID(_ROLE, table.GetID())
        Ownership.setOwner(table, Ownership.ownerOf(segmentation))
    return table
