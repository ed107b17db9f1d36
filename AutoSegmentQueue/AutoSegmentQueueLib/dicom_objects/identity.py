"""Who an object is: identifiers that follow from what it was made of, numbers, descriptions.

The same images, engine, options and labels give the same identifiers, so an object that is made or sent again is the same object.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from DicomWorkbenchLib.uids import derived_uid

from AutoSegmentQueueLib.dicom_objects.source import DicomSource
from AutoSegmentQueueLib.engines.model import Segmented

MODEL, SERIAL = "AutoSegmentQueue", "0"
CONTENT_CREATOR = "AutoSegmentQueue^"  # a program, no person; the caret says that there is one component only
WARNING = "research, not for diagnostic use"
_LAYOUT = "1"  # raised whenever the same labels are written in another way
# Series numbers that scanners do not use.
SERIES_NUMBERS = {"SEG": 911, "RTSTRUCT": 912, "SR": 913, "M3D": 914}


@dataclass(frozen=True)
class Identity:
    """The root of all identifiers of one result."""

    digest: str

    @staticmethod
    def of(source: DicomSource, segmented: Segmented, options: Mapping[str, Any]) -> Identity:
        """Return the identity of a segmentation of a series."""
        content = hashlib.sha256()
        for header in source.headers:
            content.update(str(header.SOPInstanceUID).encode() + b"\0")
        for part in (dict(segmented.version), dict(options), [(one.name, one.labels) for one in segmented.structures]):
            content.update(json.dumps(part, sort_keys=True, default=str).encode() + b"\0")
        content.update(str(segmented.labelmap.shape).encode())
        content.update(segmented.labelmap.tobytes())
        return Identity(content.hexdigest())

    def series(self, kind: str) -> str:
        """Return the SeriesInstanceUID of a kind of object."""
        return derived_uid(self.digest, _LAYOUT, kind, "series")

    def instance(self, kind: str, name: str = "") -> str:
        """Return the SOPInstanceUID of an object."""
        return derived_uid(self.digest, _LAYOUT, kind, "instance", name)

    def tracking(self, name: str) -> str:
        """Return the TrackingUID of a structure."""
        return derived_uid(self.digest, _LAYOUT, "tracking", name)

    def other(self, name: str) -> str:
        """Return another UID of the result, such as that of a dimension organisation."""
        return derived_uid(self.digest, _LAYOUT, "other", name)


def description(what: str) -> str:
    """Return a SeriesDescription (LO, at most 64 characters) that says what the object must not be used for."""
    return f"{what} ({WARNING})"[:64]


def label_of(name: str) -> str:
    """Return a structure's name as the objects have it (LO, at most 64 characters)."""
    return name[:64]
