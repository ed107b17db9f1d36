"""Numbers as DICOM decimal strings (DS)."""

from __future__ import annotations

import numpy as np

from DicomWorkbenchLib.geometry import FloatArray

LONGEST = 16  # characters of a DS value (PS3.5 6.2)


def decimal_string(number: float) -> str:
    """Write a number as precisely as 16 characters allow."""
    for digits in range(16, 0, -1):
        text = f"{number:.{digits}g}"
        if len(text) <= LONGEST:
            return text
    return "0"


def decimal_strings(numbers: FloatArray) -> bytes:
    """Write numbers as a DS value: ten significant digits, never more than 16 characters each (PS3.5 6.2)."""
    text = "\\".join([f"{number:.10g}" for number in np.ravel(numbers).tolist()])
    return (text + " " * (len(text) % 2)).encode("ascii")
