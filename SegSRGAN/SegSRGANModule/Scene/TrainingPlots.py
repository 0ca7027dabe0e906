"""Live training curves as Slicer plots: a table of the log, one chart a measure."""

from __future__ import annotations

import slicer
import vtk

from SegSRGANLib.data.classes import CORTEX, TISSUES

_COLUMNS = ("epoch", "loss", "psnr", "psnr_spline", "dice")
# chart -> (title of the y axis, [(column, label, colour, line style)])
_DASHED = "dash"
CHARTS = {
    "SegSRGAN PSNR": (
        "PSNR (dB)",
        [
            ("psnr", "network", (0.12, 0.47, 0.71), "solid"),
            ("psnr_spline", "interpolation", (0.5, 0.5, 0.5), _DASHED),
        ],
    ),
    "SegSRGAN Dice": ("Dice", [("dice", "cortex", tuple(level / 255 for level in TISSUES[CORTEX].colour), "solid")]),
    "SegSRGAN loss": ("loss", [("loss", "network", (0.12, 0.47, 0.71), "solid")]),
}
_TABLE = "SegSRGAN training log"
_LAYOUT_ID = 2021  # a number of our own; Slicer's layouts are below 1000


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


def show() -> None:
    """Show all charts, in a layout with a plot view for each."""
    charts = [slicer.mrmlScene.GetFirstNodeByName(name) for name in CHARTS]
    if not all(charts):
        return
    selection = slicer.app.applicationLogic().GetSelectionNode()
    selection.SetReferenceActivePlotChartID(charts[0].GetID())
    slicer.app.applicationLogic().PropagatePlotChartSelection()
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    node = manager.layoutLogic().GetLayoutNode()
    if not node.IsLayoutDescription(_LAYOUT_ID):
        node.AddLayoutDescription(_LAYOUT_ID, layout())
    manager.setLayout(_LAYOUT_ID)
    for chart in charts:
        view = slicer.mrmlScene.GetSingletonNode(_viewName(chart.GetName()), "vtkMRMLPlotViewNode")
        if view:
            view.SetPlotChartNodeID(chart.GetID())


def layout() -> str:
    """Three slice views in a row above, the charts in a row below."""
    slices = "".join(_view("vtkMRMLSliceNode", name) for name in ("Red", "Yellow", "Green"))
    plots = "".join(_view("vtkMRMLPlotViewNode", _viewName(name)) for name in CHARTS)
    rows = "".join(f'<item><layout type="horizontal" split="true">{row}</layout></item>' for row in (slices, plots))
    return f'<layout type="vertical" split="true">{rows}</layout>'


def _view(className: str, name: str) -> str:
    return f'<item><view class="{className}" singletontag="{name}"/></item>'


def _viewName(chartName: str) -> str:
    return chartName.replace(" ", "")


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
