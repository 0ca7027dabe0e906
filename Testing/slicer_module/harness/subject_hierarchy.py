"""One subject hierarchy item per displayable node: Qt code of the application that is stood in."""

import slicer
import vtk


def observe(scene) -> None:
    """Add and remove items with the nodes; never while the scene is imported or closed."""

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onAdded(caller, event, node):
        if not scene.IsImporting() and not scene.IsClosing():
            _addItem(scene, node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onRemoved(caller, event, node):
        if scene.IsClosing() or scene.IsImporting() or not node.IsA("vtkMRMLDisplayableNode"):
            return
        hierarchy = scene.GetSubjectHierarchyNode()
        item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
        if item:
            hierarchy.RemoveItem(item, False, False)

    def onImported(caller, event):
        for index in range(scene.GetNumberOfNodesByClass("vtkMRMLDisplayableNode")):
            _addItem(scene, scene.GetNthNodeByClass(index, "vtkMRMLDisplayableNode"))

    scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, onAdded)
    scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, onRemoved)
    scene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, onImported)


def _addItem(scene, node) -> None:
    if not node.GetScene() or node.GetHideFromEditors() or not node.IsA("vtkMRMLDisplayableNode"):
        return
    hierarchy = scene.GetSubjectHierarchyNode()
    if hierarchy and not hierarchy.GetItemByDataNode(node):
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
