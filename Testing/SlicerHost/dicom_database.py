"""Stand-in for Slicer's DICOM database and ``DICOMLib.DICOMUtils``: headers in memory, series loaded in order of position."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pydicom
import slicer
import vtk
from PySide6 import QtCore

from SlicerHost.faces import stands_for
from SlicerHost.plain_property import plain


@stands_for("slicer.dicomDatabase")
class DicomDatabase(QtCore.QObject):
    """Files by patient, study and series."""

    databaseChanged = QtCore.Signal()
    patientAdded = QtCore.Signal(int, str, str, str)
    studyAdded = QtCore.Signal(str)
    seriesAdded = QtCore.Signal(str)
    instanceAdded = QtCore.Signal(str)
    opened = QtCore.Signal()
    closed = QtCore.Signal()
    _headers: dict[str, pydicom.Dataset]

    def __init__(self) -> None:
        super().__init__()
        self._headers = {}

    def insert(self, path: str, storeFile: bool = False, generateThumbnail: bool = False) -> None:
        """Take in a file."""
        header = pydicom.dcmread(path, stop_before_pixels=True)
        known = self.filesForSeries(header.SeriesInstanceUID)
        self._headers[path] = header
        if not known:
            self.seriesAdded.emit(str(header.SeriesInstanceUID))
        self.instanceAdded.emit(str(header.SOPInstanceUID))
        self.databaseChanged.emit()

    def _distinct(self, keyword: str, **wanted: str) -> tuple[str, ...]:
        fitting = (
            header
            for header in self._headers.values()
            if all(str(header.get(name, "")) == value for name, value in wanted.items())
        )
        return tuple(dict.fromkeys(str(header.get(keyword, "")) for header in fitting))

    def patients(self) -> tuple[str, ...]:
        """Return the patients' keys."""
        return self._distinct("PatientID")

    def studiesForPatient(self, patient: str) -> tuple[str, ...]:
        """Return the StudyInstanceUIDs of a patient."""
        return self._distinct("StudyInstanceUID", PatientID=patient)

    def seriesForStudy(self, study: str) -> tuple[str, ...]:
        """Return the SeriesInstanceUIDs of a study."""
        return self._distinct("SeriesInstanceUID", StudyInstanceUID=study)

    def studyForSeries(self, series: str) -> str:
        """Return the StudyInstanceUID of a series."""
        return next(iter(self._distinct("StudyInstanceUID", SeriesInstanceUID=series)), "")

    def patientForStudy(self, study: str) -> str:
        """Return the patient's key of a study."""
        return next(iter(self._distinct("PatientID", StudyInstanceUID=study)), "")

    def filesForSeries(self, series: str, hits: int = -1) -> tuple[str, ...]:
        """Return the files of a series, in the order they came."""
        files = [path for path, header in self._headers.items() if str(header.SeriesInstanceUID) == series]
        return tuple(files if hits < 0 else files[:hits])

    def allFiles(self) -> tuple[str, ...]:
        """Return every file."""
        return tuple(self._headers)

    def descriptionForSeries(self, series: str) -> str:
        """Return the SeriesDescription."""
        return next(iter(self._distinct("SeriesDescription", SeriesInstanceUID=series)), "")

    def descriptionForStudy(self, study: str) -> str:
        """Return the StudyDescription."""
        return next(iter(self._distinct("StudyDescription", StudyInstanceUID=study)), "")

    def nameForPatient(self, patient: str) -> str:
        """Return the PatientName."""
        return next(iter(self._distinct("PatientName", PatientID=patient)), "")

    def fileForInstance(self, instance: str) -> str:
        """Return the file of an instance."""
        every = self._headers.items()
        return next((path for path, header in every if str(header.SOPInstanceUID) == instance), "")

    def instanceForFile(self, path: str) -> str:
        """Return the SOPInstanceUID of a file."""
        return str(self._headers[path].SOPInstanceUID) if path in self._headers else ""

    def seriesForFile(self, path: str) -> str:
        """Return the SeriesInstanceUID of a file."""
        return str(self._headers[path].SeriesInstanceUID) if path in self._headers else ""

    def fileValue(self, path: str, tag: str) -> str:
        """Return an element, such as "0008,0060", as text."""
        group, element = (int(part, 16) for part in tag.split(","))
        header = self._headers.get(path) or pydicom.dcmread(path, stop_before_pixels=True)
        value = header[group, element].value if (group, element) in header else ""
        return "\\".join(map(str, value)) if isinstance(value, pydicom.multival.MultiValue) else str(value)

    def instanceValue(self, instance: str, tag: str) -> str:
        """Return an element of an instance as text."""
        return self.fileValue(self.fileForInstance(instance), tag)

    def removeSeries(self, series: str, *_: Any) -> bool:
        """Forget a series."""
        for path in self.filesForSeries(series):
            del self._headers[path]
        self.databaseChanged.emit()
        return True

    def _forget(self) -> None:
        """Forget everything, for the next test."""
        self._headers.clear()

    isOpen = QtCore.Property(bool, lambda _self: True)
    isInMemory = QtCore.Property(bool, lambda _self: True)
    databaseDirectory = QtCore.Property(str, lambda _self: slicer.app.temporaryPath)
    databaseFilename = QtCore.Property(str, lambda _self: ":memory:")
    loadedSeriesInstanceUIDs = plain("QStringList", [])


