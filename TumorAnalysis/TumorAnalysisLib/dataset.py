"""A data set as a list of patients that are opened one at a time.

Four layouts are recognised by what is in the folder or archive: 3D-IRCADb (PATIENT_DICOM beside MASKS_DICOM), LiTS (volume-N.nii beside
segmentation-N.nii), a CT with a Slicer segmentation (ct.nrrd beside one .seg.nrrd), and DICOM with SEG or RTSTRUCT.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from DicomWorkbenchLib.archives import unpack
from DicomWorkbenchLib.errors import ArchiveError, InputError, NoDicomError
from DicomWorkbenchLib.outputs import is_hidden_stage
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from DicomWorkbenchLib.series import scan

from TumorAnalysisLib.names import natural_key
from TumorAnalysisLib.patient import PatientData
from TumorAnalysisLib.read_dicom import has_masks, read_series
from TumorAnalysisLib.read_ircad import CT_NAME, MASKS_NAME, is_patient_folder, part_name, read_patient
from TumorAnalysisLib.read_volumes import CT_FILE, LITS_CT, lits_mask_of, read_lits, read_slicer, segmentation_beside

Reader = Callable[[Path, int, Progress, CancelToken], PatientData]


@dataclass(frozen=True)
class PatientSource:
    """A patient of a data set that has not been read yet.

    Attributes
    ----------
    id : folder, archive or file name; made unique within the data set.
    origin : where it lies, for messages.
    reader : reads it, given an empty scratch folder.
    broken : why it cannot be read at all; empty if it can be tried.
    """

    id: str
    origin: str
    reader: Reader
    broken: str = ""

    @contextmanager
    def opened(
        self, *, jobs: int = 1, progress: Progress = no_progress, cancel: CancelToken = NEVER
    ) -> Iterator[PatientData]:
        """Read the patient; what had to be unpacked for it is removed at the end of the block.

        Raises
        ------
        WorkbenchError : it cannot be read.
        """
        if self.broken:
            raise InputError(self.broken)
        with tempfile.TemporaryDirectory(prefix="dicom-workbench-", ignore_cleanup_errors=True) as scratch:
            yield self.reader(Path(scratch), jobs, progress, cancel)


class Dataset:
    """The patients of a folder or archive; a context manager, as it owns the folder into which an archive was unpacked.

    Raises
    ------
    InputError : the path does not exist or holds no patient in a known layout.
    """

    def __init__(self, path: Path, *, progress: Progress = no_progress, cancel: CancelToken = NEVER) -> None:
        if not path.exists():
            raise InputError(f"{path} does not exist; choose a folder or a zip archive")
        self._stack = ExitStack()
        self._progress, self._cancel = progress, cancel
        try:
            self.patients = _unique(self._find(path))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Dataset:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was unpacked."""
        self._stack.close()

    def _find(self, path: Path) -> list[PatientSource]:
        folder = path if path.is_dir() else self._unpacked(path, nested=False)
        found = list(self._patients_below(folder, path.stem))
        if not found:
            found = self._dicom_patients(path)
        if not found:
            raise NoDicomError(
                f"{path} holds no patient in a known layout; expected PATIENT_DICOM beside MASKS_DICOM (3D-IRCADb), volume-N.nii "
                "beside segmentation-N.nii (LiTS), ct.nrrd beside one .seg.nrrd, or CT series with SEG or RTSTRUCT"
            )
        return found

    def _unpacked(self, archive: Path, *, nested: bool) -> Path:
        scratch = self._stack.enter_context(
            tempfile.TemporaryDirectory(prefix="dicom-workbench-", ignore_cleanup_errors=True)
        )
        into = Path(scratch) / "unpacked"
        unpack(archive, into, nested=nested, progress=self._progress, cancel=self._cancel)
        return into

    def _patients_below(self, folder: Path, name: str) -> Iterator[PatientSource]:
        """Walk down to folders and archives that are patients; nothing inside a patient is looked at."""
        self._cancel.check()
        self._progress(0, 0, "looking for patients")
        if is_patient_folder(folder):
            yield _ircad(folder, name)
            return
        for entry in sorted(folder.iterdir(), key=lambda path: natural_key(path.name)):
            if entry.name.startswith("._") or is_hidden_stage(entry):
                continue
            if entry.is_dir():
                yield from self._patients_below(entry, entry.name)
            elif LITS_CT.match(entry.name):
                yield _lits(entry)
            elif CT_FILE.match(entry.name) and segmentation_beside(entry):
                yield _slicer(entry, name)
            elif entry.suffix.casefold() == ".zip":
                yield from self._archive(entry)

    def _archive(self, archive: Path) -> Iterator[PatientSource]:
        try:
            parents = _patient_parents(archive)
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            yield _broken(archive, f"{archive.name} is a damaged zip archive ({error}); fetch it again")
            return
        if len(parents) == 1 and not _holds_archives_of_patients(archive):
            yield PatientSource(_stem(archive.stem), str(archive), _archive_reader(archive, archive.stem))
        elif parents or _holds_archives_of_patients(archive):
            try:
                yield from self._patients_below(self._unpacked(archive, nested=False), archive.stem)
            except ArchiveError as error:
                yield _broken(archive, str(error))

    def _dicom_patients(self, path: Path) -> list[PatientSource]:
        found = self._stack.enter_context(scan(path, progress=self._progress, cancel=self._cancel))
        with_masks = [series for series in found.series if has_masks(series)]
        out = []
        for number, series in enumerate(with_masks, start=1):
            origin = str(Path(series.planes[0].instance.origin).parent)

            def read(scratch: Path, jobs: int, progress: Progress, cancel: CancelToken, n: int = number) -> PatientData:
                return read_series(with_masks[n - 1], f"patient{n}", jobs=jobs, progress=progress, cancel=cancel)

            out.append(PatientSource(f"patient{number}", origin, read))
        return out


