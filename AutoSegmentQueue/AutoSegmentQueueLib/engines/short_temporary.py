"""A short name for a deep temporary folder.

The queue gives each job a temporary folder of its own, deep below its home. Programs that make sockets in their temporary folder (Python's
multiprocessing does, and so nnU-Net) cannot where the path is longer than an address of a socket may be.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ADDRESS_BYTES = 103  # of a socket's path: macOS takes 104 with the closing zero, Linux 108
SOCKET_BYTES = 34  # what multiprocessing puts behind the folder's name
_PREFIX, _LINK = "dicom-workbench-", "tmp"


@contextmanager
def short_temporary() -> Iterator[dict[str, str]]:
    """Give the variables that name our temporary folder shortly, while a program runs; nothing where its own name is short enough.

    The short name is a link in a folder that only its owner can enter. A killed job leaves the link behind; the next removes it.
    """
    folder = tempfile.gettempdir()
    if sys.platform == "win32" or len(os.fsencode(folder)) + SOCKET_BYTES <= ADDRESS_BYTES:
        yield {}
        return
    try:
        short = Path("/tmp").resolve(strict=True)
        _sweep(short)
        alias = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=short))
    except OSError:  # no such folder, or not for us: most programs need no socket
        yield {}
        return
    try:
        (alias / _LINK).symlink_to(folder)
        yield dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(alias / _LINK))
    finally:
        shutil.rmtree(alias, ignore_errors=True)  # the link, not what it leads to


def _sweep(short: Path) -> None:
    """Remove links whose job is gone, and its folder with it."""
    for alias in short.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if (alias / _LINK).is_symlink() and not (alias / _LINK).exists():
                shutil.rmtree(alias)
