"""Frames of uncompressed pixel data: where each begins, to the bit, and whether the length agrees with the header.

Source: DICOM PS3.5 8.1.1 and 8.2 (frames follow each other without padding, 1-bit frames too), PS3.3 C.7.6.3.1.2 (4:2:2).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from DicomWorkbenchLib.errors import PixelDataError

from .header import UNDEFINED, Header
from .pixel_format import PixelFormat
from .sources import ByteSource

_MOST_PADDING = 1 << 20  # bytes after the last frame that are looked at; more than that is not padding


@dataclass
class NativeIndex:
    """Positions of native frames by arithmetic.

    Attributes
    ----------
    frames : number of frames there should be; ``complete`` of them are there.
    stride_bits : distance of two frames.
    swap : bytes of a stored word to be reversed for big endian 8-bit and 1-bit data in OW, else 0.
    """

    offset: int
    frames: int
    complete: int
    frame_bits: int
    stride_bits: int
    available: int
    swap_words: bool = False
    notes: list[str] = field(default_factory=list)
    witness: str = "the size of a frame"
    table: str = "not needed"

    def size(self, index: int) -> int:
        """Bytes of a stored frame."""
        return (self.frame_bits + 7) // 8

    def span(self, index: int) -> tuple[int, int] | None:
        """Return position and length where the frame lies whole and unshifted in the file, else None."""
        first_bit = index * self.stride_bits
        if first_bit % 8 or self.frame_bits % 8 or self.swap_words or index >= self.complete:
            return None
        return self.offset + first_bit // 8, self.frame_bits // 8

    def read(self, source: ByteSource, index: int) -> bytes:
        """Return the stored bytes of a frame; bits of an unaligned one are moved to begin at bit 0.

        Raises
        ------
        PixelDataError : the file ends before the frame does.
        """
        if index >= self.complete:
            raise PixelDataError(
                f"{source.name}: frame {index + 1} is missing; the pixel data end after {self.complete} frames"
            )
        first_bit = index * self.stride_bits
        begin, shift = divmod(first_bit, 8)
        end = (first_bit + self.frame_bits + 7) // 8
        raw = self._words(source, begin, end) if self.swap_words else source.read_at(self.offset + begin, end - begin)
        if len(raw) < end - begin:
            raise PixelDataError(f"{source.name}: frame {index + 1} could not be read to its end")
        return raw if not shift and not self.frame_bits % 8 else _shifted(raw, shift, self.frame_bits)

    def _words(self, source: ByteSource, begin: int, end: int) -> bytes:
        """Read bytes that were written as big endian 16-bit words."""
        low = begin - begin % 2
        raw = bytearray(source.read_at(self.offset + low, end + end % 2 - low))
        if len(raw) % 2:
            raw.append(0)
        raw[0::2], raw[1::2] = raw[1::2], raw[0::2]
        return bytes(raw[begin - low : end - low])


def _shifted(raw: bytes, shift: int, bits: int) -> bytes:
    """Move bits so that the frame begins at the lowest bit of its first byte (PS3.5 8.1.1: low bits first)."""
    value = int.from_bytes(raw, "little") >> shift
    return (value & ((1 << bits) - 1)).to_bytes((bits + 7) // 8, "little")


def native_index(header: Header, pixels: PixelFormat) -> NativeIndex:
    """Derive where native frames lie.

    Raises
    ------
    PixelDataError : the length of the pixel data contradicts the header in a way that leaves the frames in doubt.
    """
    source, length = header.source, header.pixel_length
    if length == UNDEFINED:
        raise PixelDataError(
            f"{source.name}: its transfer syntax says that frames are uncompressed, but its pixel data are written as items"
        )
    if pixels.subsampled and pixels.columns % 2:
        raise PixelDataError(
            f"{source.name}: {pixels.photometric} needs an even number of columns, there are {pixels.columns}"
        )
    if pixels.subsampled and pixels.bits_allocated != 8:
        raise PixelDataError(
            f"{source.name}: {pixels.photometric} with {pixels.bits_allocated} bits cannot be read; 8 can"
        )
    bits = pixels.frame_bits(native=True)
    available = min(length, max(source.size - header.pixel_offset, 0))
    swap = header.big_endian and header.pixel_vr == "OW" and pixels.bits_allocated <= 8
    index = NativeIndex(header.pixel_offset, 0, 0, bits, bits, available, swap)
    if available < length:
        index.notes.append(f"the file is cut off: {length - available} bytes of pixel data are missing")
        index.frames = pixels.declared_frames or max(length * 8 // bits, 1)
        index.complete = min(available * 8 // bits, index.frames)
        return index
    _count(index, source, pixels, length)
    return index


def _count(index: NativeIndex, source: ByteSource, pixels: PixelFormat, length: int) -> None:
    fit, bits = length * 8 // index.frame_bits, index.frame_bits
    declared = pixels.declared_frames
    frames = declared if declared is not None else fit
    if declared is None and fit > 1:
        index.notes.append(f"NumberOfFrames is absent; the pixel data hold {fit} frames")
    if frames > fit or not frames:
        exact = fit and length - (fit * bits + 7) // 8 <= 1
        if not exact:
            raise PixelDataError(_contradiction(source, pixels, length, frames))
        index.notes.append(f"NumberOfFrames is {frames}, but the pixel data hold {fit} frames")
        frames = fit
    used = (frames * bits + 7) // 8
    index.frames = index.complete = frames
    padded = (bits + 7) // 8 * frames
    doubtful = bits % 8 and length - padded in (0, 1) and length > used and any(source.read_at(index.offset + used, 1))
    if length - used > used % 2 or doubtful:
        _explain_rest(index, source, pixels, length, used)


def _explain_rest(index: NativeIndex, source: ByteSource, pixels: PixelFormat, length: int, used: int) -> None:
    """Bytes are left over: byte-aligned 1-bit frames, more frames than declared, or padding; anything else is a contradiction."""
    rest = length - used
    tail = source.read_at(index.offset + used, min(rest, _MOST_PADDING))
    padded = (index.frame_bits + 7) // 8 * 8
    if padded != index.frame_bits and rest - ((padded // 8) * index.frames - used) in (0, 1):
        if any(tail) and _pad_bits_are_empty(index, source, padded):
            index.stride_bits = padded
            index.notes.append("1-bit frames are padded to whole bytes, against the standard")
            return
        raise PixelDataError(
            f"{source.name}: its 1-bit frames may or may not be padded to whole bytes; their length allows both readings"
        )
    if rest * 8 >= index.frame_bits and rest * 8 % index.frame_bits <= 8 * (length % 2 == 0):
        index.notes.append(f"NumberOfFrames is {index.frames}, but the pixel data are long enough for more")
    elif rest <= _MOST_PADDING and not any(tail):
        index.notes.append(f"{rest} bytes of zeros follow the last frame")
    else:
        raise PixelDataError(_contradiction(source, pixels, length, index.frames))


def _pad_bits_are_empty(index: NativeIndex, source: ByteSource, padded: int) -> bool:
    """True if the last byte of every frame has zeros where padding would be (first thousand frames)."""
    used = index.frame_bits % 8
    for frame in range(min(index.frames, 1000)):
        last = source.read_at(index.offset + (frame + 1) * padded // 8 - 1, 1)
        if not last or last[0] >> used:
            return False
    return True


def _contradiction(source: ByteSource, pixels: PixelFormat, length: int, frames: int) -> str:
    return (
        f"{source.name}: {length} bytes of pixel data do not agree with {frames} frames of {pixels.rows} x {pixels.columns} pixels, "
        f"{pixels.samples} x {pixels.bits_allocated} bits"
    )
