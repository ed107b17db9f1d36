"""An invented chest: body, lungs, ribs, spine, heart, a vessel. Pleasant to look at, right and left not alike, nobody's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SHAPE_KJI = (88, 120, 152)
SPACING_MM = (2.6, 2.6, 3.4)  # i, j, k
ORIGIN_LPS = (-197.6, -156.0, -140.0)


def make_chest(seed: int = 1, coarse: int = 1) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return a CT (k, j, i) in HU; each seed is somebody else. The patient's right lung is the larger one.

    Parameters
    ----------
    coarse : voxels are so many times `SPACING_MM`.
    """
    random = np.random.default_rng(seed)
    k, j, i = np.meshgrid(*(np.arange(0, n, coarse, dtype=np.float32) for n in SHAPE_KJI), indexing="ij")
    x, y, z = (part * mm + start for part, mm, start in zip((i, j, k), SPACING_MM, ORIGIN_LPS, strict=True))
    size = random.uniform(0.94, 1.04)
    taper = 1 - 0.10 * np.clip(z / 150, 0, 1) ** 2

    def ball(center: tuple[float, ...], axes: tuple[float, ...]) -> Any:
        squared = sum(((p - c * size) / (a * size)) ** 2 for p, c, a in zip((x, y, z), center, axes, strict=True))
        return squared <= 1

    def tube(cx: Any, cy: Any, rx: float, ry: float) -> Any:
        return ((x - cx * size) / (rx * size)) ** 2 + ((y - cy * size) / (ry * size)) ** 2 <= 1

    ct = np.full(k.shape, -1000, np.float32)
    outside = (x / (172 * size * taper)) ** 2 + (y / (112 * size * taper)) ** 2 <= 1
    inside = (x / (158 * size * taper)) ** 2 + (y / (98 * size * taper)) ** 2 <= 1
    ct[outside] = -95
    ct[inside] = 45
    ct[ball((-76, -4, 30), (60, 74, 118))] = -830
    ct[ball((80, 0, 30), (54, 72, 112))] = -820
    heart = ball((26, -26, -10), (54, 44, 56))
    ct[heart] = 48
    ct[tube(10, 46, 13, 13)] = 150
    ct[ball((-60, -20, -110), (92, 70, 52)) & inside] = 68
    for number in range(-6, 8, coarse):
        _rib(ct, x, y, z, 22 * number, size, taper, coarse)
    spine = tube(0, 74, 22, 19) & (np.mod(z, 26) > 4)
    ct[spine] = 420
    ct[tube(0, 74, 22, 19) & (np.mod(z, 26) <= 4)] = 90
    ct[tube(0, 76, 9, 8)] = 30
    ct[tube(0, -92, 14, 6) & (z > -60)] = 330
    ct += random.normal(0, 14, k.shape)
    return np.clip(np.rint(ct), -1024, 3071).astype(np.int16)


def _rib(ct: Any, x: Any, y: Any, z: Any, level: float, size: float, taper: Any, thick: int) -> None:
    """Draw a ring that falls towards the front, as ribs do; thick enough for a surface on coarse voxels."""
    ring = np.sqrt((x / (150 * size * taper)) ** 2 + (y / (91 * size * taper)) ** 2)
    falls = level - 0.25 * (91 - y)
    ct[(np.abs(ring - 1) < 0.045 * thick) & (np.abs(z - falls) < 5.5 * thick) & (y < 78)] = 380


def write_nifti(path: Path, array: Any, coarse: int = 1) -> Path:
    import SimpleITK

    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing([coarse * mm for mm in SPACING_MM])
    image.SetOrigin(ORIGIN_LPS)
    SimpleITK.WriteImage(image, str(path), useCompression=path.suffix == ".gz")
    return path


def write_dicom(folder: Path, array: Any, seed: int = 1, coarse: int = 1) -> Path:
    """Write a series of CT images, in two folders below, as exports often lie."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    uids = [generate_uid(entropy_srcs=[f"{seed}-{part}"]) for part in ("study", "series", "frame")]
    for number, plane in enumerate(array):
        dataset = Dataset()
        dataset.SOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=[f"{seed}-{number}"])
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = uids
        dataset.Modality, dataset.PatientName, dataset.PatientID = "CT", "Invented^Chest", f"INVENTED-{seed}"
        dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber = "20260101", "120000", ""
        dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = "1", "1", str(number + 1)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.ImagePositionPatient = [
            ORIGIN_LPS[0],
            ORIGIN_LPS[1],
            round(ORIGIN_LPS[2] + number * coarse * SPACING_MM[2], 4),
        ]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing, dataset.SliceThickness = [coarse * mm for mm in SPACING_MM[:2]], coarse * SPACING_MM[2]
        dataset.Rows, dataset.Columns = plane.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "HU"
        dataset.PixelData = plane.astype("<i2").tobytes()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = folder / ("first" if number < len(array) // 2 else "second") / f"IM{number:04d}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
    return folder
