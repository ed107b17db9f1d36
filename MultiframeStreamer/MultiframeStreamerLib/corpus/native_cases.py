"""Uncompressed frames: bits, byte orders, planes, floats and lengths."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from MultiframeStreamerLib.corpus.cases import case
from MultiframeStreamerLib.corpus.pictures import COLUMNS, FRAMES, ROWS, bits, colour, grey
from MultiframeStreamerLib.corpus.writer import Writer
from MultiframeStreamerLib.syntaxes import DEFLATED, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE

Built = tuple[bytes, object]


def writer(syntax: str = EXPLICIT_LE, frames: int | None = FRAMES, **more: Any) -> Writer:
    """Return a writer of the corpus' frame size."""
    return Writer(syntax, frames=frames, rows=ROWS, columns=COLUMNS, **more)


@case("native-8", "8 bits, explicit little endian", legal=True)
def _native() -> Built:
    frames = [grey(i).tobytes() for i in range(FRAMES)]
    return writer().native(b"".join(frames), vr="OB"), frames


@case("native-implicit-signed", "12 of 16 bits, signed, implicit little endian", legal=True)
def _implicit() -> Built:
    frames = [grey(i, bits=12, signed=True).tobytes() for i in range(FRAMES)]
    return writer(IMPLICIT_LE, bits=16, stored=12, signed=True).native(b"".join(frames)), frames


@case("native-big-endian-16", "16 bits, explicit big endian", legal=True)
def _big() -> Built:
    frames = [grey(i, bits=16).astype(">u2").tobytes() for i in range(FRAMES)]
    return writer(EXPLICIT_BE, bits=16).native(b"".join(frames)), frames


@case("native-big-endian-8-words", "8 bits written as big endian words (OW), odd frame size", legal=True)
def _big_words() -> Built:
    frames = [grey(i, rows=17, columns=21).tobytes() for i in range(FRAMES)]
    plain = b"".join(frames) + b"\0"
    swapped = bytearray(plain)
    swapped[0::2], swapped[1::2] = plain[1::2], plain[0::2]
    return Writer(EXPLICIT_BE, frames=FRAMES, rows=17, columns=21).native(bytes(swapped), vr="OW"), frames


@case("native-colour-planes", "RGB, one plane after the other", legal=True)
def _planes() -> Built:
    frames = [colour(i).transpose(2, 0, 1).tobytes() for i in range(FRAMES)]
    return writer(samples=3, photometric="RGB", planar=1).native(b"".join(frames), vr="OB"), frames


@case("native-422", "YBR_FULL_422: two bytes for each pixel", legal=True)
def _subsampled() -> Built:
    frames = [bytes((i * 31 + j * 7) % 256 for j in range(ROWS * COLUMNS * 2)) for i in range(FRAMES)]
    return writer(samples=3, photometric="YBR_FULL_422", planar=0).native(b"".join(frames), vr="OB"), frames


@case("native-float", "32 bit floating point", legal=True)
def _float() -> Built:
    frames = [(grey(i).astype("<f4") / 7).tobytes() for i in range(FRAMES)]
    header = writer(bits=32)
    for tag in (0x00280101, 0x00280102, 0x00280103):
        del header.values[tag]
    return header.native(b"".join(frames), vr="OF", tag=0x7FE00008), frames


@case("native-double", "64 bit floating point", legal=True)
def _double() -> Built:
    frames = [(grey(i).astype("<f8") / 7).tobytes() for i in range(FRAMES)]
    header = writer(bits=64)
    for tag in (0x00280101, 0x00280102, 0x00280103):
        del header.values[tag]
    return header.native(b"".join(frames), vr="OD", tag=0x7FE00009), frames


def _packed(rows: int, columns: int, count: int = FRAMES) -> tuple[bytes, list[bytes]]:
    import numpy as np

    images = [bits(i, rows=rows, columns=columns).reshape(-1) for i in range(count)]
    whole = np.packbits(np.concatenate(images), bitorder="little").tobytes()
    return whole, [np.packbits(image, bitorder="little").tobytes() for image in images]


@case("native-1-bit-unaligned", "1 bit, frames that do not begin on a byte", legal=True)
def _unaligned() -> Built:
    whole, frames = _packed(15, 19)
    return Writer(EXPLICIT_LE, frames=FRAMES, rows=15, columns=19, bits=1).native(whole, vr="OB"), frames


@case("native-1-bit-aligned", "1 bit, frames that happen to fill bytes", legal=True)
def _aligned() -> Built:
    whole, frames = _packed(16, 24)
    return Writer(EXPLICIT_LE, frames=FRAMES, rows=16, columns=24, bits=1).native(whole, vr="OB"), frames


@case("native-1-bit-padded", "1 bit, each frame padded to a byte, against the standard")
def _padded_bits() -> Built:
    _, frames = _packed(15, 19, 9)
    return Writer(EXPLICIT_LE, frames=9, rows=15, columns=19, bits=1).native(b"".join(frames), vr="OB"), frames


@case(
    "native-1-bit-padded-same-length",
    "1 bit, padded frames whose length would fit the standard too; the last byte tells",
)
def _padded_bits_same() -> Built:
    _, frames = _packed(15, 19)
    return Writer(EXPLICIT_LE, frames=FRAMES, rows=15, columns=19, bits=1).native(b"".join(frames), vr="OB"), frames


@case("native-palette", "PALETTE COLOR", legal=True)
def _palette() -> Built:
    frames = [grey(i).tobytes() for i in range(FRAMES)]
    extra: dict[int, tuple[str, bytes]] = {}
    for offset, factor in enumerate((1, 3, 5)):
        extra[0x00281101 + offset] = ("US", struct.pack("<3H", 256, 0, 16))
        extra[0x00281201 + offset] = ("OW", struct.pack("<256H", *((i * factor % 256) * 257 for i in range(256))))
    return writer(photometric="PALETTE COLOR", extra=extra).native(b"".join(frames), vr="OB"), frames


@case("deflated-data-set", "Deflated Explicit VR Little Endian", legal=True)
def _deflated() -> Built:
    frames = [grey(i).tobytes() for i in range(FRAMES)]
    header = writer(DEFLATED)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(header.dataset() + header.pixels(b"".join(frames), vr="OB")) + packer.flush()
    return header.meta() + body, frames


@case("native-frames-absent", "NumberOfFrames is missing, five frames are there")
def _absent() -> Built:
    frames = [grey(i).tobytes() for i in range(FRAMES)]
    return writer(frames=None).native(b"".join(frames), vr="OB"), frames


@case("native-frames-too-many", "NumberOfFrames says 9, five frames are there")
def _too_many() -> Built:
    frames = [grey(i).tobytes() for i in range(FRAMES)]
    return writer(frames=9).native(b"".join(frames), vr="OB"), frames


@case("native-cut", "the file ends in the middle of the fourth frame")
def _cut() -> Built:
    frames = [grey(i).tobytes() for i in range(FRAMES)]
    whole = writer().native(b"".join(frames), vr="OB")
    return whole[: len(whole) - len(frames[0]) - 100], [*frames[:3], b"", b""]


@case("native-padding", "zeros after the last frame")
def _padding() -> Built:
    frames = [grey(i).tobytes() for i in range(FRAMES)]
    return writer().native(b"".join(frames) + bytes(130), vr="OB"), frames
