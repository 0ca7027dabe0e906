"""The module's self-test: the same scenarios in the application and in the project's own test suite."""

from __future__ import annotations

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from . import Packages, Terminology


class SegSRGANTest(ScriptedLoadableModuleTest):
    """Enhances a tiny volume with the real library; where PyTorch is missing, everything up to the start of the run."""


