"""Live training curves as Slicer plots: a table of the log, one chart a measure."""

from __future__ import annotations

import slicer
import vtk

_COLUMNS = ("epoch", "loss", "psnr", "psnr_spline", "dice")
# chart -> (title of the y axis, [(column, label, colour, line style)])
_DASHED = "dash"
CHARTS = {
    "SegSRGAN loss": ("loss", [("loss", "network", (0.12, 0.47, 0.71), "solid")]),
    "SegSRGAN PSNR": (
        "PSNR (dB)",
        [
            ("psnr", "network", (0.12, 0.47, 0.71), "solid"),
            ("psnr_spline", "interpolation", (0.5, 0.5, 0.5), _DASHED),
        ],
    ),
    "SegSRGAN Dice": ("Dice", [("dice", "cortex", (0.94, 0.55, 0.20), "solid")]),
}
_TABLE = "SegSRGAN training log"


def update(rows: list[dict[str, float]]) -> None:
    """Put the rows of log.csv into the table that the charts draw; missing values are left out as NaN."""
    table = _node("vtkMRMLTableNode", _TABLE)
    was = table.StartModify()
    table.RemoveAllColumns()
    for name in _COLUMNS:
        column = vtk.vtkDoubleArray()
        column.SetName(name)
        for row in rows:
            column.InsertNextValue(row.get(name, float("nan")))
        table.AddColumn(column)
    table.EndModify(was)
    for name, (axis, series) in CHARTS.items():
        _chart(name, axis, series, table)


def areShown() -> bool:
    """Whether the curves are in the scene; a training does not put them into one where nobody asked for them."""
    return slicer.mrmlScene.GetFirstNodeByName(_TABLE) is not None


def show(name: str = "SegSRGAN PSNR") -> None:
    """Show a chart in a layout with a plot view."""
    chart = slicer.mrmlScene.GetFirstNodeByName(name)
    if chart is None:
        return
    selection = slicer.app.applicationLogic().GetSelectionNode()
    selection.SetReferenceActivePlotChartID(chart.GetID())
    slicer.app.applicationLogic().PropagatePlotChartSelection()
    if slicer.app.layoutManager() is not None:
        slicer.modules.plots.logic().ShowChartInLayout(chart)


def _chart(name: str, axis: str, series: list, table) -> None:
    if slicer.mrmlScene.GetFirstNodeByName(name) is not None:
        return  # it follows the table by itself
    chart = _node("vtkMRMLPlotChartNode", name)
    chart.SetTitle(name)
    chart.SetXAxisTitle("epoch")
    chart.SetYAxisTitle(axis)
    for column, label, color, style in series:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", label)
        node.SetAndObserveTableNodeID(table.GetID())
        node.SetXColumnName("epoch")
        node.SetYColumnName(column)
        node.SetPlotType(node.PlotTypeScatter)
        node.SetLineStyle(node.LineStyleDash if style == _DASHED else node.LineStyleSolid)
        node.SetMarkerStyle(node.MarkerStyleNone if style == _DASHED else node.MarkerStyleCircle)
        node.SetColor(*color)
        chart.AddAndObservePlotSeriesNodeID(node.GetID())


def _node(className: str, name: str):
    node = slicer.mrmlScene.GetFirstNodeByName(name)
    return node or slicer.mrmlScene.AddNewNodeByClass(className, name)
