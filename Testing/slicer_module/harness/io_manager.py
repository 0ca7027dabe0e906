"""`slicer.app.coreIOManager()`: what `slicer.util.loadVolume`, `saveNode`, `saveScene` and the like call.

Only the file types that this project uses; the reading and writing is done by the real storage nodes.
"""

import os

import slicer

_STORED = {
    "SegmentationFile": ("vtkMRMLSegmentationNode", "vtkMRMLSegmentationStorageNode"),
    "TableFile": ("vtkMRMLTableNode", "vtkMRMLTableStorageNode"),
}
_WRITERS = {"vtkMRMLSegmentationNode": "SegmentationFile", "vtkMRMLTableNode": "TableFile"}


class IOManager:
    def __init__(self, scene):
        self._scene = scene

    def fileType(self, path):
        path = str(path).lower()
        if path.endswith((".mrb", ".mrml")):
            return "SceneFile"
        if path.endswith(".seg.nrrd"):
            return "SegmentationFile"
        return "TableFile" if path.endswith((".csv", ".tsv")) else "VolumeFile"

    def fileWriterFileType(self, node):
        return _WRITERS.get(node.GetClassName(), "VolumeFile")

    def loadNodes(self, fileType, properties, loadedNodes=None, messages=None):
        path = properties["fileName"]
        if not os.path.exists(path):
            return False
        if fileType == "SceneFile":
            return self._loadScene(path, properties.get("clear", False))
        name = properties.get("name") or os.path.basename(path).split(".")[0]
        if fileType == "VolumeFile":
            options = 1 if properties.get("labelmap") else 0
            node = slicer.modules.volumes.logic().AddArchetypeVolume(path, name, options)
        else:
            node = self._loadStored(fileType, path, name)
        if node and loadedNodes is not None:
            loadedNodes.AddItem(node)
        return bool(node)

    def _loadScene(self, path, clear):
        if path.endswith(".mrb"):
            return self._scene.ReadFromMRB(path, clear)
        self._scene.SetURL(path)
        return bool(self._scene.Connect() if clear else self._scene.Import())

    def _loadStored(self, fileType, path, name):
        nodeClass, storageClass = _STORED[fileType]
        node = self._scene.AddNewNodeByClass(nodeClass, name)
        storage = self._scene.AddNewNodeByClass(storageClass)
        storage.SetFileName(path)
        node.SetAndObserveStorageNodeID(storage.GetID())
        if not storage.ReadData(node):
            self._scene.RemoveNode(node)
            return None
        if hasattr(node, "CreateDefaultDisplayNodes"):
            node.CreateDefaultDisplayNodes()
        return node

    def saveNodes(self, fileType, properties, messages=None):
        path = properties["fileName"]
        if fileType == "SceneFile":
            self._scene.SetURL(path)
            self._scene.SetRootDirectory(os.path.dirname(os.path.abspath(path)))
            return bool(self._scene.WriteToMRB(path) if path.endswith(".mrb") else self._scene.Commit())
        node = self._scene.GetNodeByID(properties["nodeID"])
        node.AddDefaultStorageNode()
        node.GetStorageNode().SetFileName(path)
        return bool(node.GetStorageNode().WriteData(node))
