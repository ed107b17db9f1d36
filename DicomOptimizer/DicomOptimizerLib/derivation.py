"""What a derived image says about itself: what was done, from what, and which of the old statements no longer hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from DicomWorkbenchLib.decimals import LONGEST, decimal_string
from DicomWorkbenchLib.geometry import FloatArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from DicomOptimizerLib.elements import has, numbers, pair, put, put_decimals, remove, texts
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
    """Bring every statement of one image up to date, except pixels, UIDs and sources; returns warnings.

    Parameters
    ----------
    number : InstanceNumber of the image in the output.
    """
    warnings: list[str] = []
    old_class = str(dataset.SOPClassUID)
    _mark_derived(dataset, treatment, old_class)
    put(dataset, "InstanceNumber", number)
    shorten_decimals(dataset)
    _recount(dataset, treatment, number)
    if treatment.changes_pixels:
        for keyword in _PIXEL_STATISTICS:
            remove(dataset, keyword)
        warnings += _drop_overlays(dataset, in_pixels_only=treatment.resize is None)
    if treatment.resize is not None:
        _resize_statements(dataset, treatment.resize, warnings)
    if treatment.grey is not None:
        _grey_statements(dataset, treatment)
    if treatment.sop_class(old_class) == SECONDARY_CAPTURE != old_class:
        _secondary_capture(dataset)
    return warnings


def _mark_derived(dataset: Dataset, treatment: Treatment, sop_class: str) -> None:
    # PET Image defines value 2 as PRIMARY only (PS3.3 C.8.9.4.1.1.1).
    is_pet = sop_class == "1.2.840.10008.5.1.4.1.1.128" and treatment.grey is None
    kind = ["DERIVED", "PRIMARY" if is_pet else "SECONDARY", *texts(dataset, "ImageType")[2:]]
    put(dataset, "ImageType", kind)
    before = str(dataset.get("DerivationDescription", "") or "").strip()
    if before:
        dataset.DerivationDescription = f"{before}; {treatment.description}"[-_LONGEST_DESCRIPTION:]
    else:
        put(dataset, "DerivationDescription", treatment.description[:_LONGEST_DESCRIPTION])


def shorten_decimals(dataset: Dataset) -> None:
    """Write decimal strings that the input wrote too long with the 16 characters they may have (PS3.5 6.2)."""
    for tag, element in list(dataset.items()):
        value = element.value
        if element.VR == "DS" and isinstance(value, bytes) and len(value) > LONGEST:
            parts = value.decode("ascii", "replace").strip(" \0").split("\\")
            if any(len(part) > LONGEST for part in parts) and (shorter := _finite(parts)):
                put_decimals(dataset, tag, [decimal_string(number) for number in shorter])


def _finite(parts: list[str]) -> list[float]:
    """Read numbers; none if one of them is no number, as then nobody knows a shorter form."""
    try:
        found = [float(part) for part in parts]
    except ValueError:
        return []
    return found if np.all(np.isfinite(found)) else []


def _recount(dataset: Dataset, treatment: Treatment, number: int) -> None:
    if treatment.step == 1:
        return
    for keyword in _COUNTS:
        remove(dataset, keyword)
    if has(dataset, "NumberOfSlices"):  # PET: type 1
        put(dataset, "NumberOfSlices", treatment.slices)
        put(dataset, "ImageIndex", number)
    spacing = numbers(dataset, "SpacingBetweenSlices")
    if spacing is not None and treatment.spacing_factor is None:
        remove(dataset, "SpacingBetweenSlices")
    elif spacing is not None and treatment.spacing_factor is not None:
        put(dataset, "SpacingBetweenSlices", decimal_string(round(float(spacing[0]) * treatment.spacing_factor, 9)))


def _drop_overlays(dataset: Dataset, *, in_pixels_only: bool) -> list[str]:
    """Remove overlays whose planes no longer fit: all of them after resizing, those in unused pixel bits in any case."""
    groups = {tag.group for tag in list(dataset.keys()) if 0x6000 <= tag.group <= 0x60FE and tag.group % 2 == 0}
    if in_pixels_only:
        groups = {group for group in groups if Tag(group, 0x3000) not in dataset}
    if not groups:
        return []
    for tag in [tag for tag in list(dataset.keys()) if tag.group in groups]:
        del dataset[tag]
    return ["an overlay was left out, it does not fit the new image"]


def _resize_statements(dataset: Dataset, resize: Resize, warnings: list[str]) -> None:
    spacing = pair(dataset, "PixelSpacing")
    origin, orientation = numbers(dataset, "ImagePositionPatient"), numbers(dataset, "ImageOrientationPatient")
    if origin is not None and orientation is not None and spacing is not None:
        put(dataset, "ImagePositionPatient", moved_position(resize, origin, orientation, spacing))
    for keyword in _SPACINGS:
        old = pair(dataset, keyword)
        if old is not None:
            put(dataset, keyword, [decimal_string(value) for value in resize.spacing(old)])
    shutters = [tag for tag in _SHUTTERS if tag in dataset]
    for tag in shutters:
        del dataset[tag]
    if shutters:
        warnings.append("a display shutter was left out, it does not fit the new image")


def moved_position(
    resize: Resize, origin_lps: FloatArray, orientation_lps: FloatArray, spacing: tuple[float, float]
) -> list[str]:
    """Write ImagePositionPatient of the new image, from its old position, orientation and spacing."""
    return [decimal_string(round(float(value), 9)) for value in resize.origin(origin_lps, orientation_lps, spacing)]


def _grey_statements(dataset: Dataset, treatment: Treatment) -> None:
    grey = treatment.grey
    assert grey is not None
    for keyword in _GREY_STATEMENTS:
        remove(dataset, keyword)
    slope, intercept = grey.rescale
    put(dataset, "RescaleSlope", decimal_string(slope))
    put(dataset, "RescaleIntercept", decimal_string(intercept))
    put(dataset, "RescaleType", treatment.units)
    put(dataset, "WindowCenter", decimal_string(grey.window.level))
    put(dataset, "WindowWidth", decimal_string(grey.window.width))
    if grey.has_padding:
        put(dataset, "PixelPaddingValue", 0)
    put(dataset, "BitsStored", 12 if treatment.legal_ct else 8)


def _secondary_capture(dataset: Dataset) -> None:
    """Add what Secondary Capture needs (PS3.3 A.8.1); position, orientation and spacing stay, as Image Plane in it is meant for 3D."""
    put(dataset, "SOPClassUID", SECONDARY_CAPTURE)
    put(dataset, "ConversionType", "WSD")
    if not has(dataset, "PatientOrientation"):
        put(dataset, "PatientOrientation", patient_orientation(numbers(dataset, "ImageOrientationPatient")))
    if not any(has(dataset, keyword) for keyword in ("Laterality", "ImageLaterality", "BodyPartExamined")):
        put(dataset, "Laterality", "")


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


def state_sources(dataset: Dataset, treatment: Treatment, source: tuple[str, str] | None) -> None:
    """Name what was done as codes, and the original image; to be called after the UIDs were mapped, as that one's UID is the input's own.

    Parameters
    ----------
    source : SOP class and instance UID of the image in the input; None leaves it out (de-identification).
    """
    codes: tuple[tuple[str, str], ...] = (FRAMES_EXTRACTED,) if treatment.step > 1 else ()
    codes += (SPATIAL_RESAMPLING,) if treatment.resize is not None else ()
    if codes:
        old = dataset.get("DerivationCodeSequence", ())
        dataset.DerivationCodeSequence = Sequence([*old, *_code_items(codes)])
    if source is not None:
        item = Dataset()
        put(item, "ReferencedSOPClassUID", source[0])
        put(item, "ReferencedSOPInstanceUID", source[1])
        item.PurposeOfReferenceCodeSequence = Sequence(_code_items((SOURCE_OF_PROCESSING,)))
        dataset.SourceImageSequence = Sequence([item])


@lru_cache(maxsize=32)
def _code_items(codes: tuple[tuple[str, str], ...]) -> tuple[Dataset, ...]:
    return tuple(code_item(code) for code in codes)
