"""One small volume under hand-written headers."""

import numpy as np
import SimpleITK as sitk
from support.volume_files import affine_lps

VALUES = np.arange(210, dtype="<i2").reshape(5, 6, 7)


def is_the_volume(image: sitk.Image, signs=(1, 1, 1)) -> None:
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), VALUES)
    expected = np.diag([0.5, 0.75, 3.0, 1.0])
    expected[:3, 3] = 5, 6, 7
    np.testing.assert_allclose(affine_lps(image), np.diag([*signs, 1]) @ expected, atol=1e-12)
