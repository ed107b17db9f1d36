"""From stored values to real ones: slope and intercept of each slice, modality lookup tables, units.

References
----------
DICOM PS3.3 C.11.1 (Modality LUT), C.7.6.16.2.9 (pixel value transformation of frames), C.8.9.1 (PET units)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from DicomWorkbenchLib.headers import Header, quiet_pydicom, read_dataset
from DicomWorkbenchLib.headers_tags import Tag
from DicomWorkbenchLib.pixels_format import PixelFormat
from DicomWorkbenchLib.pixels_native import PixelArray
from DicomWorkbenchLib.series_frames import FUNCTIONAL_GROUPS, first_item, group_item
from DicomWorkbenchLib.series_model import Instance

if TYPE_CHECKING:
    from pydicom import Dataset

INT16 = np.iinfo(np.int16)
# PET Units (0054,1001) and RescaleType (0028,1054) in the way people write them; others stay as they are.
UNITS = {
    "BQML": "Bq/ml",
    "CNTS": "counts",
    "PROPCNTS": "proportional counts",
    "PROPCPS": "proportional counts/s",
    "CPS": "counts/s",
    "GML": "g/ml",
    "CM2ML": "cm2/ml",
    "1CM": "1/cm",
    "PCNT": "%",
    "NONE": "",
    "US": "",
}


@dataclass(frozen=True, slots=True)
class Rescale:
    """How the stored values of one slice become real ones: ``stored * slope + intercept``, or a lookup table.

    ``table`` maps ``first`` and the stored values after it; lower and higher ones take its first and last entry.
    """

    slope: float = 1.0
    intercept: float = 0.0
    table: NDArray[Any] | None = None
    first: int = 0

    @property
    def is_whole(self) -> bool:
        """True if whole numbers stay whole numbers."""
        return self.table is None and self.slope.is_integer() and self.intercept.is_integer()

    def fits_int16(self, low: float, high: float) -> bool:
        """True if stored values from ``low`` to ``high`` become whole numbers that 16 bits hold."""
        if not self.is_whole:
            return False
        ends = (low * self.slope + self.intercept, high * self.slope + self.intercept)
        return INT16.min <= min(ends) and max(ends) <= INT16.max

    def apply(self, stored: PixelArray) -> NDArray[Any]:
        """Return the real values as float64."""
        if self.table is not None:
            place = np.clip(stored.astype(np.int64) - self.first, 0, len(self.table) - 1)
            return np.asarray(self.table[place], dtype=np.float64)
        return np.asarray(stored * np.float64(self.slope) + self.intercept)

    def apply_in_place(self, stored: NDArray[np.int16]) -> None:
        """Rescale 16-bit values whose result `fits_int16`; stored unsigned values may be seen as signed here."""
        # Whole factors and sums are right modulo 2^16 whatever the intermediate values, so no wider copy is needed.
        if self.slope != 1:
            np.multiply(stored, _wrapped(self.slope), out=stored)
        if self.intercept != 0:
            np.add(stored, _wrapped(self.intercept), out=stored)


def _wrapped(value: float) -> np.int16:
    return np.int16(((int(value) + 0x8000) & 0xFFFF) - 0x8000)


def rescale_of_header(header: Header, instance: Instance) -> Rescale:
    """Return the rescale of a single-frame image; without any, stored values are the real ones.

    Raises
    ------
    FileError : the modality lookup table is broken.
    """
    slope, intercept = header.number(Tag.RESCALE_SLOPE), header.number(Tag.RESCALE_INTERCEPT)
    if slope is None and intercept is None and Tag.MODALITY_LUT in header:
        return _rescale_by_table(instance)
    return Rescale(1.0 if slope is None else slope, intercept or 0.0)


def _rescale_by_table(instance: Instance) -> Rescale:
    dataset = read_dataset(instance.path, pixels=False, tags=["ModalityLUTSequence", "PixelRepresentation"])
    with quiet_pydicom(f"{instance.origin} has a broken modality lookup table"):
        return _table(dataset)


def _table(dataset: Dataset) -> Rescale:
    item = dataset.ModalityLUTSequence[0]
    entries, first, _ = (int(value) for value in item.LUTDescriptor)
    entries = entries or 1 << 16  # PS3.3 C.11.1.1: 0 stands for 65536
    if dataset.get("PixelRepresentation") == 1 and first > INT16.max:
        first -= 1 << 16
    values = item.LUTData
    if isinstance(values, bytes):
        table = np.frombuffer(values, "<u2" if len(values) >= 2 * entries else "u1")
    else:
        table = np.atleast_1d(np.asarray(values))
    if len(table) < entries:
        raise ValueError(f"it has {len(table)} of {entries} entries")
    return Rescale(table=table[:entries].astype(np.float64), first=first)


def rescales_of_frames(instance: Instance) -> tuple[list[Rescale], str]:
    """Return the rescale of every frame of an enhanced image, and its units.

    Raises
    ------
    FileError : the functional groups are broken.
    """
    dataset = read_dataset(instance.path, pixels=False, tags=FUNCTIONAL_GROUPS)
    with quiet_pydicom(f"{instance.origin} has broken functional groups"):
        shared = first_item(dataset, "SharedFunctionalGroupsSequence")
        frames = dataset.get("PerFrameFunctionalGroupsSequence") or ()
        items = [group_item("PixelValueTransformationSequence", frame, shared) for frame in frames]
        kind = str(items[0].get("RescaleType") or "") if items and items[0] is not None else ""
        return [_of_item(item) for item in items], UNITS.get(kind, kind)


def _of_item(item: Dataset | None) -> Rescale:
    if item is None:
        return Rescale()
    slope, intercept = item.get("RescaleSlope"), item.get("RescaleIntercept")
    return Rescale(1.0 if slope is None else float(slope), float(intercept or 0))


def units_of_header(header: Header) -> str:
    """Return the units of the real values: "HU", "Bq/ml", ...; empty where the file does not say.

    A CT with a rescale intercept holds HU unless it says something else: RescaleType may be absent then (PS3.3 C.8.2.1.1.2).
    """
    stated = header.text(Tag.UNITS) or header.text(Tag.RESCALE_TYPE)
    if stated in ("", "US") and header.text(Tag.MODALITY) == "CT" and Tag.RESCALE_INTERCEPT in header:
        return "HU"
    return UNITS.get(stated, stated)


def padding_of_header(header: Header, rescale: Rescale, form: PixelFormat) -> tuple[float, float] | None:
    """Return the range of real values that stand for "nothing was measured here"; None if there is none.

    References
    ----------
    DICOM PS3.3 C.7.5.1.1.2 (PixelPaddingValue, PixelPaddingRangeLimit)
    """
    value = header.integer(Tag.PADDING)
    if value is None or form.float_bits:
        return None
    limit = header.integer(Tag.PADDING_LIMIT)
    stored = np.array([value, value if limit is None else limit])
    if form.signed:
        stored = (stored & 0xFFFF).astype(np.uint16).view(np.int16)
    real = rescale.apply(stored)
    return float(real.min()), float(real.max())
