"""Thousands of small DICOM files in a moment: one header is written by pydicom, the others differ from it in three values.

Writing each of some 8,000 mask slices through pydicom takes ten times as long as making their pixels.
"""

from __future__ import annotations

import struct

from pydicom.dataset import Dataset

from DicomWorkbenchLib.samples.dicom_writer import file_bytes, uid_of
from DicomWorkbenchLib.samples.grid import FloatArray

_UID = uid_of("placeholder")
_NUMBER = "7770777"
_POSITION = ("-90000.000001", "-90000.000002", "-90000.000003")


class SliceTemplate:
    """The file of a slice with blanks for SOPInstanceUID, InstanceNumber and ImagePositionPatient.

    Parameters
    ----------
    dataset : a complete header without pixel data, explicit little endian; ImagePositionPatient only if it is to be filled in.
    """

    def __init__(self, dataset: Dataset) -> None:
        dataset.SOPInstanceUID = _UID
        dataset.InstanceNumber = _NUMBER
        if "ImagePositionPatient" in dataset:
            dataset.ImagePositionPatient = list(_POSITION)
        self._header = file_bytes(dataset)
        self._vr = b"OW" if dataset.BitsAllocated > 8 else b"OB"

    def filled(self, uid: str, number: int, position_lps: FloatArray, pixels: bytes) -> bytes:
        """Return the file of one slice."""
        made = self._header.replace(_UID.encode(), uid.encode()).replace(_NUMBER.encode(), f"{number:<7d}".encode())
        for blank, value in zip(_POSITION, position_lps, strict=True):
            made = made.replace(blank.encode(), f"{value:<13.6f}".encode())
        pixels += b"\0" * (len(pixels) % 2)
        return made + struct.pack("<HH2sHI", 0x7FE0, 0x0010, self._vr, 0, len(pixels)) + pixels