def importDicom(dicomDataDir: str, dicomDatabase: Any = None, copyFiles: bool = False) -> None:
    """Take in every DICOM file below a folder."""
    database = dicomDatabase or slicer.dicomDatabase
    for path in sorted(Path(dicomDataDir).rglob("*")):
        if path.is_file() and pydicom.misc.is_dicom(path):
            database.insert(str(path))


def loadSeriesByUID(
    seriesUIDs: list[str], messages: Any = None, progressCallback: Any = None, enabledPluginClassNames: Any = None
) -> list[str]:
    """Load image series as volumes; return the ids of the new nodes."""
    return [_load_series(uid).GetID() for uid in seriesUIDs]


def _load_series(uid: str) -> Any:
    files = slicer.dicomDatabase.filesForSeries(uid)
    if not files:
        raise RuntimeError(f"no series {uid} in the DICOM database")
    names = vtk.vtkStringArray()
    for path in sorted(files, key=_position_along_normal):
        names.InsertNextValue(path)
    logic = slicer.modules.volumes.logic()
    title = slicer.dicomDatabase.descriptionForSeries(uid) or "DICOM series"
    node = logic.AddArchetypeVolume(names.GetValue(0), title, 0, names)
    node.SetAttribute("DICOM.instanceUIDs", " ".join(slicer.dicomDatabase.instanceForFile(path) for path in files))
    return node


def _position_along_normal(path: str) -> float:
    header = pydicom.dcmread(path, stop_before_pixels=True)
    right, down, at = (
        header.ImageOrientationPatient[:3],
        header.ImageOrientationPatient[3:],
        header.ImagePositionPatient,
    )
    normal = (
        right[1] * down[2] - right[2] * down[1],
        right[2] * down[0] - right[0] * down[2],
        right[0] * down[1] - right[1] * down[0],
    )
    return float(sum(a * b for a, b in zip(normal, at, strict=True)))


def seriesUIDsForFiles(files: list[str]) -> set[str]:
    """Return the series that files belong to."""
    return {slicer.dicomDatabase.seriesForFile(path) for path in files}


def make_dicomlib() -> dict[str, types.ModuleType]:
    """Return the modules ``DICOMLib`` and ``DICOMLib.DICOMUtils``."""
    package, utils = types.ModuleType("DICOMLib"), types.ModuleType("DICOMLib.DICOMUtils")
    for function in (importDicom, loadSeriesByUID, seriesUIDsForFiles):
        setattr(utils, function.__name__, function)
    package.DICOMUtils = utils
    return {"DICOMLib": package, "DICOMLib.DICOMUtils": utils}
