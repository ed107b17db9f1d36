"""What is said of an error that is no fault of the data: where it happened, never with which values."""

from __future__ import annotations

import traceback
from pathlib import Path

DEEPEST = 6  # calls named in a trace; the innermost ones


def is_of_the_data(error: Exception) -> bool:
    """True for an error of the operating system or of memory while a patient is read, which may not befall the next patient."""
    return isinstance(error, OSError | MemoryError)


def fault_text(error: Exception) -> str:
    """Say that the program is at fault, with type and place; the message is left out, as it may quote the bytes of a header."""
    place = _places(error)[-1]
    return f"an error in this program, not in the data: {type(error).__name__} in {place}; please report it"


def trace_text(error: Exception) -> str:
    """Return the calls that led to an error, the innermost last, in one line without values."""
    return f"trace of {type(error).__name__}: " + " > ".join(_places(error)[-DEEPEST:])


def _places(error: Exception) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.lineno} ({frame.name})" for frame in frames] or ["an unknown place"]
