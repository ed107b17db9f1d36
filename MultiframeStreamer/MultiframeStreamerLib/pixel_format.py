"""What the header says about the samples of one frame, checked before anything is computed from it."""

from __future__ import annotations

from dataclasses import dataclass

from DicomWorkbenchLib.errors import FileError, PixelDataError

from .header import DOUBLE_PIXELS, FLOAT_PIXELS, Header

_SAMPLES, _PHOTOMETRIC, _PLANAR = 0x00280002, 0x00280004, 0x00280006
_ROWS, _COLUMNS, _FRAMES = 0x00280010, 0x00280011, 0x00280008
_ALLOCATED, _STORED, _HIGH, _SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103


@dataclass(frozen=True)
class PixelFormat:
    """Image Pixel module of one object (PS3.3 C.7.6.3).

    Attributes
    ----------
    declared_frames : NumberOfFrames, None where it is absent.
    kind : "u" unsigned, "i" signed, "f" floating point.
    """

    rows: int
    columns: int
    samples: int
    photometric: str
    planar: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    kind: str
    declared_frames: int | None

    @property
    def subsampled(self) -> bool:
        """True for native YBR_FULL_422: two samples a pixel, chrominance shared by two columns (PS3.3 C.7.6.3.1.2)."""
        return self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422") and self.samples == 3

    def frame_bits(self, *, native: bool) -> int:
        """Bits of one uncompressed frame; ``native`` counts 4:2:2 as it is stored."""
        samples = 2 if native and self.subsampled else self.samples
        return self.rows * self.columns * samples * self.bits_allocated

    @property
    def sample_bytes(self) -> int:
        """Bytes of one decoded sample; a bit becomes a byte."""
        return max(self.bits_allocated // 8, 1)

    @property
    def decoded_bytes(self) -> int:
        """Bytes of one decoded frame."""
        return self.rows * self.columns * self.samples * self.sample_bytes

    @property
    def dtype(self) -> str:
        """numpy's name of the decoded sample type in little endian."""
        return f"{'<' if self.sample_bytes > 1 else '|'}{self.kind}{self.sample_bytes}"

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns) or (rows, columns, samples) of a decoded frame."""
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)


def read_format(header: Header) -> PixelFormat:
    """Read and check the Image Pixel module.

    Raises
    ------
    FileError : the object is no image.
    PixelDataError : its pixel description contradicts itself.
    """
    name = header.source.name
    rows, columns = header.integer(_ROWS), header.integer(_COLUMNS)
    if not header.pixel_tag:
        missing = (
            "is not an image: it has no pixel data"
            if rows is None
            else "has a header but no pixel data; it may be cut off"
        )
        raise FileError(f"{name} {missing}")
    if not rows or not columns:
        raise PixelDataError(f"{name} does not say how many rows and columns its frames have")
    allocated = header.integer(_ALLOCATED) or {FLOAT_PIXELS: 32, DOUBLE_PIXELS: 64}.get(header.pixel_tag, 0)
    if allocated not in (1, 8, 16, 32, 64):
        raise PixelDataError(f"{name}: BitsAllocated is {allocated or 'absent'}; 1, 8, 16, 32 and 64 can be read")
    floating = header.pixel_tag in (FLOAT_PIXELS, DOUBLE_PIXELS)
    stored = header.integer(_STORED) or allocated
    frames = header.integer(_FRAMES)
    if frames is not None and frames < 1:
        frames = None  # an empty or zero value says nothing
    result = PixelFormat(
        rows=rows,
        columns=columns,
        samples=_default(header.integer(_SAMPLES), 1),
        photometric=header.text(_PHOTOMETRIC) or "MONOCHROME2",
        planar=_default(header.integer(_PLANAR), 0),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=_default(header.integer(_HIGH), stored - 1),
        kind="f" if floating else "i" if header.integer(_SIGNED) == 1 else "u",
        declared_frames=frames,
    )
    _check(result, name)
    return result


def _default(value: int | None, default: int) -> int:
    return default if value is None else value


def _check(pixels: PixelFormat, name: str) -> None:
    if pixels.samples not in (1, 3, 4):
        raise PixelDataError(f"{name}: SamplesPerPixel is {pixels.samples}; 1, 3 and 4 can be read")
    if pixels.samples > 1 and pixels.bits_allocated not in (8, 16):
        raise PixelDataError(f"{name}: colour with {pixels.bits_allocated} bits allocated cannot be read; 8 and 16 can")
    if not 1 <= pixels.bits_stored <= pixels.bits_allocated:
        raise PixelDataError(
            f"{name}: BitsStored {pixels.bits_stored} does not fit into BitsAllocated {pixels.bits_allocated}"
        )
    if not pixels.bits_stored - 1 <= pixels.high_bit < pixels.bits_allocated:
        raise PixelDataError(f"{name}: HighBit {pixels.high_bit} does not fit BitsStored {pixels.bits_stored}")
    if pixels.planar not in (0, 1):
        raise PixelDataError(f"{name}: PlanarConfiguration is {pixels.planar}; it can be 0 or 1")
