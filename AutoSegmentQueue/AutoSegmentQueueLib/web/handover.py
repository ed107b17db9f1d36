"""From a finished upload to a job: the file gets its place and kind, then goes through the same checks as the input folder.

Every step can be repeated after a crash: places follow from the upload, and a place has one job.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from DicomWorkbenchLib.outputs import sync
from DicomWorkbenchLib.web_problems import Problem, bad_request

from AutoSegmentQueueLib import engines
from AutoSegmentQueueLib.adding import Wanted, settle_now
from AutoSegmentQueueLib.formats import HEAD_BYTES, SUFFIXES, base_name
from AutoSegmentQueueLib.formats_dicom import LITTER
from AutoSegmentQueueLib.formats_nifti import is_nifti
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.intake_units import look_at
from AutoSegmentQueueLib.ledger import Job, Ledger
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.web.uploads import Upload, Uploads

LEAST_BYTES = 352  # the mark of NIfTI lies behind all others, at the end of its header
_DICOM_BEGINS = (b"\x08\x00", b"\x02\x00")  # files without preamble, as old devices write them


class Handover:
    """Makes jobs of uploads."""

    def __init__(self, home: Home, settings: QueueSettings, ledger: Ledger, uploads: Uploads) -> None:
        self._home, self._settings, self._ledger, self._uploads = home, settings, ledger, uploads

    def wanted(self, metadata: dict[str, str], user: str, name: str = "") -> Wanted:
        """Return what is to be done with a scan.

        Raises
        ------
        Problem : there is no such engine, task or quality, or the engine cannot be used here.
        """
        engine = metadata.get("engine") or self._settings.engine
        if engine not in engines.names():
            raise bad_request(f"there is no such engine; there are: {', '.join(engines.names())}")
        if metadata.get("engine") and (reason := engines.get(engine).available()):
            raise Problem(409, f"the engine {engine} cannot be used here: {reason}")
        changes = {key: metadata[key] for key in ("task", "quality") if metadata.get(key)}
        segmentation = replace(self._settings.segmentation, **changes)  # type: ignore[arg-type]
        settings = replace(self._settings, engine=engine, segmentation=segmentation)
        return Wanted(settings, user=user, name=name)

    def one(self, upload: Upload) -> Job:
        """Make a job of a complete file; it is not checked yet.

        Raises
        ------
        Problem : it is of no format that is read here; the upload is removed.
        """
        part = self._uploads.path_of(upload.id)
        target = self._target(upload)
        if target is None:
            kind = kind_of(part, upload.filename)
            if not kind:
                self._uploads.remove(upload)
                raise not_a_scan()
            target = self._home.uploads / f"{upload.id}{kind}"
            part.rename(target)
            sync(target.parent)
        wanted = self.wanted(upload.metadata, upload.user, base_name(Path(upload.filename)))
        return self._received(target, wanted, [upload])

    def many(self, uploads: Sequence[Upload], batch: str, name: str, metadata: dict[str, str]) -> list[Job]:
        """Make jobs of a dropped folder: one of all its DICOM files, and one of each other scan.

        Raises
        ------
        Problem : there is no scan in it.
        """
        user = uploads[0].user
        singles = [one for one in uploads if self._is_single(one)]
        slices = [one for one in uploads if one not in singles and one.filename.lower() not in LITTER]
        jobs = [self.one(replace(one, metadata={**one.metadata, **metadata})) for one in singles]
        if any(self._may_be_dicom(one) for one in slices):
            folder = self._home.uploads / f"folder-{hashlib.sha256(f'{user}/{batch}'.encode()).hexdigest()[:24]}"
            folder.mkdir(mode=0o700, exist_ok=True)
            for number, one in enumerate(slices):
                part = self._uploads.path_of(one.id)
                if part.exists():
                    part.rename(folder / f"{number:06d}.dcm")
            sync(folder)
            jobs.append(self._received(folder, self.wanted(metadata, user, name), slices))
        if not jobs:
            raise Problem(422, "there is no scan in this folder: neither DICOM nor NRRD, NIfTI or zip")
        return jobs

    def settle(self, job: Job) -> Job:
        """Check a job's input and queue it, or fail it with the reason."""
        settings = replace(self._settings, stable_seconds=0.0)  # it is complete: nobody writes to it any more
        return settle_now(self._home, settings, self._ledger, job)

    def _received(self, target: Path, wanted: Wanted, uploads: Sequence[Upload]) -> Job:
        known = self._ledger.newest_of_source(str(target))
        if known is None:
            unit = look_at(target)
            if unit is None:
                raise Problem(410, "the upload is not there any more; upload it again")
            known = self._ledger.receive(wanted.new_job(self._home, target, unit.signature))
        self._uploads.taken(uploads, known.id)
        return known

    def _target(self, upload: Upload) -> Path | None:
        """Return where a file lies that was moved before the server was ended."""
        if self._uploads.path_of(upload.id).exists():
            return None
        return next(self._home.uploads.glob(f"{upload.id}.*"), None)

    def _is_single(self, upload: Upload) -> bool:
        part = self._uploads.path_of(upload.id)
        if not part.exists():
            return self._target(upload) is not None
        return kind_of(part, "") not in ("", ".dcm")

    def _may_be_dicom(self, upload: Upload) -> bool:
        part = self._uploads.path_of(upload.id)
        return not part.exists() or kind_of(part, upload.filename) == ".dcm"


def kind_of(path: Path, name: str) -> str:
    """Return the ending that fits a file's first bytes, empty text if it is no scan; the ending of its name does not count.

    ``name`` helps only where DICOM comes without its mark.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(b"NRRD000"):
        return ".nrrd"
    if head.startswith(b"\x1f\x8b"):
        return ".nii.gz"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ".zip"
    if is_nifti(head):
        return ".nii"
    bare = head[:2] in _DICOM_BEGINS and name.lower().endswith((".dcm", ".dicom"))
    return ".dcm" if head[128:132] == b"DICM" or bare else ""


def not_a_scan() -> Problem:
    """Return the answer to a file that begins like no scan."""
    return Problem(415, f"it is none of the formats that are read here ({', '.join(SUFFIXES)}, DICOM folder)")
