"""Finding DICOM: folders, files and zip archives become sorted series, the objects linked to them, and problems.

Only headers are read. See `scan`.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from types import TracebackType

from DicomWorkbenchLib.archives import Limits, unpack
from DicomWorkbenchLib.errors import ArchiveError, NoDicomError
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from DicomWorkbenchLib.series_files import FoundFile, find_files
from DicomWorkbenchLib.series_links import link
from DicomWorkbenchLib.series_model import (
    Instance,
    LinkedObject,
    Plane,
    Problem,
    ProblemKind,
    Series,
    Severity,
    named,
)
from DicomWorkbenchLib.series_read import Archive, Examined, Ignored, ImageRecord, examine
from DicomWorkbenchLib.series_stacks import build_series

__all__ = ["Instance", "LinkedObject", "Plane", "Problem", "ProblemKind", "Scan", "Series", "Severity", "scan"]

CHUNK_FILES = 64  # files a worker reads between two looks at the cancel token and two progress reports
MOST_JOBS = 16  # threads that wait for slow storage at the same time


class Scan:
    """What a scan found. Use it as a context manager: it owns the folder into which archives were unpacked.

    Attributes
    ----------
    series : image stacks, by study, series number and position.
    linked : RTSTRUCT, SEG, RTDOSE, RTPLAN, PR, SR and REG objects.
    problems : everything remarkable, those of the series included.
    files_seen : how many files were looked at, those inside archives included.
    files_ignored : how many of them were no DICOM, or a DICOMDIR.
    """

    def __init__(self) -> None:
        self.series: list[Series] = []
        self.linked: list[LinkedObject] = []
        self.problems: list[Problem] = []
        self.files_seen = 0
        self.files_ignored = 0
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Scan:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was unpacked from archives; paths of instances inside archives are gone after that."""
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def require_images(self) -> Scan:
        """Return the scan itself, or raise if it found no image.

        Raises
        ------
        NoDicomError : with the first reasons, if there are any.
        """
        if self.series:
            return self
        reasons = "; ".join(problem.message for problem in self.problems[:3])
        raise NoDicomError(
            f"no DICOM image was found among {self.files_seen} files; choose a folder, files or a zip archive with images"
            + (f" ({reasons})" if reasons else "")
        )

    def volumes(self) -> list[Series]:
        """Return the series that are volumes, those with most planes first."""
        return sorted((one for one in self.series if one.is_volume), key=lambda one: -len(one.planes))

    def _new_folder(self) -> Path:
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="dicom-workbench-", ignore_cleanup_errors=True)
        return Path(tempfile.mkdtemp(dir=self._scratch.name)) / "unpacked"


