"""Writes a CT series as a scanner sends it: padding outside the round field of view, and names that say nothing about the order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from DicomWorkbenchLib.samples.dicom_writer import DATE, SeriesOf, save, uid_of
from DicomWorkbenchLib.samples.grid import ImageGrid
from DicomWorkbenchLib.samples.outline import Image

INTERCEPT = -1024
PADDING = -2000  # stored value outside the reconstruction circle, as GE scanners write it


def write_ct(
    folder: Path,
    series: SeriesOf,
    grid: ImageGrid,
    hounsfield: Callable[[int], Image],
    *,
    padded: bool = True,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
) -> list[Dataset]:
    """Write one file per slice and return the headers in order along the normal.

    Parameters
    ----------
    folder : where the files go, mixed names, some without suffix.
    hounsfield : gives slice k in HU.
    padded : write `PADDING` outside the round field of view.
    """
    headers = []
    outside = _outside_circle(grid) if padded else None
    for k in range(grid.slices):
        cancel.check()
        progress(k, grid.slices, "CT slices")
        stored = np.rint(hounsfield(k) - INTERCEPT).clip(-1024, 4095).astype("<i2")
        if outside is not None:
            stored[outside] = PADDING
        dataset = ct_header(series, grid, k, instance_number=grid.slices - k, padded=padded)
        dataset.PixelData = stored.tobytes()
        save(dataset, folder / mixed_name(series, k))
        del dataset.PixelData
        headers.append(dataset)
    return headers


def ct_header(series: SeriesOf, grid: ImageGrid, k: int, instance_number: int, *, padded: bool) -> Dataset:
    """Return everything of a CT Image (PS3.3 A.3) but its pixels."""
    dataset = series.dataset(CTImageStorage, instance_number)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientPosition = "HFS"
    dataset.PositionReferenceIndicator = ""
    dataset.FrameOfReferenceUID = series.subject.frame_of_reference_uid
    dataset.AcquisitionNumber = 1
    dataset.AcquisitionDate = dataset.ContentDate = DATE
    dataset.AcquisitionTime = "101502"
    dataset.ContentTime = "101503"
    dataset.BodyPartExamined = "ABDOMEN"
    dataset.KVP = "120"
    dataset.ConvolutionKernel = "STANDARD"
    dataset.GantryDetectorTilt = str(grid.gantry_tilt_deg)
    dataset.SpacingBetweenSlices = str(grid.slice_spacing_mm)
    for name, value in grid.plane_elements(k).items():
        setattr(dataset, name, value)
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = grid.rows, grid.columns
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    if padded:
        dataset.add_new("PixelPaddingValue", "SS", PADDING)
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = str(INTERCEPT), "1", "HU"
    dataset.WindowCenter, dataset.WindowWidth = "40", "400"
    return dataset


def mixed_name(series: SeriesOf, k: int) -> str:
    """Return a file name that tells nothing about the order; a third has no suffix, a third a misleading one."""
    number = int(str(uid_of(series.uid, "file name", k))[-7:])
    return (f"IM{number:07d}", f"CT.{number:07d}.dcm", f"{number:07d}.IMA")[k % 3]


def _outside_circle(grid: ImageGrid) -> npt.NDArray[np.bool_]:
    radius = min(grid.x_mm[-1], grid.y_mm[-1]) + min(grid.pixel_spacing_mm) / 2
    outside: npt.NDArray[np.bool_] = grid.x_mm[None, :] ** 2 + grid.y_mm[:, None] ** 2 > radius**2
    return outside
