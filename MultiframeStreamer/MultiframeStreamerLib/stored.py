"""One DICOM object opened for its frames: header, pixel description and index together, from the cache where it has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.errors import FileError

from . import sidecar
from .header import Header, read_header, read_inflated
from .index import FrameIndex, build_index
from .pixel_format import PixelFormat, read_format
from .sources import ByteSource, LocalSource
from .spool import inflate
from .syntaxes import DEFLATED, Syntax, syntax_of


@dataclass
class StoredObject:
    """Header, pixel description and frame index of one object, and the bytes they refer to."""

    source: ByteSource
    header: Header
    pixels: PixelFormat
    index: FrameIndex
    from_sidecar: bool = False

    @property
    def syntax(self) -> Syntax:
        """Transfer syntax of the stored frames."""
        return syntax_of(self.header.transfer_syntax)

    def close(self) -> None:
        """Close the source."""
        self.source.close()


def open_source(place: str | Path, headers: Mapping[str, str] | None = None, timeout: float = 20.0) -> ByteSource:
    """Open a local file or an http(s) address.

    Raises
    ------
    FileError : it cannot be opened.
    """
    text = str(place)
    if text.startswith(("http://", "https://")):
        from .http_source import HttpSource

        return HttpSource(text, headers=headers, timeout=timeout)
    return LocalSource(Path(place))


def open_object(source: ByteSource, *, use_sidecar: bool = True) -> StoredObject:
    """Index one object, or take its index from the cache.

    Raises
    ------
    FileError, PixelDataError : not DICOM, not an image, or no frame can be found beyond doubt.
    """
    try:
        return _open(source, use_sidecar)
    except BaseException:
        source.close()
        raise


def _open(source: ByteSource, use_sidecar: bool) -> StoredObject:
    key = sidecar.key_of(source) if use_sidecar else ""
    found = _from_sidecar(source, key) if use_sidecar else None
    if found is not None:
        return found
    header = header_of(source)
    pixels = read_format(header)
    index = build_index(header, pixels)
    if use_sidecar and header.transfer_syntax != DEFLATED and sidecar.worth_keeping(index, header):
        sidecar.keep(key, header, pixels, index)
    return StoredObject(header.source, header, pixels, index)


def header_of(source: ByteSource) -> Header:
    """Read an object's header; a deflated one is inflated first, and the header then belongs to the spool.

    Raises
    ------
    FileError : not DICOM, or its header is damaged.
    """
    header = read_header(source)
    if header.transfer_syntax != DEFLATED:
        return header
    if source.remote:
        raise FileError(f"{source.name} is deflated as a whole; download it, single frames cannot be read from afar")
    spool = inflate(source, header.end)
    try:
        return read_inflated(spool, header.end, DEFLATED)
    except BaseException:
        spool.close()
        raise


def _from_sidecar(source: ByteSource, key: str) -> StoredObject | None:
    places = [sidecar.cache_folder() / (key + sidecar.SUFFIX)]
    if isinstance(source, LocalSource):
        places.append(sidecar.beside(source.path))
    for place in places:
        found = sidecar.load(place, key, source)
        if found is not None:
            header, pixels, index = found
            return StoredObject(source, header, pixels, index, from_sidecar=True)
    return None
