"""Data sets that pynetdicom writes to disk while they arrive: where, and that none is left when an association ends in the middle."""

from __future__ import annotations

import queue
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def written_to(folder: Path) -> Iterator[None]:
    """Let data sets arrive in a folder of ours while the block runs.

    pynetdicom has no argument for it: it is a switch of the process, and the folder is that of all its temporary files.
    """
    from pynetdicom import _config

    _config.STORE_RECV_CHUNKED_DATASET = True
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def drop_unfinished(association: Any) -> None:
    """Remove what an association that has ended was about to receive; pynetdicom would leave it."""
    _drop(getattr(association.dimse.message, "_data_set_file", None))
    with suppress(queue.Empty):
        while True:
            _, primitive = association.dimse.msg_queue.get_nowait()
            _drop(getattr(primitive, "_dataset_file", None))


def _drop(file: Any) -> None:
    if file is not None:
        file.close()
        with suppress(OSError):
            Path(file.name).unlink(missing_ok=True)
