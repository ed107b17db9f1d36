"""One frame, compressed or not: decoded by its transfer syntax and encoded into one. The one place of the project that does either.

A frame that is not what its header says is refused before a decoder allocates memory for it; what a decoder cannot read becomes a
`PixelDataError` and never grey or shifted pixels.

References
----------
DICOM PS3.5 8.2 and annex G (RLE), A.4; PS3.3 C.7.6.3.1.2 (photometric interpretation).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from DicomWorkbenchLib.codestreams import CodeStream, describe, is_complete
from DicomWorkbenchLib.errors import DependencyError, PixelDataError

Pixels = NDArray[Any]

_JPEG = "1.2.840.10008.1.2.4."
UNCOMPRESSED = frozenset(
    ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.1.99")
)
BIG_ENDIAN, RLE, DEFLATED_FRAMES = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1"
JPEG_BASELINE, JPEG_EXTENDED, JPEG_LOSSLESS = _JPEG + "50", _JPEG + "51", _JPEG + "70"
JPEG_LS, JPEG_LS_NEAR = _JPEG + "80", _JPEG + "81"
JPEG_2000_LOSSLESS, JPEG_2000 = _JPEG + "90", _JPEG + "91"
HTJ2K_LOSSLESS, HTJ2K_RPCL, HTJ2K = _JPEG + "201", _JPEG + "202", _JPEG + "203"
_JPEG_FAMILY = (JPEG_BASELINE, JPEG_EXTENDED, _JPEG + "57", JPEG_LOSSLESS)
_JPEG_2000_FAMILY = (JPEG_2000_LOSSLESS, JPEG_2000, _JPEG + "92", _JPEG + "93")
_HTJ2K_FAMILY = (HTJ2K_LOSSLESS, HTJ2K_RPCL, HTJ2K)
_JPEG_XL_FAMILY = (_JPEG + "110", _JPEG + "111", _JPEG + "112")
_LOSSLESS_PROCESS = 0xC3
# What imagecodecs' decoders raise: every codec has its own subclass of RuntimeError.
_DECODER_ERRORS = (RuntimeError, ValueError, TypeError, IndexError, OverflowError, MemoryError, zlib.error)


@dataclass(frozen=True)
class FrameFormat:
    """What the header says of one frame (Image Pixel module).

    Attributes
    ----------
    signed, floating : how stored samples are to be read.
    planar : PlanarConfiguration, of importance for uncompressed colour only.
    """

    rows: int
    columns: int
    samples: int = 1
    photometric: str = "MONOCHROME2"
    bits_allocated: int = 16
    bits_stored: int = 16
    signed: bool = False
    planar: int = 0
    floating: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns) or (rows, columns, samples)."""
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of decoded samples; a single bit becomes a byte."""
        kind = "f" if self.floating else "i" if self.signed else "u"
        return np.dtype(f"{kind}{max(self.bits_allocated // 8, 1)}")


def decode_frame(data: bytes, transfer_syntax_uid: str, frame: FrameFormat) -> tuple[Pixels, str]:
    """Decode the stored bytes of one frame.

    Parameters
    ----------
    data : the frame: joined fragments, or for uncompressed syntaxes its bytes (1-bit frames beginning at bit 0).

    Returns
    -------
    Samples of shape (rows, columns) or (rows, columns, samples), and their photometric interpretation after decoding: colour
    transforms that belong to the codec are undone (YBR_RCT becomes RGB), others are left (see `to_rgb`).

    Raises
    ------
    PixelDataError : the bytes are no frame of this syntax, are cut, or contradict the header.
    DependencyError : no decoder is installed.
    """
    decoder = _decoder(transfer_syntax_uid)
    try:
        array, photometric = decoder(data, transfer_syntax_uid, frame)
    except _DECODER_ERRORS as error:
        raise PixelDataError(f"the frame cannot be decoded: {error}") from error
    return _fitted(array, frame), photometric


def can_decode(transfer_syntax_uid: str) -> bool:
    """Tell whether `decode_frame` knows a transfer syntax."""
    known = (*UNCOMPRESSED, BIG_ENDIAN, RLE, DEFLATED_FRAMES, *_JPEG_FAMILY, JPEG_LS, JPEG_LS_NEAR)
    return transfer_syntax_uid in (*known, *_JPEG_2000_FAMILY, *_HTJ2K_FAMILY, *_JPEG_XL_FAMILY)


def to_rgb(samples: Pixels, photometric: str) -> Pixels:
    """Turn full-range YCbCr of 8 or 16 bits into RGB; everything else is returned as it is."""
    if photometric not in ("YBR_FULL", "YBR_FULL_422") or samples.ndim != 3:
        return samples
    top = 255.0 if samples.dtype.itemsize == 1 else 65535.0
    luma = samples[..., 0].astype(np.float32)
    blue, red = (samples[..., i].astype(np.float32) - (top + 1) / 2 for i in (1, 2))
    # PS3.3 C.7.6.3.1.2, the inverse of the YBR_FULL equations (ITU-R BT.601)
    rgb = np.stack([luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], axis=-1)
    rounded: Pixels = np.clip(np.rint(rgb), 0, top).astype(samples.dtype)
    return rounded


def encode_frame(samples: Pixels, transfer_syntax_uid: str, *, quality: int = 90) -> bytes:
    """Encode one frame; lossless unless the syntax is not.

    Parameters
    ----------
    samples : (rows, columns) or (rows, columns, 3), 8 or 16 bit.
    quality : of JPEG Baseline, 1 to 100.

    Raises
    ------
    PixelDataError : these samples do not fit this syntax.
    DependencyError : no encoder is installed, or the syntax has none here.
    """
    encoder = _ENCODERS.get(transfer_syntax_uid)
    if encoder is None:
        raise DependencyError(f"an encoder for transfer syntax {transfer_syntax_uid}", hint="choose HTJ2K or JPEG-LS")
    try:
        return bytes(encoder(_imagecodecs(), np.ascontiguousarray(samples), quality))
    except _DECODER_ERRORS as error:
        raise PixelDataError(f"a frame of {samples.dtype} {samples.shape} cannot be encoded: {error}") from error


def _imagecodecs() -> Any:
    try:
        import imagecodecs
    except ImportError as error:
        raise DependencyError(
            "The Python package imagecodecs", hint="install it with: pip install imagecodecs"
        ) from error
    return imagecodecs


_Decoder = Callable[[bytes, str, FrameFormat], tuple[Pixels, str]]


def _decoder(uid: str) -> _Decoder:
    if uid in UNCOMPRESSED or uid == BIG_ENDIAN:
        return _native
    if uid in _JPEG_FAMILY:
        return _jpeg
    if uid in (JPEG_LS, JPEG_LS_NEAR):
        return _jpeg_ls
    if uid in _JPEG_2000_FAMILY or uid in _HTJ2K_FAMILY:
        return _jpeg_2000
    if uid in _JPEG_XL_FAMILY:
        return _jpeg_xl
    if uid == RLE:
        return _rle
    if uid == DEFLATED_FRAMES:
        return _deflated
    raise PixelDataError(f"frames of transfer syntax {uid} cannot be decoded here; their stored bytes can be exported")


def _native(data: bytes, uid: str, frame: FrameFormat) -> tuple[Pixels, str]:
    if frame.bits_allocated == 1:
        return _bits(data, frame), frame.photometric
    if frame.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422") and frame.samples == 3:
        return _subsampled(data, frame), "YBR_FULL"
    order: Literal["<", ">"] = ">" if uid == BIG_ENDIAN else "<"
    count = frame.rows * frame.columns * frame.samples
    flat = np.frombuffer(data, frame.dtype.newbyteorder(order), count).astype(frame.dtype)
    return _interleaved(flat, frame), frame.photometric


def _bits(data: bytes, frame: FrameFormat) -> Pixels:
    count = frame.rows * frame.columns
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=count, bitorder="little")
    if bits.size < count:
        raise ValueError("there are too few bits")
    return bits.reshape(frame.rows, frame.columns)


def _subsampled(data: bytes, frame: FrameFormat) -> Pixels:
    """Give every pixel its chrominance: stored are Y1 Y2 Cb Cr for each pair of columns."""
    pairs = np.frombuffer(data, np.uint8, frame.rows * frame.columns * 2).reshape(frame.rows, frame.columns // 2, 4)
    samples = np.empty((frame.rows, frame.columns, 3), np.uint8)
    samples[:, 0::2, 0], samples[:, 1::2, 0] = pairs[..., 0], pairs[..., 1]
    samples[..., 1] = np.repeat(pairs[..., 2], 2, axis=1)
    samples[..., 2] = np.repeat(pairs[..., 3], 2, axis=1)
    return samples


def _interleaved(flat: Pixels, frame: FrameFormat) -> Pixels:
    if frame.samples == 1 or not frame.planar:
        return flat.reshape(frame.shape)
    return np.ascontiguousarray(np.moveaxis(flat.reshape(frame.samples, frame.rows, frame.columns), 0, -1))


def _promised(data: bytes, frame: FrameFormat) -> CodeStream:
    """Hold what the code stream says of itself against the header, before anything is allocated."""
    stream = describe(data)
    if stream is None:
        raise ValueError("it does not begin with a readable code stream header")
    if (stream.rows, stream.columns) != (frame.rows, frame.columns):
        raise ValueError(
            f"its code stream has {stream.rows} x {stream.columns} pixels, the header says {frame.rows} x {frame.columns}"
        )
    if stream.components and stream.components != frame.samples:
        raise ValueError(f"its code stream has {stream.components} components, the header says {frame.samples}")
    if stream.bits > max(frame.bits_allocated, 8):
        raise ValueError(f"its samples have {stream.bits} bits, the header allocates {frame.bits_allocated}")
    return stream


def _jpeg(data: bytes, uid: str, frame: FrameFormat) -> tuple[Pixels, str]:
    stream = _promised(data, frame)
    if not is_complete(data):
        raise ValueError("its code stream has no end")
    codecs = _imagecodecs()
    if stream.process == 0xF7:  # JPEG-LS under a JPEG transfer syntax
        return codecs.jpegls_decode(data), frame.photometric
    if stream.process == _LOSSLESS_PROCESS:
        return codecs.jpegsof3_decode(data), frame.photometric
    if frame.samples != 3:
        return codecs.jpeg_decode(data, bitspersample=stream.bits), frame.photometric
    # A stream that names its colours is believed; otherwise the header decides (libjpeg would guess YCbCr).
    ycc = frame.photometric != "RGB" if stream.ycc is None else stream.ycc
    stored = "YCBCR" if ycc else "RGB"
    return codecs.jpeg8_decode(data, colorspace=stored, outcolorspace="RGB"), "RGB"


def _jpeg_ls(data: bytes, uid: str, frame: FrameFormat) -> tuple[Pixels, str]:
    _promised(data, frame)
    return _imagecodecs().jpegls_decode(data), frame.photometric


def _jpeg_2000(data: bytes, uid: str, frame: FrameFormat) -> tuple[Pixels, str]:
    _promised(data, frame)
    if not is_complete(data):
        raise ValueError("its code stream has no end")
    codecs = _imagecodecs()
    decode = codecs.htj2k_decode if uid in _HTJ2K_FAMILY else codecs.jpeg2k_decode
    transformed = frame.photometric in ("YBR_RCT", "YBR_ICT")
    return decode(data), "RGB" if transformed else frame.photometric


def _jpeg_xl(data: bytes, uid: str, frame: FrameFormat) -> tuple[Pixels, str]:
    _promised(data, frame)
    array = _imagecodecs().jpegxl_decode(data)
    colour = frame.samples == 3 and frame.photometric in ("XYB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
    return array, "RGB" if colour else frame.photometric


def _rle(data: bytes, uid: str, frame: FrameFormat) -> tuple[Pixels, str]:
    """PS3.5 annex G: byte planes from most to least significant, sample by sample."""
    planes = frame.samples * frame.dtype.itemsize
    offsets = np.frombuffer(data, "<u4", 16)
    if offsets[0] != planes:
        raise ValueError(f"its RLE header has {offsets[0]} segments, {planes} are needed")
    ends = [*offsets[2 : planes + 1].tolist(), len(data)]
    starts = offsets[1 : planes + 1].tolist()
    unpack, count = _imagecodecs().packbits_decode, frame.rows * frame.columns
    samples = np.empty((count, frame.samples, frame.dtype.itemsize), np.uint8)
    for plane, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if not 64 <= start <= end <= len(data):
            raise ValueError("its RLE header points outside the frame")
        segment = np.frombuffer(unpack(data[start:end]), np.uint8)
        if segment.size < count:
            raise ValueError(f"RLE segment {plane + 1} holds {segment.size} of {count} bytes")
        sample, byte = divmod(plane, frame.dtype.itemsize)
        samples[:, sample, frame.dtype.itemsize - 1 - byte] = segment[:count]
    return samples.view(frame.dtype.newbyteorder("<")).reshape(frame.shape).astype(frame.dtype), frame.photometric


def _deflated(data: bytes, uid: str, frame: FrameFormat) -> tuple[Pixels, str]:
    wanted = (frame.rows * frame.columns * frame.samples * frame.bits_allocated + 7) // 8
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, wanted + 1)
    if len(inflated) not in (wanted, wanted + 1):
        raise ValueError(f"it inflates to {len(inflated)} bytes, {wanted} are needed")
    return _native(inflated, "1.2.840.10008.1.2.1", frame)


def _fitted(array: Pixels, frame: FrameFormat) -> Pixels:
    """Bring decoded samples to the header's type: two's complement where samples are signed, and the header's width."""
    if array.shape != frame.shape:
        raise PixelDataError(f"the frame decodes to {array.shape}, the header says {frame.shape}")
    if array.dtype == frame.dtype:
        return array
    if frame.signed and array.dtype.kind == "u":
        shift = array.dtype.itemsize * 8 - frame.bits_stored
        if shift < 0:
            raise PixelDataError(
                f"the frame has {array.dtype.itemsize * 8} bit samples, the header says {frame.bits_stored} bits"
            )
        signed = array.view(array.dtype.str.replace("u", "i"))
        array = (signed << shift) >> shift if shift else signed
    return array.astype(frame.dtype)


def _htj2k(codecs: Any, samples: Pixels, quality: int) -> Any:
    # RPCL order is the encoder's default; tile-part lengths (TLM) let a reader fetch low resolutions first
    return codecs.htj2k_encode(samples, reversible=True, tlm=True)


_ENCODERS: dict[str, Callable[[Any, Pixels, int], Any]] = {
    JPEG_BASELINE: lambda codecs, samples, quality: codecs.jpeg8_encode(samples, level=quality),
    JPEG_LOSSLESS: lambda codecs, samples, quality: codecs.ljpeg_encode(samples),
    JPEG_LS: lambda codecs, samples, quality: codecs.jpegls_encode(samples),
    JPEG_2000_LOSSLESS: lambda codecs, samples, quality: codecs.jpeg2k_encode(
        samples, reversible=True, codecformat="J2K"
    ),
    HTJ2K_LOSSLESS: _htj2k,
    HTJ2K_RPCL: _htj2k,
    _JPEG + "110": lambda codecs, samples, quality: codecs.jpegxl_encode(samples, lossless=True),
}
