"""A large file that appears under its name only when it is complete."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.outputs import cannot_write, sync


@contextmanager
def staged_file(target: Path) -> Iterator[BinaryIO]:
    """Give a stream that becomes ``target`` when the block ends without an error.

    Raises
    ------
    OutputError : the target exists or cannot be written.
    """
    target = target.absolute()
    if target.exists():
        raise OutputError(f"{target} exists already; choose another name or remove it first")
    stage = target.parent / f".{target.name[:60]}.partial-{uuid.uuid4().hex[:12]}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with stage.open("w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        stage.rename(target)
        sync(target.parent)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        stage.unlink(missing_ok=True)
