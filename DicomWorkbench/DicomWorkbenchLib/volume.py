"""A series of image planes to one array with its geometry and units.

See `read_volume`; `decode_pixels` gives the stored values of one image.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from DicomWorkbenchLib.errors import FileError, InputError, PixelDataError
from DicomWorkbenchLib.geometry import FloatArray, Point3, lps_to_ras, spacing_of
from DicomWorkbenchLib.pixels import decode_pixels
from DicomWorkbenchLib.pixels_native import without_unused_bits
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from DicomWorkbenchLib.series_judge import judge
from DicomWorkbenchLib.series_model import Series
from DicomWorkbenchLib.series_problems import Problem, ProblemKind, Severity
from DicomWorkbenchLib.volume_plan import SlicePlan, plan_slices

__all__ = ["Volume", "decode_pixels", "read_volume"]

MOST_JOBS = 8  # threads; more slices in flight only cost memory, the disk or the decoders are busy by then


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels in real units with their place in space.

    Attributes
    ----------
    array : (k, j, i) = (slice, row, column); int16 where all values are whole and fit, otherwise float32.
    matrix_lps : (4, 4) from index (i, j, k, 1) to LPS mm; its third column is oblique where the gantry was tilted.
    units : of the values: "HU", "Bq/ml", "Gy"; empty where the files do not say.
    padding : lowest and highest value that stands for "nothing was measured here"; None if the files name none.
    series : the planes that are in the array; without bad slices that were left out.
    problems : those of the series and those met while reading.
    """

    array: NDArray[np.int16] | NDArray[np.float32]
    matrix_lps: FloatArray
    units: str
    series: Series
    padding: tuple[float, float] | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def matrix_ras(self) -> FloatArray:
        """Matrix (4, 4) from index (i, j, k, 1) to RAS mm."""
        return lps_to_ras(self.matrix_lps)

    @property
    def spacing_mm(self) -> Point3:
        """Voxel size along (i, j, k)."""
        return spacing_of(self.matrix_lps)

    @property
    def warnings(self) -> list[str]:
        """Sentences about what may make the volume wrong or incomplete, for a report."""
        return [problem.message for problem in self.problems if problem.severity is not Severity.NOTE]

    def is_padding(self) -> NDArray[np.bool_]:
        """Return (k, j, i) booleans: True where nothing was measured."""
        if self.padding is None:
            return np.zeros(self.array.shape, bool)
        low, high = self.padding
        return (self.array >= low) & (self.array <= high)


def read_volume(
    series: Series,
    *,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
    jobs: int | None = None,
    on_bad_slice: Literal["stop", "skip"] = "stop",
) -> Volume:
    """Read the planes of a series into one array, each with its own rescale.

    Parameters
    ----------
    series : planes of one stack, as `series.scan` finds them.
    progress : called with slices read and slices.
    cancel : looked at between slices.
    jobs : threads, each with one slice in hand; None takes one per processor.
    on_bad_slice : "stop" raises at a slice that cannot be read; "skip" leaves it out, records a problem and a gap.

    Returns
    -------
    Volume
        Gaps and uneven spacing are problems in it; its matrix then spreads the slices evenly from the first to the last position.

    Raises
    ------
    GeometryError : the planes are no volume (no positions, coincident ones, several pixel spacings); says why.
    PixelDataError : a slice is cut off or broken, or holds colours; names the file.
    DependencyError : slices are compressed and no decoder for them is installed.
    Cancelled : the token was turned.
    """
    series.require_volume()
    reader = _Reader(series, progress, cancel, jobs, skip=on_bad_slice == "skip")
    array = reader.read()
    if reader.bad:
        array, series = _without(array, series, reader.bad)
    first = reader.plans[0].image
    problems = [*series.problems, *(reader.bad[place] for place in sorted(reader.bad))]
    return Volume(array, series.matrix_lps, first.units, series, first.padding, problems)


