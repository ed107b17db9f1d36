"""De-identification after the Basic Application Level Confidentiality Profile (PS3.15 E.1 to E.3).

UIDs are mapped by the job's own map; this module does the rest. Text burned into the pixels is not searched for: it is warned of.
"""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from DicomOptimizerLib.confidentiality import CHARACTERISTICS, DUMMY, EMPTY, EMPTY_TIMES, REMOVE
from DicomOptimizerLib.settings import Dates

METHOD = "DICOM PS3.15 Basic Application Level Confidentiality Profile"
BASIC_PROFILE = ("113100", "Basic Application Confidentiality Profile")  # CID 7050
MODIFIED_DATES = ("113107", "Retain Longitudinal Temporal Information Modified Dates Option")
PATIENT_CHARACTERISTICS = ("113108", "Retain Patient Characteristics Option")
DUMMY_TEXT = "ANONYMIZED"
DUMMY_DATE, DUMMY_TIME = "19000101", "000000"
MOST_DAYS = 3650
TIMES = ("DA", "TM", "DT")
_PET = "1.2.840.10008.5.1.4.1.1.128"
_NEEDS_CONTENT_TIME = "1.2.840.10008.5.1.4.1.1.66."  # SEG, REG and their like: content date and time are Type 1
_SECONDARY_CAPTURES = "1.2.840.10008.5.1.4.1.1.7"
_ULTRASOUND = ("1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.3.1")
# What is written or read here itself, besides the tables.
_OWN = frozenset(
    (
        "PatientName", "PatientID", "PatientIdentityRemoved", "DeidentificationMethod", "BurnedInAnnotation", "ImageType",
        "LongitudinalTemporalInformationModified",
    )
)  # fmt: skip
STRUCTURED_REPORTS = "1.2.840.10008.5.1.4.1.1.88."  # free text may stand anywhere in them


@dataclass(frozen=True)
class Deidentifier:
    """Removes identity from data sets, the same way for all objects of a patient.

    Attributes
    ----------
    salt : secret of the job; pseudonyms and shifts of dates depend on it.
    dates : remove dates, or shift all dates of a patient by the same number of days (times of day stay).
    keep_characteristics : sex, age, size, weight and the like stay; SUV of PET needs the weight.
    """

    salt: str
    dates: Dates = Dates.REMOVE
    keep_characteristics: bool = False

    def apply(self, dataset: Dataset) -> list[str]:
        """De-identify a data set in place; returns warnings.

        References
        ----------
        DICOM PS3.15 E.1.1, E.2, E.3; PS3.3 C.12.1.1 for what is written about it
        """
        warnings = burned_in(dataset)
        patient = str(dataset.get("PatientID", "") or dataset.get("PatientName", "") or "")
        pseudonym = "P" + self._digest(patient)[:10].upper()
        days = 1 + int(self._digest(f"days\0{patient}")[:8], 16) % MOST_DAYS
        sop_class = str(dataset.get("SOPClassUID", ""))
        self._clean(dataset, sop_class, days)
        dataset.PatientName, dataset.PatientID = pseudonym, pseudonym
        for item in dataset.get("StructureSetROISequence", ()):
            item.ROIName = f"ROI {item.get('ROINumber', '')}".strip()
        self._declare(dataset)
        return warnings

    def leaves_alone(self, tag: BaseTag, vr: str) -> bool:
        """True if `apply` passes a top-level element through whatever its value is; it may say no of some that it would pass."""
        keyword = keyword_for_tag(tag)
        is_judged = not keyword or tag.is_private or _is_layer(tag) or vr in ("SQ", "PN", "UN", *TIMES)
        return not is_judged and keyword not in REMOVE | EMPTY | EMPTY_TIMES | DUMMY | _OWN

    def forgets(self, tag: BaseTag, vr: str) -> bool:
        """True if `apply` replaces the value of a top-level element by one that does not depend on it; it may say no of some."""
        keyword = keyword_for_tag(tag)
        is_blanked = vr == "PN" or (keyword in EMPTY | DUMMY and not self._keeps(keyword))
        return vr != "SQ" and keyword not in _OWN and (is_blanked or (vr in TIMES and self.dates is Dates.REMOVE))

    def _digest(self, text: str) -> str:
        return hashlib.sha256(f"{self.salt}\0identity\0{text}".encode()).hexdigest()

    def _clean(self, dataset: Dataset, sop_class: str, days: int) -> None:
        for tag in list(dataset.keys()):
            keyword = keyword_for_tag(tag)
            is_unknown = not keyword  # what the dictionary does not know cannot be judged
            if tag.is_private or is_unknown or _is_layer(tag) or (keyword in REMOVE and not self._keeps(keyword)):
                del dataset[tag]
            elif keyword in EMPTY and not self._keeps(keyword):
                _empty(dataset, tag)
            elif keyword in DUMMY:
                dataset[tag].value = DUMMY_TEXT
            else:
                self._clean_by_kind(dataset, tag, keyword, sop_class, days)

    def _clean_by_kind(self, dataset: Dataset, tag: BaseTag, keyword: str, sop_class: str, days: int) -> None:
        vr = _vr(dataset, tag)
        if vr == "SQ":
            for item in dataset[tag].value or ():
                self._clean(item, sop_class, days)
        elif vr == "PN":
            _empty(dataset, tag)
        elif vr in TIMES:
            self._clean_time(dataset, tag, keyword, sop_class, days)

    def _clean_time(self, dataset: Dataset, tag: BaseTag, keyword: str, sop_class: str, days: int) -> None:
        element = dataset[tag]
        if self.dates is Dates.SHIFT and keyword != "PatientBirthDate":
            if element.VR != "TM" and element.value:
                element.value = _each(element, lambda text: shifted(text, days))
        elif _is_needed(keyword, sop_class):
            element.value = {"DA": DUMMY_DATE, "TM": DUMMY_TIME, "DT": DUMMY_DATE + DUMMY_TIME}[element.VR]
        elif keyword in EMPTY_TIMES:
            element.value = ""
        else:
            del dataset[tag]

    def _keeps(self, keyword: str) -> bool:
        return self.keep_characteristics and keyword in CHARACTERISTICS

    def _declare(self, dataset: Dataset) -> None:
        from DicomOptimizerLib.derivation import code_item

        codes = [BASIC_PROFILE]
        codes += [MODIFIED_DATES] if self.dates is Dates.SHIFT else []
        codes += [PATIENT_CHARACTERISTICS] if self.keep_characteristics else []
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = METHOD
        dataset.DeidentificationMethodCodeSequence = Sequence([code_item(code) for code in codes])
        dataset.LongitudinalTemporalInformationModified = "MODIFIED" if self.dates is Dates.SHIFT else "REMOVED"


