"""Which header elements may leave the house: an allow list, so that what nobody thought of stays at home.

Source: the idea of DICOM PS3.15 annex E (Basic Application Confidentiality Profile) turned round: only what describes pixels, geometry
and timing is kept; UIDs are replaced, everything else, private elements and free text included, is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from DicomWorkbenchLib.uids import UidMap

if TYPE_CHECKING:
    from pydicom import Dataset

_GROUPS = frozenset((0x0028,))  # Image Pixel and what belongs to it
_NOT_OF_GROUPS = frozenset(("RedPaletteColorLookupTableUID", "PixelDataProviderURL", "LossyImageCompressionRatio"))
_KEYWORDS = frozenset(
    [
        "SpecificCharacterSet",
        "SOPClassUID",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "FrameOfReferenceUID",
        "Modality",
        "SeriesNumber",
        "InstanceNumber",
        "ImageType",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "SliceThickness",
        "SpacingBetweenSlices",
        "FrameTime",
        "FrameTimeVector",
        "FrameIncrementPointer",
        "CineRate",
        "RecommendedDisplayFrameRate",
        "FrameDelay",
        "StartTrim",
        "StopTrim",
        "ActualFrameDuration",
        "NumberOfFrames",
        "ImagerPixelSpacing",
        "PositionerMotion",
        "ConcatenationUID",
        "InConcatenationNumber",
        "InConcatenationTotalNumber",
        "ConcatenationFrameOffsetNumber",
        "SOPInstanceUIDOfConcatenationSource",
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
        "PixelMeasuresSequence",
        "PlanePositionSequence",
        "PlaneOrientationSequence",
        "PixelValueTransformationSequence",
        "FrameVOILUTSequence",
        "FrameContentSequence",
        "StackID",
        "InStackPositionNumber",
        "DimensionIndexValues",
        "TemporalPositionIndex",
        "PlanePositionSlideSequence",
        "XOffsetInSlideCoordinateSystem",
        "YOffsetInSlideCoordinateSystem",
        "ZOffsetInSlideCoordinateSystem",
        "ColumnPositionInTotalImagePixelMatrix",
        "RowPositionInTotalImagePixelMatrix",
        "TotalPixelMatrixColumns",
        "TotalPixelMatrixRows",
        "DimensionOrganizationSequence",
        "DimensionOrganizationUID",
        "DimensionIndexSequence",
        "DimensionIndexPointer",
        "FunctionalGroupPointer",
        "DimensionOrganizationType",
        "PositionReferenceIndicator",
        "SequenceOfUltrasoundRegions",
        "RegionSpatialFormat",
        "RegionDataType",
        "RegionFlags",
        "RegionLocationMinX0",
        "RegionLocationMinY0",
        "RegionLocationMaxX1",
        "RegionLocationMaxY1",
        "PhysicalUnitsXDirection",
        "PhysicalUnitsYDirection",
        "PhysicalDeltaX",
        "PhysicalDeltaY",
        "VolumetricProperties",
        "VolumeBasedCalculationTechnique",
        "FrameType",
        "PixelPresentation",
    ]
)
_EMPTY = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber",
          "ReferringPhysicianName", "StudyID")  # fmt: skip


def shareable_header(dataset: Dataset, salt: str | None) -> tuple[Dataset, int]:
    """Return a copy with allowed elements only, and how many top-level elements were left out.

    Parameters
    ----------
    salt : fixes the new UIDs; None makes fresh ones.
    """
    kept = _allowed(dataset)
    removed = len(dataset) - len(kept)
    UidMap(salt).apply(kept)
    for keyword in _EMPTY:
        setattr(kept, keyword, "")
    kept.PatientName, kept.PatientID = "Shareable^Copy", "SHAREABLE"
    kept.PatientIdentityRemoved = "YES"
    kept.DeidentificationMethod = "Pixel and geometry attributes kept, new UIDs, pixels blanked"
    return kept, removed


def _allowed(dataset: Dataset) -> Dataset:
    from pydicom import Dataset as New
    from pydicom import Sequence

    kept = New()
    for element in dataset:
        if not _may_stay(element.tag.group, element.tag.is_private, element.keyword):
            continue
        if element.VR == "SQ":
            items = Sequence([_allowed(item) for item in element.value])
            kept.add_new(element.tag, "SQ", items)
        else:
            kept.add_new(element.tag, element.VR, element.value)
    return kept


def _may_stay(group: int, private: bool, keyword: str) -> bool:
    return not private and (keyword in _KEYWORDS or (group in _GROUPS and keyword not in _NOT_OF_GROUPS))
