"""What SUV needs from the headers of a PET series, with a list of every tag that was looked at."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib.headers import read_dataset
from DicomWorkbenchLib.progress import NEVER, CancelToken
from DicomWorkbenchLib.series import Series

if TYPE_CHECKING:
    from pydicom import Dataset

ENHANCED_PET = ("1.2.840.10008.5.1.4.1.1.130", "1.2.840.10008.5.1.4.1.1.128.1")  # Enhanced, Legacy Converted Enhanced
KEYWORDS = (
    "SOPClassUID", "Modality", "RescaleSlope", "Manufacturer", "Units", "SUVType", "CorrectedImage", "DecayCorrection",
    "SeriesDate", "SeriesTime", "AcquisitionDate", "AcquisitionTime", "FrameReferenceTime", "ActualFrameDuration",
    "PatientWeight", "PatientSize", "PatientSex", "RadiopharmaceuticalInformationSequence",
)  # fmt: skip
GE_SCAN_TIME = ((0x0009, 0x10), "GEMS_PETD_01", 0x0D)
PHILIPS_SUV = ((0x7053, 0x10), "Philips PET Private Group", 0x00)
PHILIPS_ACTIVITY = ((0x7053, 0x10), "Philips PET Private Group", 0x09)


@dataclass(frozen=True)
class UsedTag:
    """A tag the computation looked at and what it held; empty where it is absent."""

    tag: str
    name: str
    value: str


@dataclass(frozen=True)
class FrameTimes:
    """When one slice was acquired: start, duration and frame reference time; None where the header does not say."""

    acquisition: dt.datetime | None
    duration_s: float | None
    reference_s: float | None


@dataclass
class PetHeader:
    """The fields of a PET series that decide its SUV; absent ones are None or empty.

    Attributes
    ----------
    frames : times of every slice, in the order of the volume.
    used : the tags as they were read, first slice.
    """

    is_enhanced: bool = False
    units: str = ""
    suv_type: str = ""
    corrections: tuple[str, ...] = ()
    decay: str = ""
    series_start: dt.datetime | None = None
    ge_scan_start: dt.datetime | None = None
    frames: list[FrameTimes] = field(default_factory=list)
    injection: dt.datetime | None = None  # 0018,1078, with its own date
    injection_time: dt.time | None = None  # 0018,1072, without one
    dose_bq: float | None = None
    half_life_s: float | None = None
    weight_kg: float | None = None
    height_m: float | None = None
    sex: str = ""
    philips_suv: float | None = None
    philips_activity: float | None = None
    without_slope: int = 0  # slices that lack RescaleSlope
    used: list[UsedTag] = field(default_factory=list)


def read_pet_header(series: Series, cancel: CancelToken = NEVER) -> PetHeader:
    """Read what SUV needs from all files of a series."""
    datasets: list[Dataset] = []
    for instance in series.instances:
        cancel.check()
        datasets.append(read_dataset(instance.path, pixels=False, tags=KEYWORDS if datasets else None))
    return pet_header(datasets)


def pet_header(datasets: Sequence[Dataset]) -> PetHeader:
    """Collect the fields; everything but the times is taken from the first slice."""
    first = _Reader(datasets[0])
    header = PetHeader(
        is_enhanced=first.text("SOPClassUID", record=False) in ENHANCED_PET,
        units=first.text("Units").upper(),
        suv_type=first.text("SUVType").upper(),
        corrections=tuple(first.texts("CorrectedImage")),
        decay=first.text("DecayCorrection").upper(),
        series_start=first.moment("SeriesDate", "SeriesTime"),
        weight_kg=first.positive("PatientWeight"),
        height_m=first.positive("PatientSize"),
        sex=first.text("PatientSex").upper()[:1],
    )
    first.moment("AcquisitionDate", "AcquisitionTime")
    first.positive("FrameReferenceTime"), first.positive("ActualFrameDuration")
    header.frames = [_frame_times(_Reader(dataset)) for dataset in datasets]
    isotope = _Reader.item(datasets[0], "RadiopharmaceuticalInformationSequence", first.used)
    if isotope is not None:
        header.injection = _date_time(isotope.text("RadiopharmaceuticalStartDateTime"))
        header.injection_time = _time(isotope.text("RadiopharmaceuticalStartTime"))
        header.dose_bq = isotope.positive("RadionuclideTotalDose")
        header.half_life_s = isotope.positive("RadionuclideHalfLife")
    header.ge_scan_start = _date_time(first.private(GE_SCAN_TIME, "GE scan date and time"))
    header.philips_suv = _positive(first.private(PHILIPS_SUV, "Philips SUV scale factor"))
    header.philips_activity = _positive(first.private(PHILIPS_ACTIVITY, "Philips activity concentration scale factor"))
    header.without_slope = sum(1 for dataset in datasets if dataset.get("RescaleSlope") in (None, ""))
    header.used = first.used
    return header


class _Reader:
    """Reads one data set and remembers what it was asked for."""

    def __init__(self, dataset: Dataset, used: list[UsedTag] | None = None) -> None:
        self._dataset = dataset
        self.used: list[UsedTag] = [] if used is None else used

    @classmethod
    def item(cls, dataset: Dataset, keyword: str, used: list[UsedTag]) -> _Reader | None:
        sequence = dataset.get(keyword)
        return cls(sequence[0], used) if sequence else None

    def texts(self, keyword: str, *, record: bool = True) -> list[str]:
        from pydicom.datadict import dictionary_description, tag_for_keyword
        from pydicom.tag import Tag

        value = self._dataset.get(keyword)
        parts = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
        texts = ["" if part is None else str(part).strip() for part in parts]
        if record:
            tag = Tag(tag_for_keyword(keyword) or 0)
            shown = "\\".join(texts)
            self.used.append(UsedTag(f"({tag.group:04x},{tag.element:04x})", dictionary_description(tag), shown))
        return texts

    def text(self, keyword: str, *, record: bool = True) -> str:
        return self.texts(keyword, record=record)[0] if self.texts(keyword, record=False) else ""

    def positive(self, keyword: str) -> float | None:
        return _positive(self.text(keyword))

    def moment(self, date_keyword: str, time_keyword: str) -> dt.datetime | None:
        date, time = self.text(date_keyword), self.text(time_keyword)
        return _date_time(date + time) if len(date) >= 8 and time else None

    def private(self, where: tuple[tuple[int, int], str, int], name: str) -> str:
        (group, _), creator, element = where
        try:
            found: Any = self._dataset.private_block(group, creator)[element]
        except KeyError:
            return ""
        value = found.value.decode("ascii", "replace") if isinstance(found.value, bytes) else found.value
        self.used.append(UsedTag(f"({found.tag.group:04x},{found.tag.element:04x})", name, str(value).strip("\0 ")))
        return str(value).strip("\0 ")


def _frame_times(reader: _Reader) -> FrameTimes:
    duration = _positive(reader.text("ActualFrameDuration"))
    reference = reader.text("FrameReferenceTime")
    seconds = _number(reference)
    return FrameTimes(
        reader.moment("AcquisitionDate", "AcquisitionTime"),
        None if duration is None else duration / 1000.0,
        None if seconds is None else seconds / 1000.0,
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _positive(text: str) -> float | None:
    value = _number(text)
    return value if value is not None and value > 0 else None


def _date_time(text: str) -> dt.datetime | None:
    """Read DT, or DA and TM together. A zone is left off: all times of a series are in the scanner's zone (PS3.3 C.12.1.1.8)."""
    digits = text.split("+")[0].split("-")[0].replace(":", "").replace(".", "", 1) if text else ""
    if len(digits) < 12 or not digits.isdigit():
        return None
    padded = (digits[:14].ljust(14, "0")) + digits[14:20].ljust(6, "0")
    try:
        return dt.datetime.strptime(padded, "%Y%m%d%H%M%S%f")
    except ValueError:
        return None


def _time(text: str) -> dt.time | None:
    moment = _date_time("20000101" + text) if len(text) >= 4 else None
    return None if moment is None else moment.time()
