"""DICOM series that are damaged, incomplete or mixed, and encodings that are none of that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, generate_uid
from support.dicom_files import mr_slice
from support.faults.table import DONE, Catalogue, Scene
from support.faults.volumes import LPS, OBLIQUE, SPACING, affine, blob_values, check_at

CATALOGUE = Catalogue()
add = CATALOGUE.add
_Series = list[Dataset]


def series(axes: np.ndarray = OBLIQUE, uid: str = "1.2.3.4", description: str = "T2 axial") -> _Series:
    """The blob's slices as a scanner writes them."""
    lps = LPS @ affine(axes)
    slices = np.rint(blob_values()).astype("<u2").transpose(2, 1, 0)
    made = []
    for number, values in enumerate(slices, start=1):
        position = (lps @ [0, 0, number - 1, 1])[:3]
        data = mr_slice(values, lps[:3, :3] / SPACING, position, uid, description)
        data.PixelSpacing, data.InstanceNumber = [1.0, 1.0], number
        data.RescaleSlope, data.RescaleIntercept = "2.5", "0"
        made.append(data)
    return made


def save(folder: Path, slices: _Series, prefix: str = "IM", **encoding: Any) -> Path:
    """Write slices under names in the reverse order of their positions."""
    folder.mkdir(exist_ok=True)
    for number, data in enumerate(reversed(slices)):
        data.save_as(folder / f"{prefix}{number:03}.dcm", enforce_file_format=not encoding, **encoding)
    return folder


def _refused(title: str, says: str, change: Callable[[_Series], _Series | None]) -> None:
    @add(title, says)
    def make(scene: Scene) -> list[Any]:
        slices = series()
        return scene.predict(save(scene.folder / "scan", change(slices) or slices))


def _edited(title: str, says: str, old: bytes, new: bytes, which: int = 4) -> None:
    """A fault of some bytes of one file, of the same length."""

    @add(title, says)
    def make(scene: Scene) -> list[Any]:
        folder = save(scene.folder / "scan", series())
        file = sorted(folder.iterdir())[which]
        content = file.read_bytes()
        assert len(old) == len(new) and content.count(old)
        file.write_bytes(content.replace(old, new))
        return scene.predict(folder)


def _read(title: str, change: Callable[[_Series], _Series | None], says: str = "", axes: np.ndarray = OBLIQUE) -> None:
    @add(title, says, status=DONE, check=check_at(affine(axes), 0.2))
    def make(scene: Scene) -> list[Any]:
        slices = series(axes)
        return scene.predict(save(scene.folder / "scan", change(slices) or slices))


