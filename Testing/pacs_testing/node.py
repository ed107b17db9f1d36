"""A receiving node of ours in its own process, and an assembler whose clock the test turns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Job, Ledger
from AutoSegmentQueueLib.pacs.assembler import Assembler
from AutoSegmentQueueLib.pacs.node_child import NodeChild
from AutoSegmentQueueLib.pacs.received import Received, SeriesFolder
from AutoSegmentQueueLib.settings import QueueSettings
from queue_testing import opened_home


@dataclass
class Receiving:
    """A home that receives."""

    home: Home
    settings: QueueSettings
    ledger: Ledger
    child: NodeChild
    lines: list[str]
    now: float = 0.0
    assembler: Assembler = field(init=False)

    def __post_init__(self) -> None:
        self.assembler = Assembler(self.home, self.settings, self.ledger, self.lines.append, clock=lambda: self.now)

    @property
    def port(self) -> int:
        return self.child.port

    def series(self) -> list[SeriesFolder]:
        return Received(self.home).all()

    def files(self) -> list[Path]:
        """All instances that are in their place."""
        return [path for series in self.series() for path in series.files()]

    def after(self, seconds: float) -> list[Job]:
        """Return the jobs after so many more quiet seconds."""
        self.assembler.look()
        self.now += seconds
        self.assembler.look()
        return self.ledger.jobs()

    def log(self) -> str:
        """All that is written down anywhere in the home about receiving."""
        return "".join(path.read_text() for path in self.home.logs.glob("*.log")) + "\n".join(self.lines)


@contextlib.contextmanager
def receiving(root: Path, **dicom: Any) -> Iterator[Receiving]:
    """A node of a home while the block runs; settings of the node by name."""
    with opened_home(root) as (home, settings, ledger):
        settings = replace(settings, dicom=replace(settings.dicom, **dicom))
        home.save(settings)
        lines: list[str] = []
        child = NodeChild(home, 0, lines.append)
        child.start()
        try:
            yield Receiving(home, settings, ledger, child, lines)
        finally:
            child.stop()
