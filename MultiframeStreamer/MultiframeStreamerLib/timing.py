"""When each frame was taken: FrameTime, FrameTimeVector and their companions.

Source: DICOM PS3.3 C.7.6.5 (Cine module), C.7.6.6 (Frame Increment Pointer), C.7.6.16.2.2 (acquisition times of functional groups).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from .header import Header

FRAME_TIME, FRAME_TIME_VECTOR = 0x00181063, 0x00181065
_CINE_RATE, _DISPLAY_RATE, _DELAY = 0x00180040, 0x00082144, 0x00181066
_USUAL_RATE = 15.0  # frames a second where the file says nothing


@dataclass(frozen=True)
class Timing:
    """Times of frames.

    Attributes
    ----------
    times_ms : time of each frame since the first one, empty where the file holds none.
    rate : frames a second to play with.
    source : which attribute said so.
    """

    times_ms: tuple[float, ...]
    rate: float
    source: str

    def time_ms(self, index: int) -> float:
        """Return the time of a frame; without stored times, at the rate."""
        return self.times_ms[index] if index < len(self.times_ms) else index * 1000.0 / self.rate


def read_timing(header: Header, frames: int) -> Timing:
    """Read the times of frames from the header of an object."""
    rate, source = _rate(header)
    vector = header.numbers(FRAME_TIME_VECTOR)
    if len(vector) == frames and all(step >= 0 for step in vector[1:]):
        times = tuple(accumulate([0.0, *vector[1:]]))  # the first increment is zero by definition
        if rate is None and frames > 1 and times[-1] > 0:
            rate = 1000.0 * (frames - 1) / times[-1]
        return Timing(times, rate or _USUAL_RATE, "FrameTimeVector")
    step = next(iter(header.numbers(FRAME_TIME)), 0.0)
    if step > 0:
        return Timing(tuple(index * step for index in range(frames)), rate or 1000.0 / step, "FrameTime")
    return Timing((), rate or _USUAL_RATE, source if rate else "not in the file")


def _rate(header: Header) -> tuple[float | None, str]:
    for tag, name in ((_DISPLAY_RATE, "RecommendedDisplayFrameRate"), (_CINE_RATE, "CineRate")):
        value = next(iter(header.numbers(tag)), 0.0)
        if 0 < value <= 1000:
            return value, name
    return None, ""
