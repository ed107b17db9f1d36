"""A copy that every reader opens fast: correct offset table, one fragment a frame, HTJ2K or JPEG-LS on wish, or a concatenation.

Frames stay bit-exact: kept ones by their bytes, recoded ones are decoded again and compared before they are written.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from DicomWorkbenchLib.errors import OutputError, PixelDataError
from DicomWorkbenchLib.outputs import StagedFolder
from DicomWorkbenchLib.pixels_encode import encode_frame
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from DicomWorkbenchLib.report import Report, sha256_of
from DicomWorkbenchLib.settings import to_json
from DicomWorkbenchLib.uids import new_uid

from .decode import decoded
from .export import inputs_of
from .frames import Frames, open_frames
from .metadata import whole_header
from .part10 import LARGEST_BASIC, EncapsulatedWriter, joined_bits, write_native
from .pixel_format import PixelFormat
from .settings import Codec, RepackSettings
from .staged_file import staged_file
from .syntaxes import DEFLATED, ENCAPSULATED_UNCOMPRESSED, EXPLICIT_BE, EXPLICIT_LE, HTJ2K_RPCL, IMPLICIT_LE, JPEG_LS
from .tables import EXTENDED_LENGTHS, EXTENDED_OFFSETS

if TYPE_CHECKING:
    from pydicom import Dataset

_SYNTAX = {Codec.HTJ2K: HTJ2K_RPCL, Codec.JPEG_LS: JPEG_LS}
_NATIVE = (IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED)
_CONCATENATION = ("ConcatenationUID", "InConcatenationNumber", "InConcatenationTotalNumber")


@dataclass
class RepackReport(Report):
    """What was written."""

    frames: int = 0
    files: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    transfer_syntax: str = ""


def run(settings: RepackSettings, progress: Progress = no_progress, cancel: CancelToken = NEVER) -> RepackReport:
    """Write the copy.

    Raises
    ------
    InputError : the file cannot be opened, or one of its frames cannot be read (a copy with a hole would be a trap).
    OutputError : the output exists or cannot be written.
    """
    began = time.perf_counter()
    if settings.output.exists():
        raise OutputError(f"{settings.output} exists already; choose another name or remove it first")
    with open_frames(settings.source, read_ahead=0) as frames:
        job = _Job(frames, settings, progress, cancel)
        report = RepackReport(
            "stream-repack", settings=to_json(settings), frames=len(frames), transfer_syntax=job.syntax
        )
        report.warnings += [f"repaired: {note}" for note in frames.notes]
        report.bytes_in = sum(part.source.size for part in frames.objects)
        report.inputs = inputs_of(frames)
        written = job.write_parts() if settings.split else job.write_one()
    report.files = len(written)
    report.bytes_out = sum(path.stat().st_size for path in written)
    report.outputs = [path.name for path in written]
    report.measured["output_sha256"] = {path.name: sha256_of(path) for path in written[:1]}
    report.seconds = round(time.perf_counter() - began, 3)
    return report


class _Job:
    """One repacking: which frames go where, in which coding."""

    def __init__(self, frames: Frames, settings: RepackSettings, progress: Progress, cancel: CancelToken) -> None:
        self.frames, self.settings, self.progress, self.cancel = frames, settings, progress, cancel
        self.pixels = frames.pixels
        self.stored = frames.objects[0].header.transfer_syntax
        self.syntax = self._target_syntax()
        self.done = 0
        if settings.codec is not Codec.KEEP:
            _check_codec(self.pixels, settings.codec)

    def _target_syntax(self) -> str:
        if self.settings.codec is not Codec.KEEP:
            return _SYNTAX[self.settings.codec]
        if self.stored not in _NATIVE:
            return self.stored
        too_long = self._native_bytes(len(self.frames)) > LARGEST_BASIC - 1
        return ENCAPSULATED_UNCOMPRESSED if too_long and not self.settings.split else EXPLICIT_LE

    def _native_bytes(self, count: int) -> int:
        return (self.pixels.frame_bits(native=True) * count + 7) // 8

    def write_one(self) -> list[Path]:
        """Write one file."""
        dataset = _whole_dataset(self.frames)
        for keyword in (*_CONCATENATION, "ConcatenationFrameOffsetNumber", "SOPInstanceUIDOfConcatenationSource"):
            if keyword in dataset:
                delattr(dataset, keyword)
        with staged_file(self.settings.output) as stream:
            self._write(stream, dataset, range(len(self.frames)))
        return [self.settings.output]

    def write_parts(self) -> list[Path]:
        """Write the parts of a concatenation into a new folder (PS3.3 C.7.6.16.2.2.4)."""
        total = math.ceil(len(self.frames) / self.settings.split)
        whole, source_uid, concatenation = _whole_dataset(self.frames), "", new_uid()
        source_uid = str(whole.get("SOPInstanceUIDOfConcatenationSource") or whole.SOPInstanceUID)
        with StagedFolder(self.settings.output) as stage:
            for number in range(total):
                chosen = range(number * self.settings.split, min((number + 1) * self.settings.split, len(self.frames)))
                dataset = _part_of(whole, chosen)
                dataset.SOPInstanceUID = new_uid()
                dataset.SOPInstanceUIDOfConcatenationSource = source_uid
                dataset.ConcatenationUID = concatenation
                dataset.InConcatenationNumber, dataset.InConcatenationTotalNumber = number + 1, total
                dataset.ConcatenationFrameOffsetNumber = chosen.start
                with (stage / f"part-{number + 1:04d}.dcm").open("w+b") as stream:
                    self._write(stream, dataset, chosen)
        return sorted(self.settings.output.glob("part-*.dcm"))

    def _write(self, stream: BinaryIO, dataset: Dataset, chosen: range) -> None:
        dataset.NumberOfFrames = len(chosen)
        if self.syntax == EXPLICIT_LE:
            self._write_native(stream, dataset, chosen)
            return
        if self.settings.codec is not Codec.KEEP:
            _describe_recoded(dataset, self.pixels, self.settings.codec)
        bound = max(self.pixels.decoded_bytes * 2 * len(chosen), sum(map(self.frames.encoded_size, chosen)))
        if self.settings.codec is Codec.KEEP:
            bound = sum(map(self.frames.encoded_size, chosen))
        writer = EncapsulatedWriter(stream, dataset, self.syntax, len(chosen), bound)
        for number in chosen:
            writer.write(self._frame(number))
        writer.finish()

    def _write_native(self, stream: BinaryIO, dataset: Dataset, chosen: range) -> None:
        header = self.frames.objects[0].header
        vr = header.pixel_vr or ("OW" if self.pixels.bits_allocated > 8 else "OB")
        frames: Iterator[bytes] = (self._little_endian(number) for number in chosen)
        bits = self.pixels.frame_bits(native=True)
        chunks = joined_bits(frames, bits) if bits % 8 else frames
        write_native(stream, dataset, EXPLICIT_LE, chunks, self._native_bytes(len(chosen)), (header.pixel_tag, vr))

    def _little_endian(self, number: int) -> bytes:
        return little_endian(self._stored(number), self.stored, self.pixels)

    def _stored(self, number: int) -> bytes:
        self.cancel.check()
        self.progress(self.done, len(self.frames), "writing frames")
        self.done += 1
        return self.frames.encoded(number)

    def _frame(self, number: int) -> bytes:
        data = self._stored(number)
        if self.settings.codec is Codec.KEEP:
            return little_endian(data, self.stored, self.pixels) if self.stored in _NATIVE else data
        samples = decoded(data, self.stored, self.pixels)
        coded = encode_frame(samples, self.syntax)
        self._check(samples, coded, number)
        return coded

    def _check(self, samples: object, coded: bytes, number: int) -> None:
        import numpy as np

        again = decoded(coded, self.syntax, recoded_format(self.pixels))
        if not np.array_equal(again, np.asarray(samples)):
            raise PixelDataError(
                f"frame {number + 1} would not survive {self.settings.codec.value} unchanged; keep its coding"
            )


def little_endian(data: bytes, syntax: str, pixels: PixelFormat) -> bytes:
    """Return native samples of one frame in little endian."""
    if syntax != EXPLICIT_BE or pixels.bits_allocated <= 8:
        return data
    import numpy as np

    return np.frombuffer(data, f">u{pixels.bits_allocated // 8}").byteswap().tobytes()


def recoded_format(pixels: PixelFormat) -> PixelFormat:
    """Return the pixel description of recoded frames: colours are RGB, pixel by pixel."""
    from dataclasses import replace

    if pixels.samples == 1:
        return replace(pixels, high_bit=pixels.bits_stored - 1)
    return replace(pixels, photometric="RGB", planar=0, high_bit=pixels.bits_stored - 1)


def _check_codec(pixels: PixelFormat, codec: Codec) -> None:
    if pixels.bits_allocated not in (8, 16) or pixels.kind == "f" or pixels.samples == 4:
        raise PixelDataError(
            f"{codec.value} takes 8 and 16 bit samples, these have {pixels.bits_allocated}; use --codec keep"
        )


def _describe_recoded(dataset: Dataset, pixels: PixelFormat, codec: Codec) -> None:
    new = recoded_format(pixels)
    dataset.HighBit = new.high_bit
    if new.samples == 3:
        # the reversible colour transform of HTJ2K is part of the code stream; JPEG-LS has none
        dataset.PhotometricInterpretation = "YBR_RCT" if codec is Codec.HTJ2K else "RGB"
        dataset.PlanarConfiguration = 0


def _whole_dataset(frames: Frames) -> Dataset:
    """Return the header for all frames; functional groups of a concatenation's parts are put together again."""
    dataset = whole_header(frames.objects[0].header)
    for part in frames.objects[1:]:
        more = whole_header(part.header).get("PerFrameFunctionalGroupsSequence")
        if more is not None:
            dataset.PerFrameFunctionalGroupsSequence.extend(more)
    if len(frames.objects) > 1 and "SOPInstanceUIDOfConcatenationSource" in dataset:
        dataset.SOPInstanceUID = dataset.SOPInstanceUIDOfConcatenationSource
    for tag in (EXTENDED_OFFSETS, EXTENDED_LENGTHS):
        if tag in dataset:
            del dataset[tag]
    return dataset


def _part_of(whole: Dataset, chosen: range) -> Dataset:
    groups = whole.get("PerFrameFunctionalGroupsSequence")
    if groups is None:
        dataset = copy.deepcopy(whole)
        _cut_times(dataset, chosen)
        return dataset
    del whole.PerFrameFunctionalGroupsSequence  # copying thousands of groups for every part would take quadratic time
    dataset = copy.deepcopy(whole)
    whole.PerFrameFunctionalGroupsSequence = groups
    dataset.PerFrameFunctionalGroupsSequence = list(groups[chosen.start : chosen.stop])
    _cut_times(dataset, chosen)
    return dataset


def _cut_times(dataset: Dataset, chosen: range) -> None:
    """Keep the part of FrameTimeVector that belongs to these frames."""
    times = dataset.get("FrameTimeVector")
    if times is not None and len(times) >= chosen.stop:
        dataset.FrameTimeVector = [0, *list(times)[chosen.start + 1 : chosen.stop]]
