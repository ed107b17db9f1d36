"""What a derived image says about itself: what was done, from what, and which of the old statements no longer hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from DicomOptimizerLib.decimals import decimal_string
from DicomOptimizerLib.greyscale import GreyMap
from DicomOptimizerLib.resampling import Resize
from DicomOptimizerLib.settings import Compression

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
SPATIAL_RESAMPLING = ("113085", "Spatial resampling")  # CID 7203
FRAMES_EXTRACTED = ("113091", "Spatially-related frames extracted from the volume")
SOURCE_OF_PROCESSING = ("121322", "Source image for image processing operation")  # CID 7202
_LONGEST_DESCRIPTION = 1024  # ST

# Counts of a series that has fewer slices now, and values computed from pixels that changed.
_COUNTS = (
    "ImagesInAcquisition",
    "AcquisitionsInSeries",
    "NumberOfSeriesRelatedInstances",
    "NumberOfStudyRelatedInstances",
)
_PIXEL_STATISTICS = (
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries",
    "SmallestImagePixelValueInPlane",
    "LargestImagePixelValueInPlane",
    "PixelIntensityRelationshipLUTSequence",
    "IconImageSequence",
    "DataSetTrailingPadding",
    "PixelDataProviderURL",
    "DigitalSignaturesSequence",
    "MACParametersSequence",
    "OriginalImageIdentification",
)
_GREY_STATEMENTS = (
    "ModalityLUTSequence",
    "VOILUTSequence",
    "VOILUTFunction",
    "WindowCenterWidthExplanation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
)
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_SHUTTERS = tuple(range(0x00181600, 0x00181625))


@dataclass(frozen=True)
class Treatment:
    """What is done to every image of one series.

    Attributes
    ----------
    description : the sentence for DerivationDescription.
    step : every n-th slice was kept.
    slices : number of slices afterwards.
    spacing_factor : factor for SpacingBetweenSlices; None deletes it because the slices are not evenly spaced any more.
    resize, grey, compression : changes of the pixels.
    units : value of RescaleType.
    legal_ct : 256 grey values stay a CT Image.
    """

    description: str
    step: int = 1
    slices: int = 0
    spacing_factor: float | None = 1.0
    resize: Resize | None = None
    grey: GreyMap | None = None
    compression: Compression = Compression.NONE
    units: str = "HU"
    legal_ct: bool = False

    @property
    def changes_pixels(self) -> bool:
        """True if values or their number change; recompression without loss changes neither."""
        return self.resize is not None or self.grey is not None

    def sop_class(self, old: str) -> str:
        """SOP class of an image in the output."""
        return SECONDARY_CAPTURE if self.grey is not None and not self.legal_ct else old


def code_item(code: tuple[str, str], scheme: str = "DCM") -> Dataset:
    """Return a code sequence item of DICOM's own coding scheme."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code[0], scheme, code[1]
    return item


def describe(dataset: Dataset, treatment: Treatment, number: int) -> list[str]:
    """Bring every statement of one image up to date, except pixels and UIDs; returns warnings.

    Parameters
    ----------
    number : InstanceNumber of the image in the output.
    """
    warnings: list[str] = []
    old_class = str(dataset.SOPClassUID)
    _mark_derived(dataset, treatment)
    dataset.InstanceNumber = number
    _recount(dataset, treatment)
    if treatment.changes_pixels:
        for keyword in _PIXEL_STATISTICS:
            _remove(dataset, keyword)
        warnings += _drop_overlays(dataset, in_pixels_only=treatment.resize is None)
    if treatment.resize is not None:
        _resize_statements(dataset, treatment.resize, warnings)
    if treatment.grey is not None:
        _grey_statements(dataset, treatment)
    if treatment.sop_class(old_class) == SECONDARY_CAPTURE != old_class:
        _secondary_capture(dataset)
    return warnings


def _mark_derived(dataset: Dataset, treatment: Treatment) -> None:
    kind = [str(value) for value in dataset.get("ImageType", None) or ()]
    # PET Image defines value 2 as PRIMARY only (PS3.3 C.8.9.4.1.1.1).
    is_pet = dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.128" and treatment.grey is None
    dataset.ImageType = ["DERIVED", "PRIMARY" if is_pet else "SECONDARY", *kind[2:]]
    before = str(dataset.get("DerivationDescription", "") or "").strip()
    text = f"{before}; {treatment.description}" if before else treatment.description
    dataset.DerivationDescription = text[-_LONGEST_DESCRIPTION:]
    codes = [code_item(FRAMES_EXTRACTED)] if treatment.step > 1 else []
    codes += [code_item(SPATIAL_RESAMPLING)] if treatment.resize is not None else []
    if codes:
        dataset.DerivationCodeSequence = Sequence([*dataset.get("DerivationCodeSequence", ()), *codes])


