"""The engines by name. Importing this is light: an engine loads what it needs when it segments."""

from __future__ import annotations

from DicomWorkbenchLib.errors import DependencyError

from AutoSegmentQueueLib.engines.model import Engine
from AutoSegmentQueueLib.engines.slicer import SlicerEngine
from AutoSegmentQueueLib.engines.threshold import ThresholdEngine
from AutoSegmentQueueLib.engines.totalsegmentator import TotalSegmentatorEngine

__all__ = ["ENGINES", "Engine", "get", "names"]

ENGINES: dict[str, Engine] = {
    engine.name: engine for engine in (ThresholdEngine(), TotalSegmentatorEngine(), SlicerEngine())
}


def names() -> list[str]:
    """Return the names of all engines, those that cannot be used here included."""
    return list(ENGINES)


def get(name: str) -> Engine:
    """Return an engine.

    Raises
    ------
    DependencyError : there is none of that name.
    """
    try:
        return ENGINES[name]
    except KeyError:
        raise DependencyError(f"the engine {name!r}", hint=f"there are: {', '.join(ENGINES)}") from None
