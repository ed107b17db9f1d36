"""Every error DicomWorkbench raises on purpose.

::

    WorkbenchError
    ├── SettingsError        a setting has a value that cannot work (also a ValueError)
    ├── InputError           something given to us cannot be used
    │   ├── NoDicomError     nothing usable was found where DICOM was expected
    │   ├── FileError        one file cannot be read as what it should be
    │   │   └── PixelDataError   its header is fine, its pixels are not
    │   ├── ArchiveError     an archive is broken or dangerous
    │   └── GeometryError    positions, orientations or sizes contradict each other
    ├── OutputError          a result could not be written
    ├── DependencyError      an optional package or program is missing
    ├── ProcessError         a child process failed
    └── Cancelled            the user asked us to stop

A message says what is wrong, where, what was expected and what to do. It never holds a patient's name or id.
"""

from __future__ import annotations


class WorkbenchError(Exception):
    """Base of all errors raised on purpose; its text is fit to be shown to a user."""


class SettingsError(WorkbenchError, ValueError):
    """A setting has a value that cannot work."""


class InputError(WorkbenchError):
    """Something given to us cannot be used."""


class NoDicomError(InputError):
    """Nothing usable was found where DICOM was expected."""


class FileError(InputError):
    """One file cannot be read as what it should be."""


class PixelDataError(FileError):
    """The header of a file is fine, its pixel data is not."""


class ArchiveError(InputError):
    """An archive is broken or dangerous to unpack."""


class GeometryError(InputError):
    """Positions, orientations or sizes contradict each other."""


class OutputError(WorkbenchError):
    """A result could not be written."""


class DependencyError(WorkbenchError):
    """An optional package or program is missing.

    Parameters
    ----------
    what : the package or program, as its users call it.
    extra : the extra of this project that installs it, if there is one.
    hint : what to do where no extra helps.
    """

    def __init__(self, what: str, *, extra: str = "", hint: str = "") -> None:
        how = hint or f'install it with: pip install "dicom-workbench[{extra}]"'
        super().__init__(f"{what} is needed and not installed; {how}")


class ProcessError(WorkbenchError):
    """A child process failed."""


class Cancelled(WorkbenchError):
    """The user asked us to stop; nothing was left half-made."""

    def __init__(self, message: str = "cancelled; nothing was written") -> None:
        super().__init__(message)
