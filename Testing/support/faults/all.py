"""All faults, in the order of the table."""

from __future__ import annotations

from support.faults import dicom, geometry, machine, masks, models, nifti, text
from support.faults.table import Fault

FAULTS: list[Fault] = [
    fault for module in (nifti, text, geometry, dicom, masks, models, machine) for fault in module.CATALOGUE.faults
]
