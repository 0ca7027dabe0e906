"""The scripted day with a stand-in child; `test_library.py` runs it with the real library, as the application does."""

import unittest

from harness.fixtures import cleanScene, models, panel, slicer, standIn  # noqa: F401

from SegSRGANModule.TestDay import Day  # isort: skip


def test_a_day_at_the_panel(panel, standIn):  # noqa: F811
    panel.enter()
    Day(unittest.TestCase(), panel).run()
