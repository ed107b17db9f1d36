"""Finding DICOM: folders, files and zip archives become sorted series, the objects linked to them, and problems.

Only headers are read. See `scan`.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from DicomWorkbenchLib.archives import unpack
from DicomWorkbenchLib.errors import ArchiveError, NoDicomError
from DicomWorkbenchLib.outputs import ScratchFolder
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from DicomWorkbenchLib.series_copies import without_copied_objects, without_copies
from DicomWorkbenchLib.series_examine import Chunk, Examiner
from DicomWorkbenchLib.series_files import FoundFile, find_files
from DicomWorkbenchLib.series_links import link
from DicomWorkbenchLib.series_model import Instance, LinkedObject, Plane, Series, folder_of
from DicomWorkbenchLib.series_problems import Problem, ProblemKind, Severity, counted, named
from DicomWorkbenchLib.series_read import Archive, Examined, Ignored, ImageRecord, Later, NoImage, examine
from DicomWorkbenchLib.series_stacks import build_series

__all__ = ["Instance", "LinkedObject", "Plane", "Problem", "ProblemKind", "Scan", "Series", "Severity", "scan"]


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
        self._scratch: ScratchFolder | None = None
        self._unpacked = 0

    def __enter__(self) -> Scan:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was unpacked from archives; paths of instances inside archives are gone after that."""
        if self._scratch is not None:
            self._scratch.close()
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
            self._scratch = ScratchFolder()
        self._unpacked += 1
        return self._scratch.path / f"{self._unpacked:04d}"


def scan(
    paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
    jobs: int | None = None,
    examined: Iterable[Chunk] | None = None,
) -> Scan:
    """Find DICOM images and the objects linked to them, reading headers only.

    Parameters
    ----------
    paths : folders, files and zip archives, in any mixture.
    progress : called with files read, 0 (how many there will be is not known), and what is being done.
    cancel : looked at between files.
    jobs : threads that read headers; None takes one, and more the longer the storage lets it wait.
    examined : what the files in ``paths`` are, in the order of `find_files`, if somebody else reads their headers.

    Returns
    -------
    Scan
        Files that cannot be read are problems in it, never exceptions. An empty scan is no error: see `Scan.require_images`.

    Raises
    ------
    Cancelled : the token was turned; nothing unpacked is left.
    OutputError : an archive cannot be unpacked because the folder for temporary files cannot be written.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    result = Scan()
    try:
        _Scanner(result, progress, cancel, jobs).run([Path(path) for path in given], examined)
    except BaseException:
        result.close()
        raise
    return result


class _Scanner:
    """The work of one scan."""

    def __init__(self, result: Scan, progress: Progress, cancel: CancelToken, jobs: int | None) -> None:
        self._result = result
        self._progress = progress
        self._cancel = cancel
        self._examiner = Examiner(cancel, jobs)
        self._records: list[ImageRecord] = []
        self._linked: list[LinkedObject] = []
        self._archives: list[Archive] = []
        self._others: dict[str, list[str]] = defaultdict(list)  # modality -> files without an image

    def run(self, paths: list[Path], examined: Iterable[Chunk] | None) -> None:
        problems = self._result.problems
        here = self._examiner.run(find_files(paths, self._cancel, problems.append))
        self._examine(self._read_elsewhere(examined) if examined is not None else here)
        archives, self._archives = self._archives, []
        for archive in archives:
            self._examine(self._examiner.run(iter(self._unpack(archive))))
        for inner in self._archives:  # those inside were unpacked along; what is left of them is damaged or locked
            message = f"{inner.origin} cannot be unpacked; it is damaged or encrypted"
            problems.append(Problem(ProblemKind.REFUSED_ARCHIVE, message, (inner.origin,)))
        self._progress(self._result.files_seen, self._result.files_seen, "sorting slices")
        self._finish()

    def _examine(self, chunks: Iterable[list[Examined]]) -> None:
        for found in chunks:
            for one in found:
                self._keep(one)
            self._result.files_seen += len(found)
            self._progress(self._result.files_seen, 0, "reading headers")

    def _keep(self, one: Examined) -> None:
        match one:
            case ImageRecord():
                self._records.append(one)
            case LinkedObject():
                self._linked.append(one)
            case Archive():
                self._archives.append(one)
            case NoImage():
                self._others[one.modality or "unknown"].append(one.origin)
            case Problem():
                self._result.problems.append(one)
            case Ignored():
                self._result.files_ignored += 1

    def _read_elsewhere(self, chunks: Iterable[Chunk]) -> Iterator[list[Examined]]:
        """Take what other processes read, and look into what they left."""
        for found, problems in chunks:
            self._result.problems += problems
            yield [examine(one.path, one.origin) if isinstance(one, Later) else one for one in found]

    def _unpack(self, archive: Archive) -> list[FoundFile]:
        folder = self._result._new_folder()
        try:
            files = unpack(Path(archive.path), folder, progress=self._progress, cancel=self._cancel)
        except ArchiveError as error:
            message = str(error).replace(archive.path, archive.origin)
            self._result.problems.append(Problem(ProblemKind.REFUSED_ARCHIVE, message, (archive.origin,)))
            return []
        return [(str(file), f"{archive.origin}/{file.relative_to(folder).as_posix()}") for file in files]

    def _finish(self) -> None:
        result = self._result
        records, problems = without_copies(self._records, self._cancel)
        result.problems += [one.problem for one in records if one.problem is not None] + problems
        result.problems += [_no_images(modality, origins) for modality, origins in sorted(self._others.items())]
        result.series = build_series(records)
        self._cancel.check()
        result.problems += _folders_with_several(result.series)
        result.linked, problems = without_copied_objects(self._linked)
        result.problems += problems
        result.problems += link(result.linked, result.series)
        result.problems += [problem for one in result.series for problem in one.problems]


def _no_images(modality: str, origins: list[str]) -> Problem:
    files = counted(len(origins), "DICOM file")
    message = f"{files} without an image (modality {modality}): {named(origins)}"
    return Problem(ProblemKind.NON_IMAGE, message, tuple(origins))


def _folders_with_several(all_series: list[Series]) -> list[Problem]:
    """Say which folders hold slices of several series: they are easily taken for one."""
    by_folder: dict[str, dict[str, Series]] = defaultdict(dict)
    for one in all_series:
        for folder in {folder_of(instance.origin) for instance in one.instances}:
            by_folder[folder][one.series_instance_uid] = one
    problems = []
    for folder, found in sorted(by_folder.items()):
        if len(found) > 1:
            labels = named([f"{one.label} ({counted(len(one.instances), 'file')})" for one in found.values()])
            message = f"the folder {folder} holds {len(found)} series, which are kept apart: {labels}"
            problems.append(Problem(ProblemKind.SEVERAL_SERIES, message, (folder,)))
    return problems