def burned_in(dataset: Dataset) -> list[str]:
    """Warn of text that may stand in the pixels; nothing here looks into them."""
    if "Rows" not in dataset:
        return []
    flag = str(dataset.get("BurnedInAnnotation", "")).upper()
    kind = str(dataset.get("SOPClassUID", ""))
    looks_captured = "SCREEN SAVE" in [str(value).upper() for value in dataset.get("ImageType", None) or ()]
    captured = kind.startswith(_SECONDARY_CAPTURES) or kind in _ULTRASOUND or looks_captured
    if flag == "YES":
        return ["the image says that text is burned into its pixels; it was not removed"]
    if captured and flag != "NO":
        return ["a screen capture or ultrasound image may have text burned into its pixels; look before publishing"]
    return []


def shifted(text: str, days: int) -> str:
    """Move a DA or DT value back by a number of days; what cannot be read as a date becomes the dummy date."""
    try:
        date = datetime.datetime.strptime(text[:8], "%Y%m%d").date() - datetime.timedelta(days=days)
    except (ValueError, OverflowError):
        return DUMMY_DATE
    return f"{date:%Y%m%d}".rjust(8, "0") + text[8:]


def _each(element: DataElement, change: object) -> object:
    assert callable(change)
    values = element.value if element.VM > 1 else [element.value]
    changed = [change(str(value)) for value in values]
    return changed if element.VM > 1 else changed[0]


def _is_layer(tag: BaseTag) -> bool:
    """Curves and overlays may be drawn patient data (PS3.15 Table E.1-1: X)."""
    return 0x5000 <= tag.group <= 0x50FF or 0x6000 <= tag.group <= 0x60FF


def _is_needed(keyword: str, sop_class: str) -> bool:
    if keyword in ("SeriesDate", "SeriesTime"):
        return sop_class == _PET
    if keyword in ("ContentDate", "ContentTime", "PresentationCreationDate", "PresentationCreationTime"):
        return sop_class.startswith(_NEEDS_CONTENT_TIME) or keyword.startswith("Presentation")
    return False


def _empty(dataset: Dataset, tag: BaseTag) -> None:
    element = dataset[tag]
    element.value = Sequence() if element.VR == "SQ" else ""


def _vr(dataset: Dataset, tag: BaseTag) -> str:
    raw = dataset.get_item(tag)
    vr = getattr(raw, "VR", None)
    if vr in (None, "UN"):
        try:
            return str(dictionary_VR(tag))
        except KeyError:
            return "UN"
    return str(vr)
