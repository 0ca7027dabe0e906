"""What the outputs of a run take over from its input, and whether the input is still what the run has seen."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import slicer
import vtk

_CONTENT_ATTRIBUTE = "SegSRGAN.ScanContent"  # of a result: fingerprint of the voxels that its run has seen
_DIGITS = 3  # of a millimetre
_known: dict[str, tuple[int, str]] = {}  # node id -> time stamp of the voxels, their fingerprint


@dataclass(frozen=True)
class InputTraits:
    """Noted when a run starts, for the input may be gone at its end; `now` is what counts then.

    place: the matrix of the voxels, rounded. content: a fingerprint of the voxels.
    """

    node: Any
    name: str
    transformId: str | None
    hierarchyParent: int
    windowLevel: tuple[float, float] | None
    colorId: str | None
    place: tuple[float, ...]
    content: str

    @classmethod
    def of(cls, volumeNode) -> InputTraits:
        display = volumeNode.GetDisplayNode()
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        item = hierarchy.GetItemByDataNode(volumeNode) if hierarchy else 0
        return cls(
            node=volumeNode,
            name=volumeNode.GetName(),
            transformId=volumeNode.GetTransformNodeID(),
            hierarchyParent=hierarchy.GetItemParent(item) if item else 0,
            windowLevel=(display.GetWindow(), display.GetLevel()) if display else None,
            colorId=display.GetColorNodeID() if display else None,
            place=_placeOf(volumeNode),
            content=contentOf(volumeNode),
        )

    @property
    def scan(self):
        """The input, or None when it is not in the scene any more."""
        return self.node if self.node.GetScene() is not None else None

    def now(self) -> InputTraits:
        """As the input is at the end of the run: renamed, under another transform, elsewhere in the hierarchy.

        A transform that was hardened meanwhile moved the voxels: the result keeps to the one that it was made under. Of
        an input that is gone the place in the hierarchy is not known any more: items may have other numbers.
        """
        if self.scan is None:
            return replace(self, hierarchyParent=0)
        today = InputTraits.of(self.scan)
        transformId = today.transformId if today.place == self.place else self.transformId
        return replace(today, transformId=transformId, place=self.place, content=self.content)


def contentOf(volumeNode) -> str:
    """A fingerprint of the voxels; counted again only when they were changed."""
    image = volumeNode.GetImageData()
    if image is None or not image.GetNumberOfPoints() or image.GetPointData().GetScalars() is None:
        return ""
    known = _known.get(volumeNode.GetID())
    if known is None or known[0] != image.GetMTime():
        array = slicer.util.arrayFromVolume(volumeNode)
        digest = hashlib.blake2b(memoryview(array).cast("B"), digest_size=16)
        digest.update(str((array.shape, array.dtype.kind)).encode())
        known = _known[volumeNode.GetID()] = image.GetMTime(), digest.hexdigest()
    return known[1]


def noteContent(result, traits: InputTraits) -> None:
    result.SetAttribute(_CONTENT_ATTRIBUTE, traits.content)


def hasChanged(scan, result) -> bool:
    """Whether the voxels of a scan are others than those that the run of `result` has seen."""
    seen = result.GetAttribute(_CONTENT_ATTRIBUTE) if scan and result else None
    return bool(seen) and contentOf(scan) != seen


def _placeOf(volumeNode) -> tuple[float, ...]:
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return tuple(slicer.util.arrayFromVTKMatrix(matrix).round(_DIGITS).ravel().tolist())
