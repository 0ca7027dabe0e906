"""What the panel remembers: stored in the scene, so a saved scene brings the panel back."""

import pathlib
from typing import Annotated

from slicer import vtkMRMLDisplayableNode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper

RANDOM = "random"  # in place of a model to start from
DEVICES = ["auto", "cpu", "cuda", "mps"]


@parameterNodeWrapper
class SegSRGANParameterNode:
    """One attribute a parameter; the .ui binds widgets to them by name.

    Enhance: `model` is a name of the model list; "" is the default model. `brainMask` is a segmentation or a label
    map; without one the brain is found, unless `isBrain` says that the volume shows nothing else; both belong to the
    scan, see `Scene.Ownership`. `spacing` in mm.
    `secondStack` and `thirdStack` are more scans of the same child, which are fused with `inputVolume`.
    What views and overlays show is not stored here: it is in their own nodes.
    Batch: folder or list of the volumes, the folder of the results, and whether the volumes show nothing but brains.
    Training: `baseModel` is a name of the model list, "" the default model, `RANDOM` random weights. `label` is that of
    the cortex in label maps, 0 while it is not chosen. Thickness in mm. The pairs of volume and
    segmentation are node references, see `TrainingPairs`.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    secondStack: vtkMRMLScalarVolumeNode
    thirdStack: vtkMRMLScalarVolumeNode
    brainMask: vtkMRMLDisplayableNode
    isBrain: bool = False
    outputVolume: vtkMRMLScalarVolumeNode
    outputSegmentation: vtkMRMLSegmentationNode
    outputProbability: vtkMRMLScalarVolumeNode
    model: str = ""
    spacing: Annotated[float, WithinRange(0.3, 2.0)] = 0.5
    device: Annotated[str, Choice(DEVICES)] = "auto"
    patch: Annotated[int, WithinRange(16, 256)] = 128
    overlap: Annotated[float, WithinRange(0.0, 0.9)] = 0.5
    threshold: Annotated[float, WithinRange(0.05, 0.95)] = 0.5
    biasCorrection: bool = False
    mixedPrecision: bool = True

    batchSource: str = ""
    batchList: str = ""
    batchOutput: str = ""
    batchIsBrain: bool = False

    trainingCsv: str = ""
    label: Annotated[int, WithinRange(0, 255)] = 0
    baseModel: str = ""
    thicknessMinimum: Annotated[float, WithinRange(0.5, 8.0)] = 1.5
    thicknessMaximum: Annotated[float, WithinRange(0.5, 8.0)] = 3.0
    epochs: Annotated[int, WithinRange(1, 1000)] = 20
    patchesPerVolume: Annotated[int, WithinRange(1, 1000)] = 32
    trainingDevice: Annotated[str, Choice(DEVICES)] = "auto"
    trainingName: str = "my-model"
    trainingFolder: str = str(pathlib.Path.home() / "SegSRGAN")
