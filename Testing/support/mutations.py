"""Plant known mistakes into a copy of the module and see that the Slicer tests turn red.

    python Testing/support/mutations.py          about two minutes

Each mutation is one small edit that somebody could make; a test file must fail because of it. A mutation whose text is
not found any more stops the script: it must be brought up to date.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULE = "SegSRGAN/SegSRGANModule"


@dataclass(frozen=True)
class Mutation:
    """`old` becomes `new` in `file`; `test` (file and -k words) has to notice."""

    name: str
    file: str
    old: str
    new: str
    test: str
    words: str = ""


UI = "SegSRGAN/Resources/UI/SegSRGAN.ui"
MUTATIONS = [
    Mutation(
        "forgotten LPS -> RAS on the way out",
        f"{MODULE}/Scene/VolumeNodes.py",
        "    ijkToRas[_FLIPPED_AXES, :] *= -1\n",
        "",
        "slicer_module/test_geometry.py",
    ),
    Mutation(
        "forgotten RAS -> LPS on the way in",
        f"{MODULE}/Scene/VolumeNodes.py",
        "    ijkToLps[_FLIPPED_AXES, :] *= -1\n",
        "",
        "slicer_module/test_geometry.py",
    ),
    Mutation(
        "only one of the two axes is flipped",
        f"{MODULE}/Scene/VolumeNodes.py",
        "_FLIPPED_AXES = (0, 1)",
        "_FLIPPED_AXES = (0,)",
        "slicer_module/test_geometry.py",
    ),
    Mutation(
        "lost reference geometry",
        f"{MODULE}/Scene/ResultNodes.py",
        "    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)\n",
        "",
        "slicer_module/test_results.py",
        "reference",
    ),
    Mutation(
        "swapped axes of the volume",
        f"{MODULE}/Scene/VolumeNodes.py",
        "updateVolumeFromArray(volumeNode, sitk.GetArrayFromImage(image))",
        "updateVolumeFromArray(volumeNode, sitk.GetArrayFromImage(image).swapaxes(1, 2).copy())",
        "slicer_module/test_results.py",
        "anatomy or grid",
    ),
    Mutation(
        "mirrored labels",
        f"{MODULE}/Scene/ResultNodes.py",
        "labels = sitk.GetArrayFromImage(image)",
        "labels = sitk.GetArrayFromImage(image)[:, :, ::-1].copy()",
        "slicer_module/test_overlay.py",
        "where_the_cortex",
    ),
    Mutation(
        "misspelt signal",
        f"{MODULE}/Panel/EnhanceTab.py",
        'applyButton.connect("clicked(bool)"',
        'applyButton.connect("clickd(bool)"',
        "slicer_module/test_apply.py",
        "apply_makes",
    ),
    Mutation(
        "misspelt signal of a node selector",
        f"{MODULE}/Panel/EnhanceTab.py",
        '"currentNodeChanged(vtkMRMLNode*)"',
        '"currentNodeChange(vtkMRMLNode*)"',
        "slicer_module/test_apply.py",
        "apply_makes",
    ),
    Mutation(
        "misspelt parameter name in the .ui",
        UI,
        "<string>threshold</string>",
        "<string>treshold</string>",
        "slicer_module/test_panel.py",
        "follow",
    ),
    Mutation(
        "parameter name missing in the .ui",
        UI,
        "<string>biasCorrection</string>",
        "<string></string>",
        "slicer_module/test_panel.py",
        "follow",
    ),
    Mutation(
        "property called as a method",
        f"{MODULE}/Panel/EnhanceTab.py",
        "index = self.ui.modelSelector.currentIndex\n",
        "index = self.ui.modelSelector.currentIndex()\n",
        "slicer_module/test_apply.py",
        "apply_makes",
    ),
    Mutation(
        "misspelt property",
        f"{MODULE}/Panel/RunDisplay.py",
        "self._bar.visible = True",
        "self._bar.visibel = True",
        "slicer_module/test_apply.py",
        "progress",
    ),
    Mutation(
        "forgotten parent transform",
        f"{MODULE}/Scene/ResultNodes.py",
        "        node.SetAndObserveTransformNodeID(traits.transformId)\n",
        "        pass\n",
        "slicer_module/test_results.py",
        "transform",
    ),
    Mutation(
        "wrong code of the terminology",
        "SegSRGANLib/data/classes.py",
        '"40146001"',
        '"40146000"',
        "slicer_module/test_results.py",
        "terminology",
    ),
    Mutation(
        "curtain on the wrong side",
        f"{MODULE}/Scene/Swipe.py",
        "InsertNextExtent(first, columns - 1, row, 0)",
        "InsertNextExtent(0, first - 1, row, 0)",
        "slicer_module/test_views.py",
        "swipe",
    ),
    Mutation(
        "the hull of fluid in 3D",
        f"{MODULE}/Scene/ResultNodes.py",
        "display.SetSegmentVisibility3D(segmentId, segmentId == Terminology.SEGMENT_ID)",
        "display.SetSegmentVisibility3D(segmentId, True)",
        "slicer_module/test_results.py",
        "3d",
    ),
    Mutation(
        "a corrected segmentation called automatic",
        f"{MODULE}/Jobs/DicomJob.py",
        '(["--edited"] if edited else [])',
        "[]",
        "slicer_module/test_dicom.py",
        "corrected",
    ),
    Mutation(
        "only the launcher is killed",
        f"{MODULE}/Jobs/ChildProcess.py",
        "        if self._pid is not None:\n",
        "        if False:\n",
        "slicer_module/test_child.py",
        "launcher",
    ),
    Mutation(
        "a file is not listed for the installation",
        "SegSRGAN/CMakeLists.txt",
        "  SegSRGANModule/Scene/SegmentVolumes.py\n",
        "",
        "slicer_module/test_install.py",
        "listed",
    ),
    Mutation(
        "another option than the shell's",
        f"{MODULE}/Settings.py",
        '"--overlap", f"{self.overlap:.6g}"',
        '"--overlap", "0.5"',
        "slicer_module/test_apply.py",
        "options_reach",
    ),
    Mutation(
        "another patient's nodes are filled",
        f"{MODULE}/Scene/Ownership.py",
        "            _restore(inputNode, parameters)\n",
        "            pass\n",
        "slicer_module/test_patients.py",
        "another_patient",
    ),
    Mutation(
        "hand work is replaced unasked",
        f"{MODULE}/Scene/SegmentEdits.py",
        "        if _fingerprint(segmentationNode, segmentId) != mark\n",
        "        if False\n",
        "slicer_module/test_patients.py",
        "edited_cortex",
    ),
    Mutation(
        "Apply zooms the views",
        f"{MODULE}/Scene/SliceViews.py",
        "not composite.GetForegroundVolumeID():\n            _setPair(composite, scan, result)\n",
        "True:\n            _setPair(composite, scan, result)\n            _fitView(composite.GetLayoutName())\n",
        "slicer_module/test_views.py",
        "apply_leaves",
    ),
    Mutation(
        "an argument that Slicer does not know",
        f"{MODULE}/Jobs/SampleData.py",
        "        sampleName=PHANTOM_NAME,\n",
        '        sampleName=PHANTOM_NAME,\n        sampleDescription="Phantom",\n',
        "repository/test_module_documentation.py",
        "registered",
    ),
]


def copied(target: Path) -> Path:
    """A copy of what the tests need."""
    for name in ("SegSRGAN", "SegSRGANLib", "Testing", "Resources"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "CMakeLists.txt", "SegSRGAN.json", "SegSRGAN.png"):
        shutil.copy(ROOT / name, target / name)
    return target


def is_caught(mutation: Mutation, tree: Path) -> bool:
    """Apply the mutation, run its test, undo it.

    Raises:
        ValueError: the text is not there exactly as it is written here.
    """
    path = tree / mutation.file
    text = path.read_text(encoding="utf-8")
    if mutation.old not in text:
        raise ValueError(f"{mutation.name}: {mutation.old!r} is not in {mutation.file} any more; update it.")
    path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    words = ["-k", mutation.words] if mutation.words else []
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"Testing/{mutation.test}", *words]
    try:
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    finally:
        path.write_text(text, encoding="utf-8")
    # 1: tests failed; 2: the file could not even be collected
    return done.returncode in (1, 2) and "no tests ran" not in done.stdout


def main() -> int:
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        tree = copied(Path(folder))
        for mutation in MUTATIONS:
            caught = is_caught(mutation, tree)
            sys.stdout.write(f"{'caught' if caught else 'MISSED'}  {mutation.name}  ({mutation.test})\n")
            sys.stdout.flush()
            missed += [] if caught else [mutation.name]
    sys.stdout.write(f"{len(MUTATIONS) - len(missed)} of {len(MUTATIONS)} mutations caught\n")
    return len(missed)


if __name__ == "__main__":
    sys.exit(main())