def _ircad(folder: Path, name: str) -> PatientSource:
    patient_id = _stem(name)

    def read(scratch: Path, jobs: int, progress: Progress, cancel: CancelToken) -> PatientData:
        return read_patient(folder, patient_id, scratch, jobs=jobs, progress=progress, cancel=cancel)

    return PatientSource(patient_id, str(folder), read)


def _archive_reader(archive: Path, name: str) -> Reader:
    def read(scratch: Path, jobs: int, progress: Progress, cancel: CancelToken) -> PatientData:
        into = scratch / "patient"
        unpack(archive, into, nested=False, cancel=cancel)
        folder = next((Path(base) for base, _, _ in os.walk(into) if is_patient_folder(Path(base))), None)
        if folder is None:
            raise InputError(f"{archive.name} holds no PATIENT_DICOM and MASKS_DICOM")
        return read_patient(folder, _stem(name), scratch, jobs=jobs, progress=progress, cancel=cancel)

    return read


def _lits(ct: Path) -> PatientSource:
    patient_id = ct.name.split(".")[0]
    missing = "" if lits_mask_of(ct) else f"{ct.name} has no segmentation beside it"
    return PatientSource(
        patient_id, str(ct), lambda scratch, jobs, progress, cancel: read_lits(ct, patient_id), missing
    )


def _slicer(ct: Path, name: str) -> PatientSource:
    return PatientSource(name, str(ct), lambda scratch, jobs, progress, cancel: read_slicer(ct, name))


def _broken(path: Path, reason: str) -> PatientSource:
    def read(scratch: Path, jobs: int, progress: Progress, cancel: CancelToken) -> PatientData:
        raise InputError(reason)

    return PatientSource(_stem(path.stem), str(path), read, reason)


def _patient_parents(archive: Path) -> set[str]:
    """Return the folders inside an archive that hold a CT or masks part, without unpacking it."""
    parents = set()
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            parts = name.split("/")
            at = next((n for n, part in enumerate(parts) if part_name(part) in (CT_NAME, MASKS_NAME)), None)
            if at is not None:
                parents.add("/".join(parts[:at]))
    return parents


def _holds_archives_of_patients(archive: Path) -> bool:
    with zipfile.ZipFile(archive) as opened:
        names = [name.rsplit("/", 1)[-1] for name in opened.namelist()]
    return any(
        name.casefold().endswith(".zip")
        and part_name(name) not in (CT_NAME, MASKS_NAME, "labelled_dicom", "meshes_vtk")
        for name in names
    ) and not any(part_name(part) in (CT_NAME, MASKS_NAME) for part in names)


def _stem(name: str) -> str:
    return name.removesuffix(".zip")


def _unique(sources: list[PatientSource]) -> list[PatientSource]:
    counts: dict[str, int] = {}
    out = []
    for source in sources:
        counts[source.id] = counts.get(source.id, 0) + 1
        again = counts[source.id]
        # The id that a reader puts into its data is replaced by the job; here only the list has to be unambiguous.
        out.append(
            source if again == 1 else PatientSource(f"{source.id}_{again}", source.origin, source.reader, source.broken)
        )
    return out
