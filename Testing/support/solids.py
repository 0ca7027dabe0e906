"""Shapes as segmentations."""

import numpy as np
import SimpleITK as sitk


def segmentation_image(array, spacing=(0.5, 0.5, 0.5)):
    image = sitk.GetImageFromArray(np.asarray(array, np.uint8))
    image.SetSpacing(spacing)
    return image
