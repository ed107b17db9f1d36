"""One slice: what is to be done with it, and its pixels, resampled and reduced."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from DicomWorkbenchLib.headers import quiet_pydicom
from DicomWorkbenchLib.pixels import decode_pixels
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from DicomOptimizerLib.deidentify import Deidentifier
from DicomOptimizerLib.derivation import Treatment
from DicomOptimizerLib.references import Changes
from DicomOptimizerLib.resampling import resample, resample_masked


@dataclass(frozen=True)
class Job:
    """What all files of a job share; sent once to every worker process.

    Attributes
    ----------
    salt : of the UID map, so that every process maps alike.
    changes : removed and reclassified instances.
    treatments : per series (by index) what is done.
    deidentify : None leaves identity as it is.
    """

    salt: str
    changes: Changes = field(default_factory=Changes)
    treatments: tuple[Treatment, ...] = ()
    deidentify: Deidentifier | None = None


@dataclass(frozen=True)
class SliceTask:
    """One image to be written: from where, to where, how, and with which InstanceNumber."""

    path: Path
    origin: str
    target: Path
    treatment: int
    number: int


@dataclass(frozen=True)
class FileResult:
    """What one file came to; sizes in bytes."""

    sha256: str
    size_before: int
    size_after: int = 0
    warnings: tuple[str, ...] = ()


def stored_pixels(dataset: Dataset, origin: str) -> NDArray[Any]:
    """Return the stored values (rows, columns) of a single-frame image; plain 16-bit data is taken as it lies in the file.

    Raises
    ------
    PixelDataError : the pixels cannot be read.
    """
    keywords = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation", "SamplesPerPixel")
    rows, columns, allocated, stored, signed, samples = (_short(dataset, keyword) for keyword in keywords)
    is_plain = dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian and "PixelData" in dataset
    if is_plain and allocated == stored == 16 and samples == 1 and signed in (0, 1):
        data = dataset.get_item("PixelData").value
        if isinstance(data, bytes) and len(data) == 2 * rows * columns:
            return np.frombuffer(data, "<i2" if signed else "<u2").reshape(rows, columns)
    return np.asarray(decode_pixels(dataset, origin=origin)[0])


def _short(dataset: Dataset, keyword: str) -> int:
    raw = dataset.get_item(keyword) if keyword in dataset else None
    value = raw.value if raw is not None else None
    if isinstance(value, bytes):
        return int.from_bytes(value, "little") if len(value) == 2 else -1
    return value if isinstance(value, int) else -1


def real_values(dataset: Dataset, stored: NDArray[Any]) -> NDArray[Any]:
    """Apply the modality transformation of one image: a lookup table, or slope and intercept (PS3.3 C.11.1)."""
    if dataset.get("ModalityLUTSequence"):
        from pydicom.pixels.processing import apply_modality_lut

        with quiet_pydicom():
            return np.asarray(apply_modality_lut(stored, dataset), dtype=np.float32)
    slope, intercept = float(dataset.get("RescaleSlope", 1) or 1), float(dataset.get("RescaleIntercept", 0) or 0)
    values = stored.astype(np.float32)
    values *= np.float32(slope)
    values += np.float32(intercept)
    return values


def valid_pixels(dataset: Dataset, stored: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Mask of true pixels, or None if nothing is padding (PS3.3 C.7.5.1.1.2)."""
    padding = _stored_number(dataset, "PixelPaddingValue", stored.dtype)
    if padding is None:
        return None
    limit = _stored_number(dataset, "PixelPaddingRangeLimit", stored.dtype)
    low, high = sorted((padding, padding if limit is None else limit))
    valid = np.asarray(stored != low if low == high else (stored < low) | (stored > high))
    return None if valid.all() else valid


def _stored_number(dataset: Dataset, keyword: str, dtype: np.dtype[Any]) -> int | None:
    """Read a US-or-SS value; writers often give it with the wrong sign, so it is taken modulo the type's range."""
    value = dataset.get(keyword)
    if value is None or not isinstance(value, int):
        return None
    bits = dtype.itemsize * 8
    wrapped = value % (1 << bits)
    return wrapped - (1 << bits) if dtype.kind == "i" and wrapped >= 1 << (bits - 1) else wrapped


def new_pixels(dataset: Dataset, stored: NDArray[Any], treatment: Treatment) -> NDArray[Any]:
    """Compute the image of the output: resampled in real values, reduced and rounded once."""
    if not treatment.changes_pixels:
        return stored
    valid = valid_pixels(dataset, stored)
    has_table = bool(dataset.get("ModalityLUTSequence"))
    # Slope and intercept commute with the linear filter, so only a lookup table has to come first.
    values: NDArray[Any] = real_values(dataset, stored) if has_table else stored
    if treatment.resize is not None:
        if valid is None:
            values = resample(values, treatment.resize.new)
        else:
            values, valid = resample_masked(values, valid, treatment.resize.new)
    if treatment.grey is None:
        return _back_to_stored(dataset, values, valid, stored.dtype, has_table)
    if not has_table:
        values = real_values(dataset, values)
    grey = treatment.grey.grey(values, valid)
    return np.asarray(grey, dtype=np.uint16 if treatment.legal_ct else np.uint8)


def _back_to_stored(
    dataset: Dataset, values: NDArray[Any], valid: NDArray[np.bool_] | None, dtype: np.dtype[Any], has_table: bool
) -> NDArray[Any]:
    if has_table:  # a table has no way back; 16 bits hold its results as they are
        dtype = np.dtype(np.int16 if values.min() < 0 else np.uint16)
        kind = dataset.ModalityLUTSequence[0].get("ModalityLUTType", "US")
        del dataset.ModalityLUTSequence
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", "0", kind
        dataset.BitsStored = 16
    limits = np.iinfo(dtype)
    image: NDArray[Any] = np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
    if valid is not None:
        padding = _stored_number(dataset, "PixelPaddingValue", dtype)
        image[~valid] = padding if padding is not None else 0
    return image
