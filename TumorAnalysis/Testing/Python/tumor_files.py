"""Small patients in the layout of 3D-IRCADb, with whatever is wrong with them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

SHAPE = (12, 48, 48)
SPACING = (2.5, 1.5, 1.5)  # slices, rows, columns, mm
Mangle = Callable[[FileDataset, int], None]


def ball(centre_kji: tuple[float, float, float], radius_mm: float) -> NDArray[np.bool_]:
    """Return a ball."""
    parts = ((axis - at) * step for axis, at, step in zip(np.indices(SHAPE), centre_kji, SPACING, strict=True))
    return np.asarray(sum(part**2 for part in parts) <= radius_mm**2)


LIVER = ball((6, 24, 24), 14)
TUMOR = ball((6, 24, 26), 5)
TWO = TUMOR | ball((6, 24, 16), 4)
OUTSIDE = ball((6, 24, 44), 4)


def nothing(_dataset: FileDataset, _k: int) -> None:
    """Leave a slice as it is."""


def without_geometry(dataset: FileDataset, _k: int) -> None:
    """Take away what says where a slice lies."""
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(dataset, keyword)


def write_slices(
    folder: Path,
    voxels: NDArray[np.generic],
    *,
    ct: bool = False,
    mangle: Mangle = nothing,
    names: Mapping[int, str] | None = None,
    skip: tuple[int, ...] = (),
    patient: str = "A",
    value: int = 255,
) -> None:
    """Write one file a slice, called image_0, image_1, ... or as ``names`` says."""
    folder.mkdir(parents=True, exist_ok=True)
    series = generate_uid(entropy_srcs=[str(folder), patient])
    for k, plane in enumerate(voxels):
        if k in skip:
            continue
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = CTImageStorage if ct else SecondaryCaptureImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[series, str(k)])
        dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        dataset.PatientID, dataset.PatientName, dataset.PatientSex, dataset.PatientAge = patient, "X^Y", "F", "093Y"
        dataset.StudyInstanceUID = generate_uid(entropy_srcs=[patient])
        dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=[patient, "frame"])
        dataset.SeriesInstanceUID, dataset.InstanceNumber = series, k + 1
        dataset.Modality, dataset.SeriesNumber = ("CT" if ct else "OT"), 1
        dataset.ImagePositionPatient = [-30.0, -30.0, 100.0 + SPACING[0] * k]
        dataset.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        dataset.PixelSpacing = [SPACING[1], SPACING[2]]
        dataset.Rows, dataset.Columns = plane.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        if ct:
            dataset.SliceThickness, dataset.RescaleSlope, dataset.RescaleIntercept = SPACING[0], 1, -1024
            dataset.BitsAllocated = dataset.BitsStored = 16
            dataset.HighBit, dataset.PixelRepresentation = 15, 0
            dataset.PixelData = (plane + 1024).astype("<u2").tobytes()
        else:
            dataset.BitsAllocated = dataset.BitsStored = 8
            dataset.HighBit, dataset.PixelRepresentation = 7, 0
            dataset.PixelData = (plane.astype(np.uint8) * np.uint8(value)).tobytes()
        mangle(dataset, k)
        dataset.save_as(folder / (names[k] if names else f"image_{k}"), enforce_file_format=True)


def image(seed: int = 0) -> NDArray[np.int16]:
    """Return CT numbers: liver 110 HU, tumour 60 HU, noise."""
    noise = np.random.default_rng(seed).normal(0, 8, SHAPE)
    return np.rint(np.where(TWO, 60, np.where(LIVER, 110, -60)) + noise).astype(np.int16)


def write_patient(
    folder: Path, masks: Mapping[str, NDArray[np.bool_]] | None = None, *, seed: int = 0, patient: str = "A"
) -> Path:
    """Write PATIENT_DICOM and MASKS_DICOM as folders."""
    write_slices(folder / "PATIENT_DICOM", image(seed), ct=True, patient=patient)
    for name, mask in ({"liver": LIVER, "livertumor": TUMOR} if masks is None else masks).items():
        write_slices(folder / "MASKS_DICOM" / name, mask, patient=patient)
    return folder


def zipped(folder: Path, archive: Path | None = None) -> Path:
    """Replace a folder by a zip archive of its content."""
    archive = archive or folder.with_name(f"{folder.name}.zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                out.write(file, f"{folder.name}/{file.relative_to(folder)}")
    for file in sorted(folder.rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    folder.rmdir()
    return archive
