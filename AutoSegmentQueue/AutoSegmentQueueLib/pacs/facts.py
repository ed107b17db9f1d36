"""What routing asks about a series, read from one of its instances."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import NoDicomError

_TAGS = ["Modality", "SeriesDescription", "StudyDescription", "BodyPartExamined", "NumberOfFrames", "SeriesInstanceUID"]


@dataclass(frozen=True)
class SeriesFacts:
    """A series as routing sees it; ``slices`` counts files, or frames where a file has several."""

    modality: str = ""
    series_description: str = ""
    study_description: str = ""
    body_part: str = ""
    calling_ae: str = ""
    slices: int = 0


def facts_of(files: Sequence[Path], calling_ae: str = "") -> SeriesFacts:
    """Return the facts of one series.

    Raises
    ------
    NoDicomError : its first file cannot be read.
    """
    header = _header(files[0])
    if header is None:
        raise NoDicomError("the first file of the series cannot be read as DICOM")
    frames = _frames(header)
    text = {name: str(header.get(name) or "").strip() for name in _TAGS[:4]}
    return SeriesFacts(
        text["Modality"],
        text["SeriesDescription"],
        text["StudyDescription"],
        text["BodyPartExamined"],
        calling_ae,
        len(files) * frames,
    )


def series_in(path: Path) -> list[list[Path]]:
    """Return the DICOM files of a file or folder, series by series.

    Raises
    ------
    NoDicomError : there are none.
    """
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    groups: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        header = _header(file)
        if header is not None:
            groups[str(header.get("SeriesInstanceUID") or "")].append(file)
    if not groups:
        raise NoDicomError(f"{path} holds no DICOM file; give a DICOM file or folder, or say --modality and the like")
    return list(groups.values())


def _frames(header: Any) -> int:
    try:
        return max(1, int(header.get("NumberOfFrames") or 1))
    except (ValueError, TypeError):  # a damaged value; the check of the job will say so
        return 1


def _header(path: Path) -> Any:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they would show values of the file
            return dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
    except (InvalidDicomError, OSError, ValueError, EOFError):
        return None
