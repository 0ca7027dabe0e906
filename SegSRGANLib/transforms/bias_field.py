"""N4 bias field correction (Tustison et al., 2010) of the input, as the paper's data had."""

from __future__ import annotations

import SimpleITK as sitk

_WORKING_SPACING = 2.0  # mm; the field is smooth, so it is estimated on a coarse copy


def correct_bias(image: sitk.Image, mask: sitk.Image | None = None) -> sitk.Image:
    """Divide a volume by its smooth intensity field.

    Args:
        image: float32 volume.
        mask: where to estimate the field, on the image's grid; by default, Otsu's foreground.

    Returns:
        The corrected volume, float32, with the mean intensity of the input inside the mask.
    """
    image = sitk.Cast(image, sitk.sitkFloat32)
    if mask is None:
        mask = sitk.OtsuThreshold(image, 0, 1, 200)
    mask = sitk.Cast(mask > 0, sitk.sitkUInt8)
    shrink = [
        max(1, min(round(_WORKING_SPACING / spacing), size // 8))
        for spacing, size in zip(image.GetSpacing(), image.GetSize(), strict=True)
    ]
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations([50, 50, 30])
    corrector.Execute(sitk.Shrink(image, shrink), sitk.Shrink(mask, shrink))
    field = sitk.Exp(corrector.GetLogBiasFieldAsImage(image))
    corrected = image / sitk.Cast(field, sitk.sitkFloat32)
    return corrected * (_mean(image, mask) / _mean(corrected, mask))


def _mean(image: sitk.Image, mask: sitk.Image) -> float:
    statistics = sitk.LabelStatisticsImageFilter()
    statistics.Execute(image, mask)
    return statistics.GetMean(1)
