"""From what workers say to the report: counts, sizes, warnings, bad slices, linked objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from DicomWorkbenchLib.errors import FileError, InputError, WorkbenchError
from DicomWorkbenchLib.report import InputFile
from DicomWorkbenchLib.series import Scan, Severity

from DicomOptimizerLib.linked import LinkedResult
from DicomOptimizerLib.planning import SeriesPlan
from DicomOptimizerLib.report import LinkedReport, OptimizerReport, SeriesReport
from DicomOptimizerLib.settings import OnBadSlice, OptimizerSettings
from DicomOptimizerLib.slices import FileResult
from DicomOptimizerLib.stack import regular_spacing_mm
from DicomOptimizerLib.todo import Work


class Collector:
    """Fills the report of one job.

    Attributes
    ----------
    bad : numbers of the planes that could not be read, by the number of their plan.
    """

    def __init__(self, plans: Sequence[SeriesPlan], settings: OptimizerSettings, report: OptimizerReport) -> None:
        self._settings, self._report = settings, report
        self._inputs: list[InputFile] = []
        self._linked: list[tuple[Work, LinkedResult]] = []
        self._notes: dict[str, int] = {}
        self._before = self._after = 0
        self.bad: dict[int, set[int]] = {}
        report.series = [_series_report(plan) for plan in plans]

    def take(self, item: Work, outcome: FileResult | WorkbenchError | OSError) -> None:
        """Note how one task ended; raises where a bad file is to stop the job, and for a full disk."""
        if not isinstance(outcome, FileResult):
            self._failed(item, outcome)
            return
        self._inputs.append(InputFile(item.task.origin, outcome.sha256))
        self._before += outcome.size_before
        if isinstance(outcome, LinkedResult):
            self._linked.append((item, outcome))
        if item.plan >= 0:
            self._note(outcome.warnings)
            self._after += outcome.size_after
            series = self._report.series[item.plan]
            series.bytes_before += outcome.size_before
            series.bytes_after += outcome.size_after
            series.slices_after += outcome.size_after > 0

    def retake(self, linked: Sequence[tuple[Work, LinkedResult]]) -> None:
        """Take the linked objects as they were written the second time."""
        self._linked = list(linked)

    def _note(self, notes: Sequence[str]) -> None:
        for text in notes:
            self._notes[text] = self._notes.get(text, 0) + 1

    def _failed(self, item: Work, error: WorkbenchError | OSError) -> None:
        """Stop at the first bad file, or leave it out and say so, as the user chose."""
        if not isinstance(error, FileError) or self._settings.on_bad_slice is OnBadSlice.STOP:
            if isinstance(error, FileError):
                raise type(error)(f"{error}; to leave such files out, use --on-bad-slice skip") from error
            raise error
        place = "one of its slices" if self._settings.deidentify else str(error)
        self._note([f"left out, because it cannot be read: {place}"])
        if item.plan >= 0:
            self._report.series[item.plan].bad_slices.append(place)
            self.bad.setdefault(item.plan, set()).add(item.plane)

    def finish(self, found: Scan, plans: Sequence[SeriesPlan]) -> None:
        """Put everything into the report; raises InputError if no image was written."""
        self._report_linked()
        report, is_anonymous = self._report, self._settings.deidentify
        if not any(one.slices_after for one in report.series):
            raise InputError("no image could be read, so nothing was written; look at the files with a DICOM viewer")
        report.inputs = sorted(self._inputs, key=lambda one: one.path)
        if is_anonymous:  # numbered, as names of files often say who the patient is
            report.inputs = [replace(one, path=f"file {n}") for n, one in enumerate(report.inputs, 1)]
        for plan, one in zip(plans, report.series, strict=True):
            one.bad_slices.sort()
            one.problems += [] if is_anonymous else [str(problem) for problem in plan.series.problems]
            report.warnings += [f"{one.label}: {reason}" for reason in plan.reasons]
        said = [problem for problem in found.problems if problem.severity is not Severity.NOTE]
        report.warnings += [problem.kind.value if is_anonymous else str(problem) for problem in said]
        report.warnings += [
            text if count == 1 else f"{text} ({count} files)" for text, count in sorted(self._notes.items())
        ]
        if is_anonymous:
            report.warnings.append(
                "the pixels were not searched for text that names the patient; look before publishing"
            )
        report.measure(self._before, self._after)

    def _report_linked(self) -> None:
        for item, result in sorted(self._linked, key=lambda pair: pair[0].task.origin):
            assert item.linked is not None
            self._note(result.warnings)
            self._after += result.size_after
            self._report.linked.append(
                LinkedReport(
                    item.linked.modality,
                    "" if self._settings.deidentify else item.task.origin,
                    result.size_before,
                    result.size_after,
                    result.references_dropped,
                    result.is_left_out,
                    list(result.rois),
                )
            )


def _series_report(plan: SeriesPlan) -> SeriesReport:
    series, treatment = plan.series, plan.treatment
    positions = series.positions_mm
    is_stack = len(positions) > 1
    size = (series.rows, series.columns)
    one = SeriesReport(
        label=series.label,
        modality=series.modality,
        slices_before=len(series.planes),
        size_before=size,
        size_after=treatment.resize.new if treatment and treatment.resize else size,
        spacing_before_mm=regular_spacing_mm(positions.tolist()) if is_stack else None,
        spacing_after_mm=regular_spacing_mm(positions[plan.kept].tolist()) if is_stack else None,
        done=[treatment.description] if treatment else [],
        problems=[*plan.reasons],
    )
    if treatment and treatment.grey:
        one.window = (treatment.grey.window.level, treatment.grey.window.width)
        one.grey_error, one.units = round(treatment.grey.error, 4), treatment.units
    return one