def _pixels(share: float) -> Callable[[_Series], None]:
    def change(slices: _Series) -> None:
        data = slices[5]
        data.PixelData = (data.PixelData * 2)[: int(len(data.PixelData) * share) // 2 * 2]

    return change


def _each(**values: Any) -> Callable[[_Series], None]:
    def change(slices: _Series) -> None:
        for data in slices:
            for keyword, value in values.items():
                setattr(data, keyword, value)

    return change


def _one(**values: Any) -> Callable[[_Series], None]:
    return lambda slices: _each(**values)(slices[5:6])


def _moved(where: Callable[[int], np.ndarray]) -> Callable[[_Series], None]:
    def change(slices: _Series) -> None:
        for number, data in enumerate(slices):
            data.ImagePositionPatient = np.round(np.array(data.ImagePositionPatient, float) + where(number), 4).tolist()

    return change


def _cut_runs(slices: _Series) -> None:
    for data in slices:
        data.compress(RLELossless)
    frame = next(generate_frames(slices[5].PixelData, number_of_frames=1))
    slices[5].PixelData = encapsulate([frame[: len(frame) * 9 // 20 * 2]])
    slices[5]["PixelData"].VR, slices[5]["PixelData"].is_undefined_length = "OB", True


_refused("DICOM slice with half of its pixels", "bytes of pixels where", _pixels(0.5))
_refused("DICOM slice with 150 % of its pixels", "bytes of pixels where", _pixels(1.5))
_refused("run-length encoded slice cut to 90 %", "is a damaged DICOM file", _cut_runs)
_edited("pixel spacing with decimal commas", "pixel spacing of '1,0", b"1.0\\1.0", b"1,0\\1,0")
_edited("pixel spacing that is a word", "pixel spacing of 'abc", b"1.0\\1.0", b"abc\\abc")
_edited("rescale slope with a decimal comma", "rescale slope of '2,5'", b"2.5 ", b"2,5 ")
_edited("rescale slope that is a word", "rescale slope of 'abc'", b"2.5 ", b"abc ")
_refused("rescale slope of 0", "rescale slope of '0'", _each(RescaleSlope="0"))
_refused("no middle slice", "lacks 1 slice(s) between", lambda s: s[:5] + s[6:])
_refused("two slices at one place", "two slices at one position", lambda s: [*s, *_copies(s[5:6])])
_refused("two echoes in one series", "two slices at one position", lambda s: [*s, *_copies(s)])
_refused(
    "slices at irregular distances",
    "irregular distances",
    _moved(lambda k: LPS[:3, :3] @ OBLIQUE[:, 2] * 0.5 * (k % 2)),
)
_refused("tilted stack", "tilted stack", _moved(lambda k: LPS[:3, :3] @ OBLIQUE[:, 0] * 0.3 * k))
_refused("slice of another size", "different size", lambda s: [*s[:5], _smaller(s[5]), *s[6:]])
_refused("slice of another pixel spacing", "different pixel spacing", _one(PixelSpacing=[1.1, 1.1]))
_refused("slice of another orientation", "different orientation", _one(ImageOrientationPatient=[1, 0, 0, 0, 0, -1]))
_refused("two series in a folder", "holds 2 DICOM series", lambda s: [*s, *series(uid="1.2.9", description="T2 cor")])
_refused("slice without position", "does not say its position", lambda s: delattr(s[5], "ImagePositionPatient"))
_refused("series of one slice", "a single slice", lambda s: s[:1])
_refused("end slice without pixels", "is a damaged DICOM file", lambda s: delattr(s[-1], "PixelData"))
_refused("colour pixels", "colour pixels", _each(SamplesPerPixel=3))
_refused(
    "pixels that are to be shown inverted (MONOCHROME1)", "MONOCHROME1", _each(PhotometricInterpretation="MONOCHROME1")
)
_read("no last slice, by the numbers", lambda s: _each(ImagesInAcquisition=12)(s) or s[:-1], "may lack a slice")
_read("every second slice missing, by the numbers", lambda s: s[::2], "may lack slices")
_read(
    "implicit value representations",
    lambda s: [setattr(d.file_meta, "TransferSyntaxUID", ImplicitVRLittleEndian) for d in s] and None,
)
_read("run-length encoded pixels", lambda s: [d.compress(RLELossless) for d in s] and None)
_read("slices of a coronal stack", _each(), axes=np.eye(3)[:, [0, 2, 1]] * [1, 1, -1])


def _copies(slices: _Series) -> _Series:
    made = []
    for data in slices:
        copy = Dataset(data)
        copy.file_meta = data.file_meta
        copy.SOPInstanceUID = generate_uid()
        made.append(copy)
    return made


def _smaller(data: Dataset) -> Dataset:
    data.Rows -= 1
    data.PixelData = data.PixelData[: data.Rows * data.Columns * 2]
    return data


@add("DICOM file cut off", "is a damaged DICOM file")
def _cut(scene: Scene) -> list[Any]:
    folder = save(scene.folder / "scan", series())
    file = sorted(folder.iterdir())[3]
    file.write_bytes(file.read_bytes()[:-300])
    return scene.predict(folder)


@add("folder without DICOM", "holds no DICOM image")
def _empty(scene: Scene) -> list[Any]:
    (scene.folder / "scan").mkdir()
    (scene.folder / "scan" / "IM0").write_text("no image")
    return scene.predict(scene.folder / "scan")


@add("deflated DICOM files", status=DONE, check=check_at(affine(OBLIQUE)))
def _deflated(scene: Scene) -> list[Any]:
    slices = series()
    for data in slices:
        data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return scene.predict(save(scene.folder / "scan", slices))


@add("big-endian DICOM files", status=DONE, check=check_at(affine(OBLIQUE)))
def _big_endian(scene: Scene) -> list[Any]:
    slices = series()
    for data in slices:
        data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.2"
        data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
    return scene.predict(save(scene.folder / "scan", slices))


@add("12-bit pixels with an overlay in the spare bits", status=DONE, check=check_at(affine(OBLIQUE)))
def _overlay(scene: Scene) -> list[Any]:
    slices = series()
    for data in slices:
        data.BitsStored, data.HighBit = 12, 11
        values = np.frombuffer(data.PixelData, "<u2").copy()
        values[::3] |= 1 << 13
        data.PixelData = values.tobytes()
    return scene.predict(save(scene.folder / "scan", slices))


@add("pixels marked as padding", "marked as padding", status=DONE, check=check_at(affine(OBLIQUE)))
def _padding(scene: Scene) -> list[Any]:
    slices = series()
    for data in slices:
        values = np.frombuffer(data.PixelData, "<u2").reshape(data.Rows, data.Columns).copy()
        values[:, :3] = 65535
        data.PixelData = values.tobytes()
        data.add_new(0x00280120, "US", 65535)
    return scene.predict(save(scene.folder / "scan", slices))
