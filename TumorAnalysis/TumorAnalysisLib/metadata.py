"""What a CT header says about scan and patient without saying who the patient is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import Dataset

# Keyword -> name in the table. Names, ids, dates, institutions and free text are not taken.
_TAKEN = {
    "Manufacturer": "manufacturer",
    "ManufacturerModelName": "scanner",
    "ConvolutionKernel": "kernel",
    "KVP": "tube_voltage_kv",
    "XRayTubeCurrent": "tube_current_ma",
    "SliceThickness": "slice_thickness_mm",
    "SpacingBetweenSlices": "spacing_between_slices_mm",
    "PatientSex": "sex",
    "PatientAge": "age",
    "PatientWeight": "weight_kg",
    "PatientSize": "height_m",
    "ContrastBolusAgent": "contrast_agent",
    "Modality": "modality",
}
KEYWORDS = [*_TAKEN, "SeriesDescription", "ProtocolName", "ContrastBolusRoute"]
OLDEST_AGE = 89  # single years above it identify a person (HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i)(C))
_PHASES = (
    ("portal venous", re.compile(r"porto|portal|venous|veineux|\bpv\b", re.IGNORECASE)),
    ("arterial", re.compile(r"arter|\bart\b", re.IGNORECASE)),
    ("delayed", re.compile(r"delay|late|tardif|equilib", re.IGNORECASE)),
    ("unenhanced", re.compile(r"non[- ]?contrast|unenhanced|native|sans injection|without contrast", re.IGNORECASE)),
)


def metadata_of(header: Dataset) -> dict[str, Any]:
    """Take scanner, kernel, contrast phase, sex, age and the like from the header of one CT slice."""
    found: dict[str, Any] = {}
    for keyword, name in _TAKEN.items():
        value = header.get(keyword)
        if value is not None and str(value).strip():
            found[name] = _plain(value)
    if "age" in found:
        found["age"] = _capped(str(found["age"]))
    # Series descriptions are free text in which names have been found: only a recognised phase is taken from them.
    said = " ".join(str(header.get(keyword, "")) for keyword in ("SeriesDescription", "ProtocolName"))
    phase = next((name for name, pattern in _PHASES if pattern.search(said)), "")
    if phase:
        found["contrast_phase"] = phase
    return found


def slice_thickness(metadata: Mapping[str, Any], spacing_k_mm: float) -> float:
    """Return the thickness the header states, else the spacing of the slices, mm."""
    stated = metadata.get("slice_thickness_mm")
    return float(stated) if isinstance(stated, int | float) and stated > 0 else spacing_k_mm


def _plain(value: Any) -> Any:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value).strip()
    return int(number) if number.is_integer() else number


def _capped(age: str) -> str:
    years = re.fullmatch(r"0*(\d+)Y", age)
    return "90+" if years and int(years.group(1)) > OLDEST_AGE else age.lstrip("0")
