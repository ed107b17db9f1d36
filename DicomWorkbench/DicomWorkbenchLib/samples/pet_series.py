"""Writes a PET series with everything that SUV needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import PositronEmissionTomographyImageStorage

from DicomWorkbenchLib.progress import CancelToken, Progress
from DicomWorkbenchLib.samples.dicom_writer import DATE, TIME, SeriesOf, code, decimal, item, save
from DicomWorkbenchLib.samples.grid import ImageGrid
from DicomWorkbenchLib.samples.iec_phantom import Volume

HALF_LIFE_S = 6586.2  # F-18
POSITRON_FRACTION = 0.97
FRAME_S = 600
_LARGEST = 32767


@dataclass(frozen=True)
class Injection:
    """What went into the phantom and when.

    Attributes
    ----------
    dose_bq : activity at ``start``.
    start : TM of the filling ("injection").
    minutes_before_scan : from start to the series' time.
    weight_kg : of the filled phantom.
    """

    dose_bq: float = 7.7e7
    start: str = "091500"
    minutes_before_scan: float = 60.0
    weight_kg: float = 9.7

    @property
    def suv_factor(self) -> float:
        """SUVbw for 1 Bq/ml, in g/Bq: weight over the dose left at the start of the scan."""
        return self.weight_kg * 1000 / (self.dose_bq * 2 ** (-self.minutes_before_scan * 60 / HALF_LIFE_S))


def write_pet(
    folder: Path,
    series: SeriesOf,
    grid: ImageGrid,
    image: Volume,
    injection: Injection,
    progress: Progress,
    cancel: CancelToken,
) -> None:
    """Write one file per slice, each with its own rescale slope, values in Bq/ml."""
    for k in range(grid.slices):
        cancel.check()
        progress(k, grid.slices, "PET slices")
        dataset = _header(series, grid, k, injection)
        # A slope of its own per slice, as scanners write it; whoever applies one slope to all slices gets wrong values.
        slope = float(decimal(max(float(image[k].max()), 1.0) / _LARGEST))
        dataset.RescaleSlope, dataset.RescaleIntercept = decimal(slope), "0"
        dataset.PixelData = np.rint(image[k] / slope).clip(0, _LARGEST).astype("<i2").tobytes()
        save(dataset, folder / f"PT{grid.slices - k:06d}.dcm")


def _header(series: SeriesOf, grid: ImageGrid, k: int, injection: Injection) -> Dataset:
    number = grid.slices - k
    dataset = series.dataset(PositronEmissionTomographyImageStorage, number)
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.Laterality = ""
    dataset.PositionReferenceIndicator = ""
    dataset.FrameOfReferenceUID = series.subject.frame_of_reference_uid
    dataset.AcquisitionDate = dataset.ContentDate = DATE
    dataset.AcquisitionTime = TIME
    dataset.ContentTime = "102600"
    for name, value in grid.plane_elements(k).items():
        setattr(dataset, name, value)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = grid.rows, grid.columns
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.ImageIndex = number
    _pet_series(dataset, grid, injection)
    return dataset


def _pet_series(dataset: Dataset, grid: ImageGrid, injection: Injection) -> None:
    """Fill PET Series, PET Isotope and PET Image modules (PS3.3 C.8.9)."""
    dataset.SeriesType = ["STATIC", "IMAGE"]
    dataset.Units = "BQML"
    dataset.SUVType = "BW"
    dataset.CountsSource = "EMISSION"
    dataset.NumberOfSlices = grid.slices
    dataset.CorrectedImage = ["NORM", "DTIM", "ATTN", "SCAT", "DECY", "RAN"]
    dataset.DecayCorrection = "START"
    dataset.RandomsCorrectionMethod = "DLYD"
    dataset.AttenuationCorrectionMethod = "measured, CT"
    dataset.ScatterCorrectionMethod = "model based"
    dataset.ReconstructionMethod = "phantom, Gaussian point spread"
    dataset.CollimatorType = "NONE"
    dataset.FrameReferenceTime = "0"
    dataset.ActualFrameDuration = str(FRAME_S * 1000)
    dataset.DecayFactor = "1"
    isotope = item(
        Radiopharmaceutical="FDG",
        RadiopharmaceuticalStartTime=injection.start,
        RadiopharmaceuticalStartDateTime=DATE + injection.start,
        RadionuclideTotalDose=decimal(injection.dose_bq),
        RadionuclideHalfLife=decimal(HALF_LIFE_S),
        RadionuclidePositronFraction=decimal(POSITRON_FRACTION),
        RadionuclideCodeSequence=[code("77004003", "SCT", "^18^Fluorine")],
        RadiopharmaceuticalCodeSequence=[code("35321007", "SCT", "Fluorodeoxyglucose F^18^")],
    )
    dataset.RadiopharmaceuticalInformationSequence = [isotope]
    dataset.PatientOrientationCodeSequence = [_supine()]
    dataset.PatientGantryRelationshipCodeSequence = [code("102540008", "SCT", "headfirst")]


def _supine() -> Dataset:
    supine = item(PatientOrientationModifierCodeSequence=[code("40199007", "SCT", "supine")])
    supine.update(code("102538003", "SCT", "recumbent"))
    return supine
