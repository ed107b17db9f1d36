"""New unique identifiers, the same new one for the same old one wherever it stands.

New UIDs are ``2.25.`` and a 128-bit number (PS3.5 B.2), at most 44 characters.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID

# Identifiers of kinds of things, not of things: they mean the same everywhere and must never be replaced.
KINDS = frozenset(
    {
        "SOPClassUID",
        "MediaStorageSOPClassUID",
        "ReferencedSOPClassUID",
        "ReferencedSOPClassUIDInFile",
        "RelatedGeneralSOPClassUID",
        "OriginalSpecializedSOPClassUID",
        "SOPClassesInStudy",
        "SOPClassesSupported",
        "TransferSyntaxUID",
        "AvailableTransferSyntaxUID",
        "ReferencedTransferSyntaxUIDInFile",
        "EncryptedContentTransferSyntaxUID",
        "MACCalculationTransferSyntaxUID",
        "CodingSchemeUID",
        "ContextUID",
        "ContextGroupExtensionCreatorUID",
        "MappingResourceUID",
        "ImplementationClassUID",
    }
)
_OTHER_KINDS = frozenset(
    (
        "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OD", "OF", "OL", "OV", "OW", "PN",
        "SH", "SL", "SS", "ST", "SV", "TM", "UC", "UL", "UR", "US", "UT", "UV",
    )
)  # fmt: skip
_WELL_KNOWN_ROOT = "1.2.840.10008."  # DICOM's own: classes, syntaxes, well-known frames of reference and instances


def new_uid() -> str:
    """Return a fresh random UID."""
    return f"2.25.{uuid.uuid4().int}"


def derived_uid(*parts: str) -> str:
    """Return the UID that belongs to some texts: always the same one, and nobody else's."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    # Version and variant bits as RFC 4122 wants them, so that the number is a legal UUID (PS3.5 B.2).
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}"


class UidMap:
    """One map for a whole job: an old UID always becomes the same new one.

    Parameters
    ----------
    salt : with a salt, the same old UID becomes the same new one in every run that uses the salt; without, new ones are random. Keep
        the salt secret where the old UIDs must not be guessed from the new ones.
    """

    def __init__(self, salt: str | None = None) -> None:
        self._salt = salt
        self._map: dict[str, str] = {}

    def new(self, uid: str) -> str:
        """Return the new UID of an old one; well-known UIDs of the standard and empty ones stay."""
        old = str(uid).strip()
        if not old or old.startswith(_WELL_KNOWN_ROOT):
            return old
        if old not in self._map:
            self._map[old] = new_uid() if self._salt is None else derived_uid(self._salt, old)
        return self._map[old]

    def apply(self, dataset: Dataset, keep: Iterable[str] = ()) -> None:
        """Replace every UID in a data set, at every depth and in its file meta, except identifiers of kinds.

        Parameters
        ----------
        dataset : changed in place; private elements with VR UI included.
        keep : keywords to leave alone besides `KINDS`.
        """
        left_alone = KINDS | set(keep)
        self._apply(dataset, left_alone)
        meta = getattr(dataset, "file_meta", None)
        if meta is not None:
            self._apply(meta, left_alone)

    def _apply(self, dataset: Dataset, left_alone: frozenset[str]) -> None:
        for tag, raw in list(dataset.items()):
            if raw.VR in _OTHER_KINDS:  # may still be raw, and building its value costs time
                continue
            if raw.VR == "UI" and isinstance(raw, RawDataElement):
                self._apply_raw(dataset, tag, raw, left_alone)
                continue
            element = dataset[tag]
            if element.VR == "SQ":
                for item in element.value or ():
                    self._apply(item, left_alone)
            elif element.VR == "UI" and element.keyword not in left_alone and element.value:
                _replace(element, self)

    def _apply_raw(self, dataset: Dataset, tag: BaseTag, raw: RawDataElement, left_alone: frozenset[str]) -> None:
        """Replace an element that is still bytes, which is several times faster than building its value first."""
        if not raw.value or keyword_for_tag(tag) in left_alone:
            return
        new = "\\".join(self.new(uid) for uid in raw.value.decode("ascii", "replace").rstrip("\0 ").split("\\"))
        content = (new + "\0" * (len(new) % 2)).encode("ascii", "replace")
        dataset[tag] = raw._replace(value=content, length=len(content))

    def as_dict(self) -> dict[str, str]:
        """Return old -> new of all UIDs met so far."""
        return dict(self._map)

    def __len__(self) -> int:
        return len(self._map)


def _replace(element: DataElement, uids: UidMap) -> None:
    if element.VM > 1:
        element.value = [UID(uids.new(value)) for value in element.value]
    else:
        element.value = UID(uids.new(element.value))
