"""Where files of the output go: the input's folder structure, or neutral names where identity must not show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath

from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.outputs import free_name

from DicomOptimizerLib.settings import OptimizerSettings


def output_folder(settings: OptimizerSettings) -> Path:
    """Return the folder the job makes; it does not exist yet.

    Raises
    ------
    OutputError : it would lie inside the input.
    """
    first = settings.inputs[0].absolute()
    if settings.output is None:
        return free_name(first.parent / settings.folder_name)
    target = settings.output.absolute()
    if target.is_dir():
        target = free_name(target / settings.folder_name)
    elif target.exists():
        raise OutputError(f"{target} is a file; choose a folder for the output")
    for given in settings.inputs:
        folder = given.resolve()
        if folder.is_dir() and target.resolve().is_relative_to(folder):
            raise OutputError(f"the output {target} lies inside the input {given}; choose a folder elsewhere with -o")
    return target


class Names:
    """Gives every file of the output a path of its own below ``root``.

    Parameters
    ----------
    root : folder of the output (its stage).
    inputs : what the user gave.
    neutral : make up names that say nothing (de-identification): folder and file names often hold a patient's name.
    """

    def __init__(self, root: Path, inputs: Sequence[Path], *, neutral: bool) -> None:
        self._root = root
        self._inputs = [path.absolute() for path in inputs]
        self._neutral = neutral
        self._numbers: dict[tuple[str, ...], int] = {}
        self._counts: dict[tuple[str, ...], int] = {}
        self._used: set[str] = set()

    def path_of(self, origin: str, modality: str, study_uid: str, series_uid: str) -> Path:
        """Return where the file that came from ``origin`` goes."""
        relative = self._neutral_name(modality, study_uid, series_uid) if self._neutral else self._own_name(origin)
        candidate, number = relative, 2
        while str(candidate).casefold() in self._used:  # Windows and macOS do not tell A from a
            candidate = relative.with_name(f"{relative.stem}_{number}{relative.suffix}")
            number += 1
        self._used.add(str(candidate).casefold())
        return self._root / candidate

    def _own_name(self, origin: str) -> PurePath:
        path = Path(origin)
        for given in self._inputs:
            if path == given:
                return PurePath(path.name)
            if path.is_relative_to(given):
                inside = path.relative_to(given)
                is_archive_or_one_of_many = len(self._inputs) > 1 or given.is_file()
                return (
                    PurePath(given.stem if given.is_file() else given.name) / inside
                    if is_archive_or_one_of_many
                    else PurePath(inside)
                )
        return PurePath(path.name)

    def _neutral_name(self, modality: str, study_uid: str, series_uid: str) -> PurePath:
        study = self._number((study_uid,), ())
        series = self._number((study_uid, series_uid), (study_uid,))
        counter = (study_uid, series_uid, "file")
        self._counts[counter] = self._counts.get(counter, 0) + 1
        return PurePath(f"Study_{study}", f"Series_{series}_{modality or 'OT'}", f"{self._counts[counter]:06d}.dcm")

    def _number(self, key: tuple[str, ...], inside: tuple[str, ...]) -> int:
        if key not in self._numbers:
            self._counts[inside] = self._counts.get(inside, 0) + 1
            self._numbers[key] = self._counts[inside]
        return self._numbers[key]
