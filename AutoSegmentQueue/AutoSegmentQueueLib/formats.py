"""Is a file complete, and is it a scan we can read? Answered from the file itself, before it is queued.

Every format says somewhere how long it is: gzip in its trailer, NRRD and NIfTI in their headers, DICOM element by element, zip in its
directory. Nothing is allocated because a header asks for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.errors import InputError
from DicomWorkbenchLib.progress import NEVER, CancelToken

HEAD_BYTES = 1024
TAIL_BYTES = 4096
SUFFIXES = (".nrrd", ".nii", ".nii.gz", ".dcm", ".dicom", ".zip")
MOST_VOXELS = 1 << 36  # 4096 cubed; a header that promises more is damaged or made to do harm


class NotComplete(InputError):
    """The file ends before its own header says it should; more may come."""


class StillOpen(NotComplete):
    """Another program has the file open for writing."""


class NotUsable(InputError):
    """The file is no scan, or a damaged one; more bytes would not mend it."""


@dataclass(frozen=True)
class Checked:
    """A complete scan: its format and number of voxels (0 where only the engine can know)."""

    form: str
    voxels: int = 0


def check(path: Path, cancel: CancelToken = NEVER) -> Checked:
    """Check a file or a DICOM folder.

    Raises
    ------
    NotComplete : something is still missing.
    NotUsable : it is no scan, or damaged.
    OSError : it cannot be read.
    """
    from AutoSegmentQueueLib.formats_dicom import check_folder

    if path.is_dir():
        return check_folder(path, cancel)
    ensure_closed(path)
    return _checker(path, _head(path))(path, cancel)


def base_name(path: Path) -> str:
    """Return a file's name without the endings that say its format."""
    name = path.name
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def ensure_closed(path: Path) -> None:
    """Raise `StillOpen` if another program is known to write the file (Linux: a lease; Windows: a rename onto itself)."""
    if sys.platform != "win32":
        _ensure_closed_linux(path)
    else:
        try:
            path.rename(path)
        except PermissionError as error:
            raise StillOpen("it is still open in another program") from error


def ends_in_zeros(path: Path) -> bool:
    """True if the last bytes are all zero, as where a copying program has reserved the space beforehand."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL_BYTES))
        return not any(file.read(TAIL_BYTES))


def damaged(path: Path, message: str) -> InputError:
    """Return the error for a file that does not fit together: not complete if its end is only reserved space."""
    return NotComplete(f"{message}; its end is only reserved yet") if ends_in_zeros(path) else NotUsable(message)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _checker(path: Path, head: bytes) -> Callable[[Path, CancelToken], Checked]:
    from AutoSegmentQueueLib import formats_dicom, formats_nifti, formats_nrrd, formats_zip

    if not head:
        raise NotComplete("the file is empty")
    if not any(head):
        raise NotComplete("the file begins with zeros only, as if its space were only reserved yet")
    if head.startswith(b"\x1f\x8b"):
        return formats_nifti.check_packed
    if head.startswith(b"NRRD000"):
        return formats_nrrd.check
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        return formats_zip.check
    if formats_nifti.is_nifti(head):
        return formats_nifti.check
    if head[128:132] == b"DICM" or path.suffix.lower() in (".dcm", ".dicom", ""):
        return formats_dicom.check_file
    if len(head) < formats_nifti.HEADER_BYTES and path.name.lower().endswith(SUFFIXES):
        raise NotComplete(f"only {len(head)} bytes so far")
    raise NotUsable(f"it is none of the formats that are read here ({', '.join(SUFFIXES)}, DICOM folder)")


def _ensure_closed_linux(path: Path) -> None:
    if sys.platform != "linux":
        return
    import errno
    import fcntl
    import signal

    # A read lease is given only while nobody has the file open for writing. If somebody opens it during these microseconds the kernel
    # sends a signal, which must be one that does nothing.
    with path.open("rb") as file:
        try:
            fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                raise StillOpen("it is still open in another program") from error
            # other people's files and network file systems give no leases; size and time have to do then
