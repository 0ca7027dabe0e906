"""The scripted day with a stand-in child; `test_library.py` runs it with the real library, as the application does."""

import unittest

import numpy as np
from harness.fixtures import cleanScene, models, panel, slicer, standIn  # noqa: F401

from SegSRGANModule import TestScans  # isort: skip
from SegSRGANModule.TestDay import Day  # isort: skip


def test_a_day_at_the_panel(panel, standIn):  # noqa: F811
    def makeHead():
        standIn("finds brain")  # it calls everything but 0 brain
        values = TestScans.head(800.0)
        return TestScans.volume("Head_T2w", np.where(values > 60.0, values, 0.0))

    panel.enter()
    Day(unittest.TestCase(), panel, makeHead).run()
