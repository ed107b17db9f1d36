"""An Enhanced CT Image (PS3.3 A.38): one file, the place of every frame in its functional groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID, EnhancedCTImageStorage

from DicomWorkbenchLib.samples.ct_series import INTERCEPT
from DicomWorkbenchLib.samples.dicom_writer import DATE, TIME, SeriesOf, code, decimals, item, uid_of
from DicomWorkbenchLib.samples.grid import ImageGrid

_FRAME_TYPE = ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"]


def enhanced_ct(series: SeriesOf, grid: ImageGrid, instance_number: int, order: Sequence[int]) -> Dataset:
    """Return the data set without pixels.

    Parameters
    ----------
    order : slice index of each frame; frames need not lie in the order of their positions.
    """
    dataset = series.dataset(EnhancedCTImageStorage, instance_number)
    dataset.ImageType = _FRAME_TYPE
    dataset.PatientPosition = "HFS"
    dataset.FrameOfReferenceUID = series.subject.frame_of_reference_uid
    dataset.PositionReferenceIndicator = ""
    dataset.ContentDate, dataset.ContentTime = DATE, TIME
    dataset.AcquisitionDateTime = DATE + TIME
    dataset.AcquisitionDuration = 8.0
    dataset.ContentQualification = "RESEARCH"
    dataset.AcquisitionContextSequence = []
    dataset.PixelPresentation, dataset.VolumetricProperties = "MONOCHROME", "VOLUME"
    dataset.VolumeBasedCalculationTechnique = "NONE"
    dataset.BurnedInAnnotation, dataset.LossyImageCompression = "NO", "00"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = grid.rows, grid.columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.NumberOfFrames = len(order)
    _dimensions(dataset, uid_of(series.uid, "dimensions"))
    dataset.SharedFunctionalGroupsSequence = [_shared(grid, uid_of(series.uid, "irradiation event"))]
    dataset.PerFrameFunctionalGroupsSequence = [_of_frame(grid, n, k) for n, k in enumerate(order)]
    return dataset


def stored_values(hounsfield: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Return HU as stored 16-bit values."""
    return np.rint(hounsfield - INTERCEPT).clip(-1024, 4095).astype("<i2")


def _dimensions(dataset: Dataset, organization: UID) -> None:
    dataset.DimensionOrganizationSequence = [item(DimensionOrganizationUID=organization)]
    dataset.DimensionIndexSequence = [
        item(
            DimensionOrganizationUID=organization,
            DimensionIndexPointer=Tag(keyword),
            FunctionalGroupPointer=Tag("FrameContentSequence"),
        )
        for keyword in ("StackID", "InStackPositionNumber")
    ]


def _shared(grid: ImageGrid, irradiation_event_uid: UID) -> Dataset:
    row_mm, column_mm = grid.pixel_spacing_mm
    return item(
        IrradiationEventIdentificationSequence=[item(IrradiationEventUID=irradiation_event_uid)],
        PixelMeasuresSequence=[
            item(
                PixelSpacing=decimals([row_mm, column_mm]),
                SliceThickness=decimals([grid.slice_spacing_mm])[0],
                SpacingBetweenSlices=decimals([grid.slice_spacing_mm])[0],
            )
        ],
        PlaneOrientationSequence=[item(ImageOrientationPatient=decimals(grid.orientation_lps))],
        FrameAnatomySequence=[item(FrameLaterality="U", AnatomicRegionSequence=[code("818983003", "SCT", "Abdomen")])],
        FrameVOILUTSequence=[item(WindowCenter="40", WindowWidth="400")],
        PixelValueTransformationSequence=[item(RescaleIntercept=str(INTERCEPT), RescaleSlope="1", RescaleType="HU")],
        CTImageFrameTypeSequence=[
            item(
                FrameType=_FRAME_TYPE,
                PixelPresentation="MONOCHROME",
                VolumetricProperties="VOLUME",
                VolumeBasedCalculationTechnique="NONE",
            )
        ],
    )


def _of_frame(grid: ImageGrid, number: int, k: int) -> Dataset:
    content = item(
        StackID="1",
        InStackPositionNumber=k + 1,
        DimensionIndexValues=[1, k + 1],
        FrameAcquisitionNumber=1,
        FrameReferenceDateTime=DATE + TIME,
        FrameAcquisitionDateTime=DATE + TIME,
        FrameAcquisitionDuration=200.0,
        TemporalPositionIndex=1,
        FrameComments=f"frame {number + 1}",
    )
    position = item(ImagePositionPatient=decimals(grid.position_lps(k)))
    return item(FrameContentSequence=[content], PlanePositionSequence=[position])
