"""What the first bytes of a compressed frame promise: size, components, precision and colour, without decoding it.

A decoder believes these numbers and allocates memory for them; so they are held against the DICOM header first.

References
----------
ITU-T T.81 (JPEG), T.87 (JPEG-LS), T.800 (JPEG 2000) annex A, ISO/IEC 18181-1 (JPEG XL) clause 6 and annex A.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_JPEG_SIZES = frozenset((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7))
_ALONE = frozenset((0x01, 0xD8, *range(0xD0, 0xD8)))  # markers without a length
_JXL_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


@dataclass(frozen=True)
class CodeStream:
    """What a code stream says about itself.

    Attributes
    ----------
    bits : precision of a sample, 0 where it is not told at the beginning.
    process : marker of a JPEG frame header (0xC0 baseline, 0xC3 lossless, 0xF7 JPEG-LS, ...), else 0.
    ycc : for JPEG, True or False where the stream itself says whether its colours are YCbCr, else None.
    """

    rows: int
    columns: int
    components: int
    bits: int
    process: int = 0
    ycc: bool | None = None


def describe(data: bytes) -> CodeStream | None:
    """Return what a JPEG, JPEG-LS, JPEG 2000, HTJ2K or JPEG XL stream says of itself, None if it is none of them or cut."""
    try:
        if data[:2] == b"\xff\xd8":
            return _jpeg(data)
        if data[:4] == b"\xff\x4f\xff\x51":
            return _jpeg_2000(data)
        if data[:2] == b"\xff\x0a":
            return _jpeg_xl(data[2:])
        if data[:4] == b"\0\0\0\x0c":
            return _boxes(data)
    except (struct.error, IndexError):
        return None
    return None


def _jpeg(data: bytes) -> CodeStream | None:
    position, ycc = 2, None
    while True:
        while data[position] == 0xFF and data[position + 1] == 0xFF:
            position += 1
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        position += 2
        if marker in _ALONE:
            continue
        length = struct.unpack_from(">H", data, position)[0]
        if marker == 0xE0 and data[position + 2 : position + 7] == b"JFIF\0":
            ycc = True
        elif marker == 0xEE and data[position + 2 : position + 7] == b"Adobe" and length >= 14:
            ycc = data[position + 13] == 1
        elif marker in _JPEG_SIZES:
            return _jpeg_frame(data, position, marker, ycc)
        elif marker == 0xDA:
            return None
        position += length


def _jpeg_frame(data: bytes, position: int, marker: int, ycc: bool | None) -> CodeStream:
    bits, rows, columns, components = struct.unpack_from(">BHHB", data, position + 2)
    names = bytes(data[position + 8 + 3 * i] for i in range(components))
    if ycc is None and names == b"RGB":
        ycc = False
    return CodeStream(rows, columns, components, bits, marker, ycc)


def _jpeg_2000(data: bytes) -> CodeStream:
    # SIZ: Lsiz Rsiz Xsiz Ysiz XOsiz YOsiz XTsiz YTsiz XTOsiz YTOsiz Csiz, then Ssiz XRsiz YRsiz per component
    _, _, width, height, left, top = struct.unpack_from(">HHIIII", data, 4)
    components, bits = struct.unpack_from(">HB", data, 40)
    return CodeStream(height - top, width - left, components, (bits & 0x7F) + 1)


def _boxes(data: bytes) -> CodeStream | None:
    """Look into a JP2 or JPEG XL container for its code stream."""
    position = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"jp2c":
            return describe(data[position + 8 : position + 8 + 1024])
        if kind == b"jxlc":
            return describe(data[position + 8 : position + 8 + 64])
        if kind == b"jxlp":
            return describe(data[position + 12 : position + 12 + 64])
        if length < 8:
            return None
        position += length
    return None


class _Bits:
    """Reads a JPEG XL header: little-endian bits."""

    def __init__(self, data: bytes) -> None:
        self._value, self._at = int.from_bytes(data[:32], "little"), 0

    def take(self, count: int) -> int:
        found = (self._value >> self._at) & ((1 << count) - 1)
        self._at += count
        return found


def _jpeg_xl(data: bytes) -> CodeStream:
    bits = _Bits(data)
    small = bits.take(1)
    rows = _jxl_size(bits, bool(small))
    ratio = bits.take(3)
    if ratio:
        above, below = _JXL_RATIOS[ratio]
        columns = rows * above // below
    else:
        columns = _jxl_size(bits, bool(small))
    return CodeStream(rows, columns, 0, 0)


def _jxl_size(bits: _Bits, small: bool) -> int:
    if small:
        return (bits.take(5) + 1) * 8
    return bits.take((9, 13, 18, 30)[bits.take(2)]) + 1


_WITH_END = frozenset((b"\xff\xd8", b"\xff\x4f"))  # JPEG, JPEG-LS, JPEG 2000: their streams end with FFD9


_J2K_START = b"\xff\x4f\xff\x51"
_SIZ, _COD, _QCD, _SOT = 0xFF51, 0xFF52, 0xFF5C, 0xFF90
_MOST_TILES = 65535


def _damage_of_jpeg_2000(data: bytes) -> str:
    """Say what in a JPEG 2000 main header no encoder can have meant; decoders divide by these numbers and crash on a zero.

    References
    ----------
    ITU-T T.800 tables A.9 to A.27
    """
    seen: set[int] = set()
    position = 2
    try:
        while True:
            marker, length = struct.unpack_from(">HH", data, position)
            if marker == _SOT:
                missing = {_SIZ, _COD, _QCD} - seen
                return f"marker {min(missing):04X} is missing" if missing else ""
            if not 0xFF50 <= marker <= 0xFF64 or length < 2 or position + 2 + length > len(data):
                return f"at byte {position} there is no marker segment"
            body = data[position + 4 : position + 2 + length]
            damage = _damage_of_siz(body) if marker == _SIZ else _damage_of_cod(body) if marker == _COD else ""
            if damage or (marker in seen and marker in (_SIZ, _COD, _QCD)):
                return damage or "a marker segment is there twice"
            seen.add(marker)
            position += 2 + length
    except (struct.error, IndexError):
        return "it is cut off"


def _damage_of_siz(body: bytes) -> str:
    _, right, bottom, left, top, width, height, tile_left, tile_top, components = struct.unpack_from(
        ">HIIIIIIIIH", body
    )
    if not (width and height and tile_left <= left < right and tile_top <= top < bottom):
        return "image and tile sizes make no sense"
    if tile_left + width <= left or tile_top + height <= top:
        return "the first tile is empty"
    if -(-(right - tile_left) // width) * -(-(bottom - tile_top) // height) > _MOST_TILES:
        return "there are too many tiles"
    if not components or len(body) != 36 + 3 * components:
        return "the number of components makes no sense"
    samples = [body[36 + 3 * i : 39 + 3 * i] for i in range(components)]
    return (
        "" if all(s[0] & 0x7F < 38 and s[1] == s[2] == 1 for s in samples) else "components are subsampled or too deep"
    )


def _damage_of_cod(body: bytes) -> str:
    style, order, layers, transform, levels, wide, high, _, kernel = struct.unpack_from(">BBHBBBBBB", body)
    if order > 4 or not layers or transform > 1 or levels > 32 or kernel > 1 or style > 7:
        return "coding parameters make no sense"
    if wide > 8 or high > 8 or wide + high > 8:
        return "code blocks are too large"
    precincts = body[10:]
    if style & 1 and (len(precincts) != levels + 1 or any(not p & 15 or not p >> 4 for p in precincts[1:])):
        return "precinct sizes make no sense"
    return ""


def problem_of(data: bytes, rows: int, columns: int, samples: int, bits_allocated: int) -> str:
    """Say in what a code stream contradicts the DICOM header or is incomplete; empty if nothing is wrong.

    A decoder believes the stream's own size, and fills with grey what a cut stream lacks.
    """
    stream = describe(data)
    if stream is None:
        return "it does not begin with a readable code stream header"
    if (stream.rows, stream.columns) != (rows, columns):
        return f"its code stream has {stream.rows} x {stream.columns} pixels, the header says {rows} x {columns}"
    if stream.components and stream.components != samples:
        return f"its code stream has {stream.components} components, the header says {samples}"
    if stream.bits > max(bits_allocated, 8):
        return f"its samples have {stream.bits} bits, the header allocates {bits_allocated}"
    if data[:4] == _J2K_START and (damage := _damage_of_jpeg_2000(data)):
        return f"its JPEG 2000 header is damaged: {damage}"
    if data[:2] in _WITH_END and data.rfind(b"\xff\xd9") < 0:
        return "its code stream has no end"
    return ""
