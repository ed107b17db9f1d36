"""Small DICOM files for tests: slices with known pixels, positions and anything else a test wants to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ROWS, COLUMNS = 8, 6
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


class SliceMaker:
    """Writes CT slices of 8 rows x 6 columns into a folder; every slice has other pixels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = 0

    def dataset(self, **attributes: Any) -> Dataset:
        """Return a slice; any attribute can be overridden by its keyword, or left out by None."""
        self.written += 1
        number = self.written
        pixels = attributes.pop("pixels", None)
        if pixels is None:
            pixels = (np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) * 7 + 13 * number).astype(np.int16)
        dataset = Dataset()
        values: dict[str, Any] = {
            "SOPClassUID": CTImageStorage,
            "SOPInstanceUID": f"1.2.3.{number}",
            "Modality": "CT",
            "StudyInstanceUID": "1.2.1",
            "SeriesInstanceUID": "1.2.2",
            "FrameOfReferenceUID": "1.2.4",
            "PatientName": "Secret^Name",
            "PatientID": "SECRET-ID",
            "SeriesDescription": "test",
            "SeriesNumber": 3,
            "InstanceNumber": number,
            "ImagePositionPatient": [0.0, 0.0, float(number)],
            "ImageOrientationPatient": list(AXIAL),
            "PixelSpacing": [0.5, 0.75],
            "SliceThickness": 1.0,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "Rows": pixels.shape[0],
            "Columns": pixels.shape[1],
            "BitsAllocated": pixels.dtype.itemsize * 8,
            "BitsStored": pixels.dtype.itemsize * 8,
            "HighBit": pixels.dtype.itemsize * 8 - 1,
            "PixelRepresentation": int(pixels.dtype.kind == "i"),
            "RescaleSlope": 1,
            "RescaleIntercept": -1000,
        } | attributes
        for name, value in values.items():
            if value is not None:
                setattr(dataset, name, value)
        if "PixelData" not in attributes:
            dataset.add_new("PixelData", "OB" if pixels.dtype.itemsize == 1 else "OW", _even(pixels.tobytes()))
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        return dataset

    def save(self, dataset: Dataset, name: str) -> Path:
        """Write a data set under a name relative to the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return path

    def slice(self, name: str, **attributes: Any) -> Path:
        """Write one slice."""
        return self.save(self.dataset(**attributes), name)

    def stack(
        self,
        count: int,
        *,
        origin: Sequence[float] = (-10.0, 20.0, -30.0),
        orientation: Sequence[float] = AXIAL,
        step: Sequence[float] = (0.0, 0.0, 2.5),
        leave_out: Sequence[int] = (),
        prefix: str = "",
        **attributes: Any,
    ) -> list[Path]:
        """Write slices at ``origin + k * step`` under names in another order; returns them in the order of k."""
        paths = []
        for k in range(count):
            if k in leave_out:
                continue
            position = np.asarray(origin, float) + k * np.asarray(step, float)
            name = f"{prefix}IM{(k * 37 + 3) % 101:03d}_{k}"
            place = {
                "ImagePositionPatient": [_decimal(value) for value in position],
                "ImageOrientationPatient": [_decimal(value) for value in orientation],
                "InstanceNumber": count - k,
            }
            paths.append(self.slice(name, **(place | attributes)))
        return paths


def _decimal(value: float) -> str:
    return str(pydicom.valuerep.DSfloat(float(value), auto_format=True))


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


@pytest.fixture
def maker(tmp_path: Path) -> SliceMaker:
    """Return a maker of slices in a new folder."""
    return SliceMaker(tmp_path / "in")


@pytest.fixture
def ramp() -> NDArray[np.int16]:
    """Return 8 x 6 pixels that are all different."""
    return np.arange(ROWS * COLUMNS, dtype=np.int16).reshape(ROWS, COLUMNS)


@pytest.fixture
def new_maker(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], SliceMaker]:
    """Return a function that gives a maker of slices in a new folder at each call."""
    return lambda: SliceMaker(tmp_path_factory.mktemp("slices"))
