"""CT series of known geometry, and structures of known voxels on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from AutoSegmentQueueLib.engines.model import Code, Segmented, Structure
from DicomWorkbenchLib.decimals import decimal_string
from DicomWorkbenchLib.uids import derived_uid
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

SHAPE_KJI = (22, 44, 52)
PIXEL_MM = (1.5, 1.25)  # between rows, between columns
STEP_MM = 3.0
ORIGIN_LPS = (-31.7, -148.2, 612.9)
X, Y, Z = np.eye(3)
ORIENTATIONS = {
    "axial": (X, Y),
    "axial, feet first": (-X, Y),
    "axial, prone": (-X, -Y),
    "axial, upside down": (X, -Y),
    "sagittal": (Y, -Z),
    "sagittal, other side": (-Y, -Z),
    "coronal": (X, -Z),
    "oblique": (np.array([0.8, 0.6, 0.0]), np.array([-0.48, 0.64, 0.6])),
}


@dataclass(frozen=True)
class Geometry:
    """How the slices lie: row and column direction, heights along the normal, shift along the rows for each millimetre of height."""

    name: str = "axial"
    heights_mm: tuple[float, ...] = tuple(STEP_MM * k for k in range(SHAPE_KJI[0]))
    tilt: float = 0.0

    def origin_lps(self, k: int) -> NDArray[np.float64]:
        """Return ImagePositionPatient of slice k."""
        row, column = ORIENTATIONS[self.name]
        along = np.cross(row, column)
        return np.asarray(ORIGIN_LPS + self.heights_mm[k] * (along + self.tilt * column))


def write_slices(folder: Path, geometry: Geometry, values: NDArray[np.int16] | None = None) -> Path:
    """Write one CT file per slice; the identifiers follow from the geometry."""
    folder.mkdir(parents=True)
    array = noise() if values is None else values
    key = repr(geometry)
    row, column = ORIENTATIONS[geometry.name]
    for k, pixels in enumerate(array):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, derived_uid(key, str(k))
        image.file_meta.MediaStorageSOPClassUID = CTImageStorage
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.StudyInstanceUID, image.SeriesInstanceUID = derived_uid(key, "study"), derived_uid(key, "series")
        image.FrameOfReferenceUID, image.PositionReferenceIndicator = derived_uid(key, "frame"), ""
        image.ImageType, image.Modality = ["ORIGINAL", "PRIMARY", "AXIAL"], "CT"
        image.PatientName, image.PatientID, image.PatientBirthDate, image.PatientSex = (
            "Secret^Name",
            "SECRET-7",
            "",
            "O",
        )
        image.StudyDate, image.StudyTime, image.AccessionNumber, image.StudyID = "20260101", "120000", "", "1"
        image.ReferringPhysicianName, image.Manufacturer, image.PatientPosition = "", "DicomWorkbench", "HFS"
        image.KVP, image.AcquisitionNumber = "120", "1"
        image.SeriesNumber, image.InstanceNumber = 2, k + 1
        image.ImagePositionPatient = [decimal_string(round(v, 9)) for v in geometry.origin_lps(k).tolist()]
        image.ImageOrientationPatient = [decimal_string(v) for v in (*row.tolist(), *column.tolist())]
        image.PixelSpacing = [decimal_string(v) for v in PIXEL_MM]
        image.SliceThickness = decimal_string(STEP_MM)
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.Rows, image.Columns = pixels.shape
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation = 15, 1
        image.RescaleIntercept, image.RescaleSlope, image.RescaleType = "0", "1", "HU"
        image.PixelData = pixels.astype("<i2").tobytes()
        image.save_as(folder / f"{k:04d}.dcm", enforce_file_format=True)
    return folder


def noise() -> NDArray[np.int16]:
    """Return (k, j, i) HU that show nothing."""
    return np.random.default_rng(3).integers(-1000, 400, SHAPE_KJI).astype(np.int16)


def structures() -> Segmented:
    """Return four structures: an ellipsoid, a bent one, a hollow one, one in two pieces; and one that holds two of them."""
    k, j, i = np.indices(SHAPE_KJI)
    labels = np.zeros(SHAPE_KJI, np.uint16)
    labels[((k - 8) / 5.2) ** 2 + ((j - 13) / 8.6) ** 2 + ((i - 14) / 10.4) ** 2 < 1] = 1
    labels[(k > 4) & (k < 17) & (i > 28) & (i < 48) & ((j > 4) & (j < 12) | (i < 36) & (j >= 12) & (j < 22))] = 2
    shell = np.sqrt(((k - 12) * 1.8) ** 2 + (j - 32) ** 2 + (i - 36) ** 2)
    labels[(shell < 10.5) & (shell > 5.5)] = 3
    labels[((k - 15) / 4.1) ** 2 + ((j - 34) / 6.0) ** 2 + ((i - 8) / 6.0) ** 2 < 1] = 4
    labels[((k - 17) / 3.4) ** 2 + ((j - 33) / 5.0) ** 2 + ((i - 21) / 4.5) ** 2 < 1] = 4
    found = (
        Structure("liver", (1,), (0.9, 0.5, 0.3), kind=Code("SCT", "10200004", "Liver")),
        Structure("bent", (2,), (0.2, 0.7, 0.3)),
        Structure("hollow", (3,), (0.9, 0.9, 0.2)),
        Structure("kidney_left", (4,), (0.3, 0.4, 0.9)),
        Structure("solid", (1, 2), (0.6, 0.6, 0.6)),
    )
    return Segmented(labels, found, {"name": "phantom", "version": "1"})
