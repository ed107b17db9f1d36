"""Numbers as DICOM decimal strings (DS)."""

from __future__ import annotations

LONGEST = 16  # characters of a DS value (PS3.5 6.2)


def decimal_string(number: float) -> str:
    """Write a number as precisely as 16 characters allow."""
    for digits in range(16, 0, -1):
        text = f"{number:.{digits}g}"
        if len(text) <= LONGEST:
            return text
    return "0"
