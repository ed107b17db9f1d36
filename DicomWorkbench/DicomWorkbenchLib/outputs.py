"""Outputs that are either complete or absent.

Everything a job writes goes into a hidden folder beside the target and is renamed when it is complete, so that a crash, a full disk or a
cancel never leaves half a result under the name a user trusts.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import tempfile
import uuid
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from DicomWorkbenchLib.errors import OutputError

_MARK = ".partial-"
_OWNER = ".owner.json"
SYNCING = 8  # threads that only wait for the disk


class StagedFolder:
    """A folder that appears under its name only when the ``with`` block ends without an error.

    Parameters
    ----------
    target : the folder that is to appear; it must not exist yet.

    Examples
    --------
    >>> with StagedFolder(Path("out")) as stage:
    ...     (stage / "a.txt").write_text("complete")

    Raises
    ------
    OutputError : the target exists, or its parent cannot be written.
    """

    def __init__(self, target: Path) -> None:
        self.target = target.absolute()
        self.path = self.target.parent / f".{self.target.name[:60]}{_MARK}{uuid.uuid4().hex[:12]}"
        self._disk = ThreadPoolExecutor(SYNCING)  # waits are shared: the file system commits several files at once
        self._synced: dict[Path, Future[None]] = {}

    def complete(self, path: Path) -> None:
        """Bring a file to disk that nobody will write to any more, while work goes on; all others follow at the end."""
        self._synced[path] = self._disk.submit(sync, path)

    def __enter__(self) -> Path:
        if self.target.exists():
            raise OutputError(f"{self.target} exists already; choose another output folder or remove it first")
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            clean_leftovers(self.target.parent)
            self.path.mkdir()
            (self.path / _OWNER).write_text(json.dumps(_this_process()), encoding="utf-8")
        except OSError as error:
            shutil.rmtree(self.path, ignore_errors=True)
            raise cannot_write(self.target, error) from error
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._publish()
            except OSError as failure:
                self._disk.shutdown(cancel_futures=True)
                shutil.rmtree(self.path, ignore_errors=True)
                raise cannot_write(self.target, failure) from failure
            return
        self._disk.shutdown(cancel_futures=True)
        shutil.rmtree(self.path, ignore_errors=True)
        if isinstance(error, OSError) and _is_ours(error, self.path):
            raise cannot_write(self.target, error) from error

    def _publish(self) -> None:
        (self.path / _OWNER).unlink(missing_ok=True)
        found = [(Path(folder), names) for folder, _, names in os.walk(self.path)]
        files = [folder / name for folder, names in found for name in names]
        for path in files:
            if path not in self._synced:
                self.complete(path)
        for path in files:
            self._synced[path].result()
        self._disk.shutdown()
        for folder, _ in found:
            sync(folder)
        self.path.rename(self.target)
        sync(self.target.parent)


class ScratchFolder:
    """A folder for files that only one job needs; it disappears with `close`, with the object, or with the program.

    What a killed program left behind is removed by the next one that needs a scratch folder.
    """

    def __init__(self, parent: Path | None = None) -> None:
        parent = parent or Path(tempfile.gettempdir())
        self.path = parent / f".dicom-workbench{_MARK}{uuid.uuid4().hex[:12]}"
        try:
            clean_leftovers(parent)
            self.path.mkdir(mode=0o700)
            (self.path / _OWNER).write_text(json.dumps(_this_process()), encoding="utf-8")
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self._remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def close(self) -> None:
        """Remove the folder and everything in it."""
        self._remove()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file under ``path`` or nothing; an older file of that name is replaced.

    Raises
    ------
    OutputError : the file cannot be written; a file that was there before is untouched.
    """
    path = path.absolute()
    stage = path.parent / f".{path.name[:60]}{_MARK}{uuid.uuid4().hex[:12]}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stage.write_bytes(content)
        sync(stage)
        stage.replace(path)
        sync(path.parent)
    except OSError as error:
        stage.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def free_name(path: Path) -> Path:
    """Return ``path``, or where it exists ``path_2``, ``path_3``, ... (before the suffix of a file name)."""
    candidate, number = path, 2
    while candidate.exists():
        candidate = path.with_name(f"{path.stem}_{number}{path.suffix}")
        number += 1
    return candidate


def clean_leftovers(parent: Path) -> list[Path]:
    """Remove staged folders in ``parent`` whose process on this machine is gone; returns what was removed.

    A stage of a living process, of another machine, or without a readable owner is left alone.
    """
    removed = []
    for stage in parent.glob(f".*{_MARK}*"):
        try:
            owner = json.loads((stage / _OWNER).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if owner.get("host") == socket.gethostname() and not _is_alive(owner):
            shutil.rmtree(stage, ignore_errors=True)
            removed.append(stage)
    return removed


def is_hidden_stage(path: Path) -> bool:
    """True for a folder or file that is being written by a job; scans pass it over."""
    return path.name.startswith(".") and _MARK in path.name


def sync(path: Path) -> None:
    """Bring a file or folder safely to disk (folders: POSIX only; Windows has no such call)."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot; the data is written
            raise
    finally:
        os.close(handle)


def cannot_write(target: Path, error: OSError) -> OutputError:
    """Say in one sentence why ``target`` could not be written and what to do."""
    if error.errno == errno.ENOSPC:
        return OutputError(f"the disk that holds {target.parent} is full; free some space and run again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"{target.parent} cannot be written; choose another output folder with -o")
    return OutputError(f"{target} could not be written: {error.strerror or error}")


def _is_ours(error: OSError, stage: Path) -> bool:
    named = str(error.filename) if error.filename else ""
    return error.errno == errno.ENOSPC or named.startswith(str(stage))


def _this_process() -> dict[str, object]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _start_mark(os.getpid())}


def _start_mark(pid: int) -> str:
    # A process id is used again after a while; the start time from /proc tells two processes apart (Linux only).
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return fields[19] if fields[0] not in ("Z", "X") else "ended"


def _is_alive(owner: dict[str, object]) -> bool:
    pid = int(str(owner.get("pid", 0)))
    if Path("/proc/self/stat").exists():
        return _start_mark(pid) == owner.get("started")
    if os.name == "nt":
        return _is_alive_on_windows(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_alive_on_windows(pid: int) -> bool:
    import ctypes  # Windows branch: os.kill(pid, 0) would end the process there

    query_limited_information, still_active = 0x1000, 259
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    handle = kernel.OpenProcess(query_limited_information, False, pid)
    if not handle:
        return False
    code = ctypes.c_ulong()
    kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    kernel.CloseHandle(handle)
    return code.value == still_active
