"""What the optimizer says about a job when it is done."""

from __future__ import annotations

from dataclasses import dataclass, field

from DicomWorkbenchLib.report import Report

from DicomOptimizerLib.contours import RoiResult


@dataclass
class SeriesReport:
    """One series (stack) of the job; sizes in bytes, image sizes as (rows, columns).

    ``grey_error`` is the largest error of a recovered value inside the window, in ``units``; None where grey values were not reduced.
    """

    label: str
    modality: str
    slices_before: int
    slices_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    size_before: tuple[int, int] = (0, 0)
    size_after: tuple[int, int] = (0, 0)
    spacing_before_mm: float | None = None
    spacing_after_mm: float | None = None
    window: tuple[float, float] | None = None
    grey_error: float | None = None
    units: str = ""
    done: list[str] = field(default_factory=list)
    bad_slices: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass
class LinkedReport:
    """One linked object: what became of its ROIs or segments, and of its references."""

    modality: str
    origin: str
    bytes_before: int = 0
    bytes_after: int = 0
    references_dropped: int = 0
    is_left_out: bool = False
    rois: list[RoiResult] = field(default_factory=list)


@dataclass
class OptimizerReport(Report):
    """The report of one job; ``output`` is the folder that was made."""

    job: str = "optimize"
    output: str = ""
    series: list[SeriesReport] = field(default_factory=list)
    linked: list[LinkedReport] = field(default_factory=list)

    @property
    def moved(self) -> int:
        """Contours (and SEG frames) that were moved to a neighbouring slice."""
        return self._sum("moved")

    @property
    def merged(self) -> int:
        """Contours (and SEG frames) that were merged or blended into a kept slice's."""
        return self._sum("merged") + self._sum("blended")

    @property
    def dropped(self) -> int:
        """Contours (and SEG frames) of removed slices that were left out because their neighbour has its own."""
        return self._sum("dropped")

    @property
    def farthest_mm(self) -> float:
        """Largest distance a contour was moved by."""
        return max((abs(mm) for one in self.linked for roi in one.rois for mm in roi.moved_mm), default=0.0)

    def _sum(self, name: str) -> int:
        return sum(int(getattr(roi, name)) for one in self.linked for roi in one.rois)

    def measure(self, bytes_before: int, bytes_after: int) -> None:
        """Fill in the figures of the whole job."""
        self.measured = {
            "bytes_before": bytes_before,
            "bytes_after": bytes_after,
            "times_smaller": round(bytes_before / bytes_after, 2) if bytes_after else 0.0,
            "slices_before": sum(one.slices_before for one in self.series),
            "slices_after": sum(one.slices_after for one in self.series),
            "contours_moved": self.moved,
            "contours_merged": self.merged,
            "contours_dropped": self.dropped,
            "farthest_move_mm": round(self.farthest_mm, 4),
        }


def summary(report: OptimizerReport) -> str:
    """Return the few lines a user wants to read on a terminal or in a panel."""
    m = report.measured
    lines = [
        report.output,
        f"{_mb(m['bytes_before'])} -> {_mb(m['bytes_after'])} ({m['times_smaller']} times smaller), "
        f"{m['slices_before']} -> {m['slices_after']} slices, {report.seconds:.1f} s",
    ]
    if report.linked:
        lines.append(
            f"contours: {report.moved} moved (at most {report.farthest_mm:.2f} mm), {report.merged} merged, "
            f"{report.dropped} dropped because their neighbour has its own"
        )
    return "\n".join(lines)


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
