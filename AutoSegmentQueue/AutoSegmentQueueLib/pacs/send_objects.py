"""The DICOM objects of a result, as the sender needs them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.errors import FileError
from DicomWorkbenchLib.headers import read_dataset
from DicomWorkbenchLib.report import sha256_of

from AutoSegmentQueueLib.pacs.send_errors import Permanent
from AutoSegmentQueueLib.publish import read_manifest

ENDING = ".dcm"
_HEAD = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")


@dataclass(frozen=True)
class SendObject:
    """One file and what it says about itself."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str


def object_names(folder: Path) -> list[str]:
    """Return the DICOM objects that a result's manifest lists."""
    manifest = read_manifest(folder) or {}
    outputs = manifest.get("outputs")
    names = [str(one.get("path", "")) for one in outputs if isinstance(one, dict)] if isinstance(outputs, list) else []
    return [name for name in names if name.endswith(ENDING)]


def objects_of(folder: Path) -> list[SendObject]:
    """Read the heads of a result's objects, once each file is seen to be the one that was validated.

    Raises
    ------
    Permanent : the result is not there any more or has been changed.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise Permanent(f"the result {folder.name} is not there any more")
    hashes = {str(one["path"]): str(one["sha256"]) for one in manifest["outputs"]}
    return [_object(folder / name, hashes[name]) for name in object_names(folder)]


def _object(path: Path, sha256: str) -> SendObject:
    try:
        if sha256_of(path) != sha256:
            raise Permanent(f"{path.name} was changed after it was validated; it is not sent")
        return object_of(path)
    except (OSError, FileError) as error:
        raise Permanent(f"{path.name} cannot be read any more") from error


def object_of(path: Path) -> SendObject:
    """Read the head of one object.

    Raises
    ------
    FileError : it cannot be read.
    """
    head = read_dataset(path, tags=_HEAD, pixels=False)
    return SendObject(
        path,
        str(head.SOPClassUID),
        str(head.SOPInstanceUID),
        str(head.SeriesInstanceUID),
        str(head.StudyInstanceUID),
        str(head.file_meta.TransferSyntaxUID),
    )
