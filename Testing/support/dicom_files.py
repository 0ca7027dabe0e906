"""DICOM series as a scanner writes them, for the tests."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from support.grids import oblique_direction

GAP = 3.0
START = np.array([-100.25, 20.5, 33.125])
SHAPE = (6, 8, 7)  # z, y, x


def slice_values(slices: int = SHAPE[0]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 1000, (slices, *SHAPE[1:])).astype("<u2")


def mr_slice(values: np.ndarray, axes: np.ndarray, position: np.ndarray, uid: str, description: str) -> Dataset:
    """One slice as a scanner writes it."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = MRImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.SeriesInstanceUID, data.StudyInstanceUID, data.SeriesDescription = uid, "1.2.3", description
    data.Modality, data.PatientName = "MR", "Doe^Jane"
    data.Rows, data.Columns = values.shape
    data.PixelSpacing, data.SliceThickness = (
        [0.5, 0.75],
        99.0,
    )  # between rows, between columns; thickness is no distance
    data.ImageOrientationPatient = [round(float(c), 6) for c in (*axes[:, 0], *axes[:, 1])]
    data.ImagePositionPatient = [round(float(p), 4) for p in position]
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.PixelData = values.tobytes()
    return data


def mr_series(axes=None, uid="1.2.3.4", description="T2 axial", slices=SHAPE[0], step=None) -> list[Dataset]:
    axes = oblique_direction() if axes is None else axes
    step = axes[:, 2] * GAP if step is None else np.array(step)
    return [mr_slice(v, axes, START + k * step, uid, description) for k, v in enumerate(slice_values(slices))]


def save_series(folder: Path, series: list[Dataset], prefix: str = "IM") -> Path:
    """Write the slices under names in another order than their positions."""
    folder.mkdir(exist_ok=True)
    order = np.random.default_rng(1).permutation(len(series))
    for data, number in zip(series, order, strict=True):
        data.InstanceNumber = int(number)
        data.save_as(folder / f"{prefix}{number:04d}", enforce_file_format=True)
    return folder