def scan(
    paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
    jobs: int | None = None,
) -> Scan:
    """Find DICOM images and the objects linked to them, reading headers only.

    Parameters
    ----------
    paths : folders, files and zip archives, in any mixture.
    progress : called with files read, files found so far, and what is being done.
    cancel : looked at between files.
    jobs : threads that read headers; None takes one, and more the longer the storage lets it wait.

    Returns
    -------
    Scan
        Files that cannot be read are problems in it, never exceptions. An empty scan is no error: see `Scan.require_images`.

    Raises
    ------
    Cancelled : the token was turned; nothing unpacked is left.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    result = Scan()
    try:
        _fill(result, [Path(path) for path in given], progress, cancel, jobs)
    except BaseException:
        result.close()
        raise
    return result


def _fill(result: Scan, paths: list[Path], progress: Progress, cancel: CancelToken, jobs: int | None) -> None:
    records: list[ImageRecord] = []
    archives: list[Archive] = []
    files = find_files(paths, cancel, result.problems.append)
    _examine_all(result, files, records, archives, progress, cancel, jobs)
    for archive in archives:
        progress(result.files_seen, 0, "unpacking archives")
        inside = _unpacked(result, archive, cancel)
        nested: list[Archive] = []
        _examine_all(result, iter(inside), records, nested, progress, cancel, jobs)
        for inner in nested:  # unpack takes nested archives along; what it left is broken or locked
            message = f"the archive {inner.origin} inside an archive cannot be unpacked; it is damaged or encrypted"
            result.problems.append(Problem(ProblemKind.REFUSED_ARCHIVE, message, (inner.origin,)))
    progress(result.files_seen, result.files_seen, "sorting slices")
    records.sort(key=lambda record: record.instance.origin)
    result.problems += [record.problem for record in records if record.problem is not None]
    result.series, problems = build_series(records)
    cancel.check()
    result.problems += problems + _folders_with_several(result.series)
    result.problems += link(result.linked, result.series)
    result.problems += [problem for one in result.series for problem in one.problems]


def _examine_all(
    result: Scan,
    files: Iterator[FoundFile],
    records: list[ImageRecord],
    archives: list[Archive],
    progress: Progress,
    cancel: CancelToken,
    jobs: int | None,
) -> None:
    for found in _in_threads(files, cancel, jobs):
        for one in found:
            result.files_seen += 1
            if isinstance(one, ImageRecord):
                records.append(one)
            elif isinstance(one, LinkedObject):
                result.linked.append(one)
            elif isinstance(one, Archive):
                archives.append(one)
            elif isinstance(one, Problem):
                result.problems.append(one)
            elif isinstance(one, Ignored):
                result.files_ignored += 1
        progress(result.files_seen, 0, "reading headers")


def _in_threads(files: Iterator[FoundFile], cancel: CancelToken, jobs: int | None) -> Iterator[list[Examined]]:
    """Examine files in chunks, a few chunks ahead of the reader, in the order in which they were found."""

    def work(chunk: list[FoundFile]) -> tuple[list[Examined], float]:
        start, busy = time.perf_counter(), time.thread_time()
        found = []
        for path, origin in chunk:
            cancel.check()
            found.append(examine(path, origin))
        return found, (time.perf_counter() - start) / max(time.thread_time() - busy, 1e-6)

    chunks = iter(lambda: list(islice(files, CHUNK_FILES)), [])
    with ThreadPoolExecutor(jobs or MOST_JOBS) as pool:
        waiting: deque[Future[tuple[list[Examined], float]]] = deque()
        try:
            for chunk in chunks:
                waiting.append(pool.submit(work, chunk))
                if jobs is None:  # the first chunk tells how much of the time is waiting for the storage
                    found, share = waiting.popleft().result()
                    jobs = min(max(round(share), 1), MOST_JOBS)
                    yield found
                elif len(waiting) > jobs:
                    yield waiting.popleft().result()[0]
            while waiting:
                yield waiting.popleft().result()[0]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _unpacked(result: Scan, archive: Archive, cancel: CancelToken) -> list[FoundFile]:
    folder = result._new_folder()
    try:
        files = unpack(Path(archive.path), folder, limits=Limits(), cancel=cancel)
    except ArchiveError as error:
        result.problems.append(Problem(ProblemKind.REFUSED_ARCHIVE, str(error), (archive.origin,)))
        return []
    return [(str(file), f"{archive.origin}/{file.relative_to(folder).as_posix()}") for file in files]


def _folders_with_several(all_series: list[Series]) -> list[Problem]:
    """Say which folders hold slices of several series: they are easily taken for one."""
    by_folder: dict[str, dict[str, Series]] = defaultdict(dict)
    for one in all_series:
        for folder in {_folder_of(instance.origin) for instance in one.instances}:
            by_folder[folder][one.series_instance_uid] = one
    problems = []
    for folder, found in sorted(by_folder.items()):
        if len(found) > 1:
            labels = named([f"{one.label} ({len(one.instances)} files)" for one in found.values()])
            message = f"the folder {folder} holds {len(found)} series, which are kept apart: {labels}"
            problems.append(Problem(ProblemKind.SEVERAL_SERIES, message, (folder,)))
    return problems


def _folder_of(origin: str) -> str:
    return origin[: max(origin.rfind("/"), origin.rfind(os.sep))]
