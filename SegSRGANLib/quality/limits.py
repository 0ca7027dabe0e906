"""Where each measure begins to speak against a result: for the warnings, the checks of masks and the verdict."""

from __future__ import annotations

# Agreement with the scan. From simulated scans of atlas brains and a real one with its brain mask: interpolation and a
# model stay below (largest local value 8.3), erased lesions and shifted slabs lie above (from 14); slices that changed
# places reach 9.5 or more. Without a mask, a real scan's fat and skin reach 13.8 by interpolation alone.
LOCAL_LIMIT = 9.0  # robust standard deviations
SLICE_LIMIT = 7.0  # sound simulated scans of left-out sources reach 6.4, erased lesions 8.2 and more
LEAST_AGREEMENT = 22.0  # dB; below, the result does not agree with its scan
GOOD_AGREEMENT = 28.0  # dB; below, it agrees poorly

# The segmentation.
LEAST_LARGEST_PIECE = 0.8  # of the cortex
SCATTERED = 0.5  # share of the largest piece below which there is no cortex to speak of
WIDEST_INTERVAL = 0.2  # of the volume of the cortex
FAIR_DICE, GOOD_DICE = 0.55, 0.70  # predicted

# How far outside of the training a measure may lie before the user hears of it.
SLACK_FACTOR = 0.05  # of a voxel ratio
SLACK_ML = 0.15  # of the brain volume: 5 % of a length
SLACK_SHAPE = 0.03
SLACK_CONTRAST = 0.1
FAR_CONTRAST = 0.25  # another contrast
FAR_SIZE = 1.5  # times the largest brain of the training

# A brain mask.
BRAIN_ML = (30.0, 900.0)  # a fetus of 20 weeks has about 50 mL, a child of two years 1000
SURE_BRAIN, UNSURE_BRAIN = 0.9, 0.7  # expected Dice of a mask that was found
CUT_BRAIN = 0.03  # of its surface, on the faces of the field of view
FOREIGN_MASK = 0.08  # share of both the given and the found mask outside of the other

# Slices against their neighbours. From 135 simulated scans of three sources without motion, slices 2, 3 and 5 times the
# voxels: z reaches 9.9, displacements 0.24, brightness 0.2. A slice moved by 2.6 mm is displaced by 0.35 or more.
JUMP_LIMIT = 10.0  # robust standard deviations
DISPLACEMENT = 0.28  # of the distance of the slices
BRIGHTNESS = 0.3  # of the logarithm: 35 % brighter or 26 % darker
MANY_JUMPS = 0.3  # of the slices