def _without(array: NDArray[Any], series: Series, bad: dict[int, Problem]) -> tuple[NDArray[Any], Series]:
    """Leave slices out, and judge the rest anew: what is missing is a gap now."""
    kept = [place for place in range(len(series.planes)) if place not in bad]
    if not kept:
        raise PixelDataError(f"none of the {len(series.planes)} slices can be read; {next(iter(bad.values())).message}")
    reduced = replace(series, planes=[series.planes[place] for place in kept], problems=[], obstacle="")
    judge(reduced)
    return array[kept], reduced


class _TooLarge(Exception):
    """Values turned out not to fit 16 bits."""


class _Reader:
    """Reads the planes of one series: several threads, each straight into its place in the result."""

    def __init__(
        self, series: Series, progress: Progress, cancel: CancelToken, jobs: int | None, *, skip: bool
    ) -> None:
        self._shape = (len(series.planes), series.rows, series.columns)
        self._series = series
        self._progress = progress
        self._cancel = cancel
        self._skip = skip
        self._jobs = max(min(jobs or os.cpu_count() or 1, MOST_JOBS, len(series.planes)), 1)
        self.bad: dict[int, Problem] = {}
        self.plans = plan_slices(series, cancel, self._failed)
        if not self.plans:
            raise PixelDataError(f"none of the {len(series.planes)} slices can be read; {self.bad[0].message}")

    def read(self) -> NDArray[Any]:
        """Return (k, j, i) in int16 if possible, otherwise float32; slices in ``bad`` are undefined."""
        if all(plan.is_whole for plan in self.plans):
            try:
                return self._fill(self._empty(np.int16), _read_whole)
            except _TooLarge:  # the values of full 16-bit images are only known when read
                pass
        return self._fill(self._empty(np.float32), _read_real)

    def _empty(self, dtype: type[np.generic]) -> NDArray[Any]:
        try:
            return np.empty(self._shape, dtype)
        except MemoryError as error:
            gigabytes = np.prod(self._shape, dtype=float) * np.dtype(dtype).itemsize / 1e9
            raise InputError(f"{self._series.label} needs {gigabytes:.1f} GB of memory, more than there is") from error

    def _failed(self, place: int, error: FileError) -> None:
        if not self._skip:
            raise error
        origin = self._series.planes[place].instance.origin
        self.bad[place] = Problem(ProblemKind.BAD_SLICE, f"{error}; the slice is left out", (origin,))

    def _fill(self, array: NDArray[Any], read_one: Callable[[SlicePlan, NDArray[Any]], None]) -> NDArray[Any]:
        def work(plan: SlicePlan) -> None:
            self._cancel.check()
            try:
                read_one(plan, array[plan.place])
            except FileError as error:
                self._failed(plan.place, error)

        with ThreadPoolExecutor(self._jobs) as pool:
            futures = {pool.submit(work, plan) for plan in self.plans}
            try:
                self._watch(futures)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return array

    def _watch(self, futures: set[Future[None]]) -> None:
        total, waiting = len(futures), futures
        while waiting:
            done, waiting = wait(waiting, timeout=0.1, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            self._cancel.check()
            self._progress(total - len(waiting), total, "reading slices")


def _read_whole(plan: SlicePlan, out: NDArray[np.int16]) -> None:
    """Read one slice (rows, columns) as 16-bit values; raises _TooLarge if they do not fit."""
    form = plan.image.form
    with plan.image.open() as reader:
        in_place = form.bits_allocated == 16 and reader.read_into(out)
        if in_place:
            stored = without_unused_bits(out if form.signed else out.view(np.uint16), form)
        else:
            stored = plan.image.frame(reader, plan.plane.frame)
    if not plan.surely_fits and not plan.rescale.fits_int16(float(stored.min()), float(stored.max())):
        raise _TooLarge
    if not in_place:
        np.copyto(out, stored, casting="unsafe")
    plan.rescale.apply_in_place(out)


def _read_real(plan: SlicePlan, out: NDArray[np.float32]) -> None:
    """Read one slice (rows, columns) in real values."""
    with plan.image.open() as reader:
        out[...] = plan.rescale.apply(plan.image.frame(reader, plan.plane.frame))
