"""What is done with one scan of the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from DicomWorkbenchLib.errors import SettingsError

Quality = Literal["normal", "fast", "fastest"]


@dataclass(frozen=True)
class SegmentationSettings:
    """How a scan is segmented.

    Attributes
    ----------
    task : which structures, by TotalSegmentator's name of the task.
    quality : voxel size the network works at: "normal" 1.5 mm, "fast" 3 mm, "fastest" 6 mm.
    """

    task: str = "total"
    quality: Quality = "normal"

    def __post_init__(self) -> None:
        if not self.task:
            raise SettingsError("task must name a task of TotalSegmentator, such as total; it is empty")
        if self.quality not in get_args(Quality):
            raise SettingsError(f"quality must be one of {', '.join(get_args(Quality))}, got {self.quality!r}")
