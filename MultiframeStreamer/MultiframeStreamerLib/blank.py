"""A copy that can be shared: the same structure, byte for byte where it matters, without the patient and without the picture.

To report a problem with a file that must not leave the house, what matters is how the file is built: its offset table, items, lengths,
padding and faults. These stay exactly as they are. The header keeps only what describes pixels and geometry; all else is left out.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from DicomWorkbenchLib.errors import DependencyError, OutputError, PixelDataError, SettingsError
from DicomWorkbenchLib.pixels_encode import encode_frame
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from DicomWorkbenchLib.report import Report
from DicomWorkbenchLib.settings import to_json

from .blank_header import shareable_header
from .blank_streams import blank_frame, fitted
from .decode import decoded
from .frames import Frames, open_frames
from .header import UNDEFINED, Header
from .index import FragmentIndex
from .metadata import whole_header
from .native import NativeIndex
from .part10 import EncapsulatedWriter, header_bytes
from .repack import little_endian, recoded_format
from .settings import BlankSettings, Region
from .staged_file import staged_file
from .stored import StoredObject
from .syntaxes import DEFLATED, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, frame_begins

if TYPE_CHECKING:
    from pydicom import Dataset

_BLOCK = 1 << 20
_ITEM_HEADER = 8
_UNKNOWN = b"\x55"  # in place of bytes that no item claims: neither picture nor padding


@dataclass
class BlankReport(Report):
    """What was blanked; ``removed`` header elements were left out (the copy's pixel structure is ``same_structure`` or not)."""

    frames: int = 0
    removed: int = 0
    same_structure: bool = True
    kept_keywords: list[str] = field(default_factory=list)


def run(settings: BlankSettings, progress: Progress = no_progress, cancel: CancelToken = NEVER) -> BlankReport:
    """Write the shareable copy of one file.

    Raises
    ------
    InputError : the file cannot be opened.
    SettingsError : a region lies outside the frames.
    OutputError : the output exists or cannot be written.
    """
    began = time.perf_counter()
    if settings.output.exists():
        raise OutputError(f"{settings.output} exists already; choose another name or remove it first")
    report = BlankReport("stream-blank", settings={"regions": to_json(settings.regions)})
    with open_frames([settings.source], read_ahead=0, sidecar=False) as frames:
        part = frames.objects[0]
        report.frames = len(frames)
        dataset, report.removed = shareable_header(whole_header(part.header), settings.salt)
        report.kept_keywords = sorted(element.keyword or "(private)" for element in dataset)
        _check_regions(settings.regions, frames)
        if not settings.regions:
            dataset.BurnedInAnnotation = "NO"
        with staged_file(settings.output) as stream:
            if settings.regions:
                report.same_structure = _blank_regions(stream, dataset, frames, settings.regions, progress, cancel)
            else:
                _blank_all(stream, dataset, part, progress, cancel)
    report.warnings += _warnings(report, settings.regions)
    report.outputs = [settings.output.name]
    report.seconds = round(time.perf_counter() - began, 3)
    return report


def _warnings(report: BlankReport, regions: tuple[Region, ...]) -> list[str]:
    if not regions:
        return []
    found = ["pixels outside the regions are those of the patient; look at the copy before you share it"]
    if not report.same_structure:
        found.append("frames were coded anew, so lengths and offsets differ from the original")
    return found


def _check_regions(regions: tuple[Region, ...], frames: Frames) -> None:
    for region in regions:
        if region.left + region.width > frames.pixels.columns or region.top + region.height > frames.pixels.rows:
            raise SettingsError(
                f"the region {region.left},{region.top},{region.width},{region.height} lies outside of frames with "
                f"{frames.pixels.columns} x {frames.pixels.rows} pixels"
            )


def _blank_all(stream: BinaryIO, dataset: Dataset, part: StoredObject, progress: Progress, cancel: CancelToken) -> None:
    """Write the header anew and the pixel data as they are, with every fragment's content replaced."""
    header = part.header
    syntax = EXPLICIT_LE if header.transfer_syntax in (IMPLICIT_LE, EXPLICIT_BE, DEFLATED) else header.transfer_syntax
    _keep_tables(dataset, header)
    stream.write(header_bytes(dataset, syntax))
    vr = header.pixel_vr or "OW"
    stream.write(
        struct.pack("<HH2sHI", header.pixel_tag >> 16, header.pixel_tag & 0xFFFF, vr.encode(), 0, header.pixel_length)
    )
    if isinstance(part.index, NativeIndex):
        _zeros(stream, part.index.available, cancel)
    elif isinstance(part.index, FragmentIndex):
        _items(stream, part, part.index, progress, cancel)
    else:
        raise PixelDataError("only local files can be blanked; download it first")


def _keep_tables(dataset: Dataset, header: Header) -> None:
    """Extended Offset Tables are positions, not patients: they stay, right or wrong."""
    for tag in (0x7FE00001, 0x7FE00002):
        if tag in header.elements:
            dataset.add_new(tag, "OV", header.raw(tag))


def _zeros(stream: BinaryIO, count: int, cancel: CancelToken) -> None:
    while count > 0:
        cancel.check()
        stream.write(bytes(min(count, _BLOCK)))
        count -= _BLOCK


def _items(stream: BinaryIO, part: StoredObject, index: FragmentIndex, progress: Progress, cancel: CancelToken) -> None:
    """Copy what lies between fragments (item headers, tables, faults) and put blank code streams in their place."""
    source, header = part.source, part.header
    end = (
        source.size if header.pixel_length == UNDEFINED else min(header.pixel_offset + header.pixel_length, source.size)
    )
    blank = _blank_code(part)
    position = header.pixel_offset
    for frame in range(index.known):
        cancel.check()
        progress(frame, index.known, "blanking frames")
        begin, stop = index.first[frame], index.first[frame + 1]
        content = _content(part, index, frame, blank)
        for fragment in range(begin, stop):
            _copy_structure(stream, part, position, index.offsets[fragment])
            length = index.lengths[fragment]
            stream.write(content[:length])
            content = content[length:]
            position = index.offsets[fragment] + length
    if len(index.offsets) and position < end:
        _copy_structure(stream, part, position, min(end, position + _ITEM_HEADER))


def _content(part: StoredObject, index: FragmentIndex, frame: int, blank: bytes) -> bytes:
    """Return what takes the place of a frame's bytes; a frame that did not begin like one still does not."""
    begin, stop = index.first[frame], index.first[frame + 1]
    stored, family = sum(index.lengths[begin:stop]), part.syntax.family
    if part.syntax.has_start_marker and not frame_begins(family, part.source.read_at(index.offsets[begin], 64)):
        return bytes(stored)
    true = index.true_lengths[frame] if index.true_lengths else stored
    return fitted(blank, true, family) + bytes(stored - true)


def _copy_structure(stream: BinaryIO, part: StoredObject, position: int, end: int) -> None:
    """Copy the bytes between two fragments if they are item headers or the offset table; anything else could be picture."""
    raw = part.source.read_at(position, end - position)
    first = position == part.header.pixel_offset
    stream.write(
        raw if first or len(raw) <= _ITEM_HEADER + 1 else _UNKNOWN * (len(raw) - _ITEM_HEADER) + raw[-_ITEM_HEADER:]
    )


def _blank_code(part: StoredObject) -> bytes:
    try:
        return blank_frame(part.pixels, part.header.transfer_syntax)
    except (DependencyError, PixelDataError):
        return b""  # no encoder for this syntax: zeros of the same length keep the structure, if not a picture


def _blank_regions(
    stream: BinaryIO,
    dataset: Dataset,
    frames: Frames,
    regions: tuple[Region, ...],
    progress: Progress,
    cancel: CancelToken,
) -> bool:
    """Blank rectangles and code every frame anew in its own transfer syntax; returns whether all lengths stayed the same."""
    part = frames.objects[0]
    stored, pixels = part.header.transfer_syntax, frames.pixels
    if not part.syntax.encapsulated:
        _blank_native_regions(stream, dataset, frames, regions, cancel)
        return True
    if pixels.samples == 3:
        dataset.PhotometricInterpretation = _photometric(stored)
        dataset.PlanarConfiguration = 0
    bound = pixels.decoded_bytes * 2 * len(frames)
    writer = EncapsulatedWriter(stream, dataset, stored, len(frames), bound)
    for number in range(len(frames)):
        cancel.check()
        progress(number, len(frames), "blanking regions")
        samples = frames[number].copy()
        _fill(samples, regions)
        writer.write(encode_frame(samples, stored, quality=95))
    writer.finish()
    return False


def _photometric(syntax: str) -> str:
    if syntax.endswith(".50"):
        return "YBR_FULL_422"
    return "YBR_RCT" if syntax.endswith((".90", ".201", ".202")) else "RGB"


def _blank_native_regions(
    stream: BinaryIO, dataset: Dataset, frames: Frames, regions: tuple[Region, ...], cancel: CancelToken
) -> None:
    from .part10 import joined_bits, write_native

    part, pixels = frames.objects[0], frames.pixels
    if pixels.subsampled:
        raise PixelDataError("regions of uncompressed 4:2:2 frames cannot be blanked alone; blank the whole pixels")
    plain = recoded_format(pixels)
    dataset.PhotometricInterpretation = plain.photometric
    if pixels.samples > 1:
        dataset.PlanarConfiguration = 0

    def each() -> object:
        for number in range(len(frames)):
            cancel.check()
            stored = little_endian(frames.encoded(number), part.header.transfer_syntax, pixels)
            samples = decoded(stored, EXPLICIT_LE, pixels).copy()
            _fill(samples, regions)
            yield _native_bytes(samples, pixels.bits_allocated)

    bits = plain.frame_bits(native=True)
    chunks = joined_bits(each(), bits) if bits % 8 else each()  # type: ignore[arg-type]
    length = (bits * len(frames) + 7) // 8
    write_native(stream, dataset, EXPLICIT_LE, chunks, length, (part.header.pixel_tag, part.header.pixel_vr or "OW"))  # type: ignore[arg-type]


def _native_bytes(samples: object, bits_allocated: int) -> bytes:
    import numpy as np

    array = np.asarray(samples)
    if bits_allocated == 1:
        return np.packbits(array.reshape(-1), bitorder="little").tobytes()
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def _fill(samples: object, regions: tuple[Region, ...]) -> None:
    import numpy as np

    array = np.asarray(samples)
    for region in regions:
        array[region.top : region.top + region.height, region.left : region.left + region.width] = 0


def is_blank(path: Path) -> bool:
    """Tell whether every frame of a file decodes to one single grey or colour; used by tests and careful people."""
    with open_frames([path], sidecar=False) as frames:
        return all(bool((frame == frame[0, 0]).all()) for frame in frames)
