"""Finding the files a scan should look at: folders walked in order, our own unfinished outputs passed over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from DicomWorkbenchLib.outputs import is_hidden_stage
from DicomWorkbenchLib.progress import CancelToken
from DicomWorkbenchLib.series_problems import Problem, ProblemKind

Report = Callable[[Problem], None]
FoundFile = tuple[str, str]  # path, origin: the same place, as the user knows it


def find_files(paths: Iterable[Path], cancel: CancelToken, report: Report) -> Iterator[FoundFile]:
    """Yield every file in ``paths`` once, as (path, origin); what cannot be listed is reported.

    Links to folders are followed, each real folder is visited once.
    """
    folders: set[tuple[int, int]] = set()
    files: set[str] = set()
    for path in paths:
        place = path.absolute()
        if place.is_dir():
            found = _walk(str(place), folders, cancel, report)
        elif place.is_file():
            found = iter([str(place)])
        else:
            report(
                Problem(ProblemKind.UNREADABLE_FILE, f"{path} is no file or folder, or cannot be reached", (str(path),))
            )
            continue
        for file in found:
            if file not in files:
                files.add(file)
                yield file, _printable(file)


def _printable(path: str) -> str:
    """Return a path as messages and reports can hold it: names that are no Unicode get replacement signs."""
    return path if path.isprintable() else path.encode("utf-8", "replace").decode("utf-8")


def _walk(folder: str, seen: set[tuple[int, int]], cancel: CancelToken, report: Report) -> Iterator[str]:
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        cancel.check()
        try:
            status = Path(current).stat()
            if status.st_ino and (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(current) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            message = f"the folder {current} cannot be listed: {error.strerror or error}"
            report(Problem(ProblemKind.UNREADABLE_FOLDER, message, (current,)))
            continue
        folders = []
        for entry in entries:
            if entry.name.startswith(".") and is_hidden_stage(Path(entry.name)):
                continue
            if _is_folder(entry):
                folders.append(entry.path)
            elif _is_regular(entry):
                yield entry.path
        waiting.extend(reversed(folders))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_regular(entry: os.DirEntry[str]) -> bool:
    """False for pipes and devices, which would block; a link that leads nowhere is opened later and reported then."""
    try:
        return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())
    except OSError:
        return True