def _recount(dataset: Dataset, treatment: Treatment) -> None:
    if treatment.step == 1:
        return
    for keyword in _COUNTS:
        _remove(dataset, keyword)
    if "NumberOfSlices" in dataset:  # PET: type 1
        dataset.NumberOfSlices = treatment.slices
        dataset.ImageIndex = dataset.InstanceNumber
    spacing = dataset.get("SpacingBetweenSlices")
    if spacing is not None and treatment.spacing_factor is None:
        del dataset.SpacingBetweenSlices
    elif spacing is not None and treatment.spacing_factor is not None:
        dataset.SpacingBetweenSlices = decimal_string(float(spacing) * treatment.spacing_factor)


def _drop_overlays(dataset: Dataset, *, in_pixels_only: bool) -> list[str]:
    """Remove overlays whose planes no longer fit: all of them after resizing, those in unused pixel bits in any case."""
    groups = {tag.group for tag in list(dataset.keys()) if 0x6000 <= tag.group <= 0x60FE and tag.group % 2 == 0}
    if in_pixels_only:
        groups = {group for group in groups if Tag(group, 0x3000) not in dataset}
    for tag in [tag for tag in list(dataset.keys()) if tag.group in groups]:
        del dataset[tag]
    return ["an overlay was left out, it does not fit the new image"] if groups else []


def _resize_statements(dataset: Dataset, resize: Resize, warnings: list[str]) -> None:
    spacing = _pair(dataset, "PixelSpacing")
    origin, orientation = dataset.get("ImagePositionPatient"), dataset.get("ImageOrientationPatient")
    if origin is not None and orientation is not None and spacing is not None:
        moved = resize.origin(np.asarray(origin, float), np.asarray(orientation, float), spacing)
        dataset.ImagePositionPatient = [decimal_string(round(float(value), 9)) for value in moved]
    for keyword in _SPACINGS:
        old = _pair(dataset, keyword)
        if old is not None:
            setattr(dataset, keyword, [decimal_string(value) for value in resize.spacing(old)])
    shutters = [tag for tag in _SHUTTERS if tag in dataset]
    for tag in shutters:
        del dataset[tag]
    if shutters:
        warnings.append("a display shutter was left out, it does not fit the new image")


def _pair(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    value = dataset.get(keyword)
    return (float(value[0]), float(value[1])) if value is not None and len(value) == 2 else None


def _grey_statements(dataset: Dataset, treatment: Treatment) -> None:
    grey = treatment.grey
    assert grey is not None
    for keyword in _GREY_STATEMENTS:
        _remove(dataset, keyword)
    slope, intercept = grey.rescale
    dataset.RescaleSlope, dataset.RescaleIntercept = decimal_string(slope), decimal_string(intercept)
    dataset.RescaleType = treatment.units
    dataset.WindowCenter, dataset.WindowWidth = decimal_string(grey.window.level), decimal_string(grey.window.width)
    if grey.has_padding:
        dataset.add_new("PixelPaddingValue", "US", 0)
    dataset.BitsStored = 12 if treatment.legal_ct else 8


def _secondary_capture(dataset: Dataset) -> None:
    """Add what Secondary Capture needs (PS3.3 A.8.1); position, orientation and spacing stay, as Image Plane in it is meant for 3D."""
    dataset.SOPClassUID = SECONDARY_CAPTURE
    dataset.ConversionType = "WSD"
    if "PatientOrientation" not in dataset:
        dataset.PatientOrientation = patient_orientation(dataset.get("ImageOrientationPatient"))
    if "Laterality" not in dataset and "ImageLaterality" not in dataset and "BodyPartExamined" not in dataset:
        dataset.Laterality = ""


def patient_orientation(cosines: object) -> list[str] | str:
    """Return the letters of the row's and the column's direction, the strongest first (PS3.3 C.7.6.1.1.1); "" if not known."""
    values = np.asarray(cosines, dtype=float).ravel() if cosines is not None else np.empty(0)
    if values.shape != (6,):
        return ""
    return [_letters(values[:3]), _letters(values[3:])]


def _letters(direction: np.ndarray) -> str:
    names = (("L", "R"), ("P", "A"), ("H", "F"))
    order = np.argsort(-np.abs(direction), kind="stable")
    return "".join(names[axis][int(direction[axis] < 0)] for axis in order if abs(direction[axis]) > 1e-2)


def _remove(dataset: Dataset, keyword: str) -> None:
    if keyword in dataset:
        del dataset[keyword]


def refer_to_source(dataset: Dataset, sop_class_uid: str, sop_instance_uid: str) -> None:
    """Name the original image as the source; to be called after the UIDs were mapped, as this one is the input's own."""
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    item.PurposeOfReferenceCodeSequence = Sequence([code_item(SOURCE_OF_PROCESSING)])
    dataset.SourceImageSequence = Sequence([item])
