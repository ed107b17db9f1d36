"""The header of an object in the DICOM JSON model, with addresses instead of bulk data (DICOM PS3.18 annex F)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib.errors import FileError
from DicomWorkbenchLib.headers import quiet_pydicom

from ..frames import Frames
from ..metadata import whole_header
from ..syntaxes import EXPLICIT_LE

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

_LARGEST_INLINE = 1024  # bytes of a binary value; larger ones become an address
_TABLES = ("7FE00001", "7FE00002")
_BULK = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))


def metadata_json(frames: Frames, address: str) -> dict[str, Any]:
    """Return all attributes of one object.

    Parameters
    ----------
    address : of the instance, without a slash at the end.

    Raises
    ------
    FileError : the header cannot be read.
    """
    part = frames.objects[0]
    found = header_json(whole_header(part.header), f"{address}/bulkdata")
    for tag in _TABLES:
        found.pop(tag, None)
    web = part.syntax.uid if part.syntax.encapsulated else EXPLICIT_LE
    found["00083002"] = {"vr": "UI", "Value": [web]}
    found["00280008"] = {"vr": "IS", "Value": [len(frames)]}
    found[f"{part.header.pixel_tag:08X}"] = {"vr": part.header.pixel_vr or "OW", "BulkDataURI": f"{address}/frames"}
    return dict(sorted(found.items()))


def header_json(dataset: Dataset, bulk: str) -> dict[str, Any]:
    """Turn a data set into the DICOM JSON model; large binary values become addresses below ``bulk``."""
    found: dict[str, Any] = {}
    with quiet_pydicom():
        for element in _elements(dataset):
            tag = f"{element.tag:08X}"
            if element.VR == "SQ":
                items = [header_json(item, f"{bulk}/{tag}/{number}") for number, item in enumerate(element.value, 1)]
                found[tag] = {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
            elif element.VR in _BULK and isinstance(element.value, bytes) and len(element.value) > _LARGEST_INLINE:
                found[tag] = {"vr": element.VR, "BulkDataURI": f"{bulk}/{tag}"}
            else:
                found[tag] = _json(element)
    return found


def _elements(dataset: Dataset) -> list[DataElement]:
    try:
        return list(dataset)
    except (ValueError, KeyError, TypeError, NotImplementedError) as error:
        raise FileError("the header holds a value that cannot be read") from error


def _json(element: DataElement) -> dict[str, Any]:
    """Return one attribute; a value that is not what its representation promises is left out, not guessed."""
    try:
        found: dict[str, Any] = element.to_json_dict(None, 1 << 30)
        json.dumps(found, allow_nan=False)
    except (ValueError, TypeError, AttributeError):
        return {"vr": str(element.VR)}
    return found


def bulk_value(dataset: Dataset, path: list[str]) -> bytes | None:
    """Return the binary value at TAG or TAG/ITEM/TAG/..., None if there is none."""
    current: Any = dataset
    for position, name in enumerate(path):
        if position % 2:
            if not name.isdecimal() or not 1 <= int(name) <= len(current):
                return None
            current = current[int(name) - 1]
            continue
        try:
            tag = int(name, 16)
        except ValueError:
            return None
        if tag not in current:
            return None
        current = current[tag].value
    return current if isinstance(current, bytes) else None
