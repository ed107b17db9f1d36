"""Compressed frames: offset tables, fragments, items and counts that are right, wrong, or missing."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from MultiframeStreamerLib.corpus.cases import case
from MultiframeStreamerLib.corpus.pictures import COLUMNS, FRAMES, ROWS, coded, colour, grey, rle
from MultiframeStreamerLib.corpus.writer import DELIMITER, Writer, basic_table, item, padded
from MultiframeStreamerLib.syntaxes import (
    DEFLATED_FRAMES,
    ENCAPSULATED_UNCOMPRESSED,
    HTJ2K_RPCL,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_LOSSLESS,
    JPEG_LS,
    RLE,
)

Built = tuple[bytes, object]
_EOT, _EOT_LENGTHS = 0x7FE00001, 0x7FE00002
_JXL = "1.2.840.10008.1.2.4.110"


def jpegs(count: int = FRAMES) -> list[bytes]:
    """Return padded JPEG frames."""
    return [padded(coded(JPEG_BASELINE, i)) for i in range(count)]


def writer(syntax: str = JPEG_BASELINE, frames: int | None = FRAMES, **more: Any) -> Writer:
    """Return a writer of the corpus' frame size."""
    return Writer(syntax, frames=frames, rows=ROWS, columns=COLUMNS, **more)


def split(frame: bytes, pieces: int) -> list[bytes]:
    """Cut a frame into fragments of even length."""
    size = (len(frame) // pieces) & ~1
    cuts = [i * size for i in range(pieces)] + [len(frame)]
    return [frame[a:b] for a, b in itertools.pairwise(cuts)]


def value(table: bytes, fragments: Sequence[Sequence[bytes]], delimiter: bytes = DELIMITER) -> bytes:
    """Return encapsulated pixel data."""
    return item(table) + b"".join(item(f) for frame in fragments for f in frame) + delimiter


def _single(frames: list[bytes]) -> list[list[bytes]]:
    return [[f] for f in frames]


def _extended(frames: Sequence[Sequence[bytes]], lengths: Sequence[int]) -> dict[int, tuple[str, bytes]]:
    offsets, position = [], 0
    for frame in frames:
        offsets.append(position)
        position += sum(8 + len(f) for f in frame)
    count = len(offsets)
    return {
        _EOT: ("OV", struct.pack(f"<{count}Q", *offsets)),
        _EOT_LENGTHS: ("OV", struct.pack(f"<{len(lengths)}Q", *lengths)),
    }


@case("basic-table", "JPEG, right Basic Offset Table", legal=True)
def _basic() -> Built:
    frames = jpegs()
    return writer().encapsulated(value(basic_table(_single(frames)), _single(frames))), frames


@case("empty-table", "JPEG, empty Basic Offset Table", legal=True)
def _empty() -> Built:
    return writer().encapsulated(value(b"", _single(jpegs()))), jpegs()


@case("extended-table", "JPEG, Extended Offset Table", legal=True)
def _extended_table() -> Built:
    frames = jpegs()
    extra = _extended(_single(frames), [len(f) for f in frames])
    return writer(extra=extra).encapsulated(value(b"", _single(frames))), frames


@case(
    "extended-table-unpadded-lengths", "Extended Offset Table whose lengths do not count the padding byte", legal=True
)
def _unpadded() -> Built:
    true = [coded(JPEG_BASELINE, i) + b"\xff\xd9" * 0 for i in range(FRAMES)]
    true = [
        f if len(f) % 2 else f[:2] + b"\xff\xfe\x00\x03\x00" + f[2:] for f in true
    ]  # a one-byte comment makes it odd
    stored = [padded(f) for f in true]
    extra = _extended(_single(stored), [len(f) for f in true])
    return writer(extra=extra).encapsulated(value(b"", _single(stored))), true


@case("extended-table-wrong-lengths", "Extended Offset Table with lengths that are too long")
def _wrong_lengths() -> Built:
    frames = jpegs()
    extra = _extended(_single(frames), [len(f) + 100 for f in frames])
    return writer(extra=extra).encapsulated(value(b"", _single(frames))), frames


@case("extended-table-and-basic-table", "both offset tables, which is not allowed")
def _both() -> Built:
    frames = jpegs()
    extra = _extended(_single(frames), [len(f) for f in frames])
    return writer(extra=extra).encapsulated(value(basic_table(_single(frames)), _single(frames))), frames


@case("extended-table-with-fragments", "Extended Offset Table although frames are split, which is not allowed")
def _extended_fragments() -> Built:
    frames = jpegs()
    pieces = [split(f, 3) for f in frames]
    extra = _extended(pieces, [len(f) for f in frames])
    return writer(extra=extra).encapsulated(value(b"", pieces)), frames


@case("extended-table-wrong", "Extended Offset Table that points into nowhere")
def _extended_wrong() -> Built:
    frames = jpegs()
    extra = {
        _EOT: ("OV", struct.pack("<5Q", 0, 1 << 40, 3, 4, 1 << 63)),
        _EOT_LENGTHS: ("OV", struct.pack("<5Q", *[9] * 5)),
    }
    return writer(extra=extra).encapsulated(value(b"", _single(frames))), frames


@case("fragments-with-table", "three fragments for each frame, Basic Offset Table", legal=True)
def _fragments() -> Built:
    pieces = [split(f, 3) for f in jpegs()]
    return writer().encapsulated(value(basic_table(pieces), pieces)), jpegs()


@case("fragments-without-table", "one to five fragments for each frame, empty Basic Offset Table", legal=True)
def _fragments_bare() -> Built:
    pieces = [split(f, 1 + i) for i, f in enumerate(jpegs())]
    return writer().encapsulated(value(b"", pieces)), jpegs()


@case("one-frame-many-fragments", "one frame in seven fragments", legal=True)
def _one() -> Built:
    frame = jpegs(1)
    return writer(frames=1).encapsulated(value(b"", [split(frame[0], 7)])), frame


@case("table-off-by-eight", "Basic Offset Table that counts from the first fragment's value")
def _off() -> Built:
    frames = jpegs()
    table = struct.unpack("<5I", basic_table(_single(frames)))
    return writer().encapsulated(value(struct.pack("<5I", 0, *(t + 8 for t in table[1:])), _single(frames))), frames


@case("table-without-headers", "Basic Offset Table that forgets the item headers")
def _no_headers() -> Built:
    frames = jpegs()
    offsets = [sum(len(f) for f in frames[:i]) for i in range(FRAMES)]
    return writer().encapsulated(value(struct.pack("<5I", *offsets), _single(frames))), frames


@case("table-too-short", "Basic Offset Table with one entry for five frames")
def _short() -> Built:
    return writer().encapsulated(value(struct.pack("<I", 0), _single(jpegs()))), jpegs()


@case("table-too-long", "Basic Offset Table with more entries than frames")
def _long() -> Built:
    frames = jpegs()
    return writer().encapsulated(value(basic_table(_single(frames)) + b"\0" * 12, _single(frames))), frames


@case("table-odd-length", "Basic Offset Table of 18 bytes")
def _odd_table() -> Built:
    frames = jpegs()
    return writer().encapsulated(value(basic_table(_single(frames))[:18], _single(frames))), frames


@case("table-of-zeros", "Basic Offset Table that holds only zeros")
def _zeros() -> Built:
    return writer().encapsulated(value(b"\0" * 20, _single(jpegs()))), jpegs()


@case("table-shuffled", "Basic Offset Table in descending order")
def _shuffled() -> Built:
    frames = jpegs()
    table = struct.unpack("<5I", basic_table(_single(frames)))
    return writer().encapsulated(value(struct.pack("<5I", *reversed(table)), _single(frames))), frames


@case("table-on-wrong-fragments", "Basic Offset Table whose entries land on fragments inside frames")
def _wrong_fragments() -> Built:
    pieces = [split(f, 3) for f in jpegs()]
    flat = [f for frame in pieces for f in frame]
    starts = [sum(8 + len(f) for f in flat[:i]) for i in range(len(flat))]
    return writer().encapsulated(value(struct.pack("<5I", *starts[:5]), pieces)), jpegs()


@case("table-item-missing", "no Basic Offset Table item at all")
def _no_table_item() -> Built:
    return writer().encapsulated(b"".join(item(f) for f in jpegs()) + DELIMITER), jpegs()


@case("delimiter-missing", "no sequence delimiter at the end of the file")
def _no_delimiter() -> Built:
    return writer().encapsulated(value(b"", _single(jpegs()), b"")), jpegs()


@case("delimiter-missing-then-padding", "no sequence delimiter, then the Data Set Trailing Padding element")
def _no_delimiter_padding() -> Built:
    after = b"\xfc\xff\xfc\xffOB\0\0\x04\0\0\0\0\0\0\0"
    return writer().encapsulated(value(b"", _single(jpegs()), b""), after=after), jpegs()


@case("delimiter-missing-then-zeros", "no sequence delimiter, then zeros to a block boundary")
def _no_delimiter_zeros() -> Built:
    return writer().encapsulated(value(b"", _single(jpegs()), b""), after=b"\0" * 300), jpegs()


@case("trailing-padding", "a delimiter and then the Data Set Trailing Padding element", legal=True)
def _trailing() -> Built:
    after = b"\xfc\xff\xfc\xffOB\0\0\x04\0\0\0\0\0\0\0"
    return writer().encapsulated(value(b"", _single(jpegs())), after=after), jpegs()


@case("zero-length-last-fragment", "an empty fragment after the last frame")
def _zero_last() -> Built:
    return writer().encapsulated(value(b"", [*_single(jpegs()), [b""]])), jpegs()


@case("zero-length-frame", "the third frame is an empty item")
def _zero_frame() -> Built:
    frames = jpegs()
    frames[2] = b""
    return writer().encapsulated(value(b"", _single(frames))), frames


@case("odd-items", "items of odd length without padding")
def _odd() -> Built:
    frames = [f.rstrip(b"\0") for f in jpegs()]
    frames = [f if len(f) % 2 else f[:2] + b"\xff\xfe\x00\x03\x00" + f[2:] for f in frames]
    return writer().encapsulated(value(b"", _single(frames))), frames


@case("odd-items-then-padding", "items of odd length, each followed by a padding byte outside of it")
def _odd_padded() -> Built:
    frames = [f.rstrip(b"\0") for f in jpegs()]
    frames = [f if len(f) % 2 else f[:2] + b"\xff\xfe\x00\x03\x00" + f[2:] for f in frames]
    return writer().encapsulated(item(b"") + b"".join(item(f) + b"\0" for f in frames) + DELIMITER), frames


@case("cut-in-last-frame", "the file ends in the middle of the last frame")
def _cut_last() -> Built:
    frames = jpegs()
    whole = value(b"", _single(frames))
    cut = whole[: len(whole) - 8 - len(frames[-1]) // 2]
    return writer().encapsulated(cut), [*frames[:-1], b""]


@case("cut-in-third-frame", "the file ends in the middle of the third of five frames")
def _cut_third() -> Built:
    frames = jpegs()
    keep = 8 + sum(8 + len(f) for f in frames[:2]) + 8 + len(frames[2]) // 2
    return writer().encapsulated(value(b"", _single(frames))[:keep]), [*frames[:2], b"", b"", b""]


@case("cut-fragments-with-table", "fragmented frames with a table, cut in the fourth frame")
def _cut_fragments() -> Built:
    frames = jpegs()
    pieces = [split(f, 3) for f in frames]
    whole = value(basic_table(pieces), pieces)
    keep = 28 + sum(8 + len(f) for frame in pieces[:3] for f in frame) + 20
    return writer().encapsulated(whole[:keep]), [*frames[:3], b"", b""]


@case("frames-absent", "NumberOfFrames is missing, five code streams are there")
def _absent() -> Built:
    return writer(frames=None).encapsulated(value(b"", _single(jpegs()))), jpegs()


@case("frames-too-few", "NumberOfFrames says 3, five code streams are there")
def _too_few() -> Built:
    return writer(frames=3).encapsulated(value(basic_table(_single(jpegs())), _single(jpegs()))), jpegs()


@case("frames-too-many", "NumberOfFrames says 9, five code streams are there")
def _too_many() -> Built:
    return writer(frames=9).encapsulated(value(basic_table(_single(jpegs())), _single(jpegs()))), jpegs()


@case("frames-too-many-without-table", "NumberOfFrames says 9, five code streams are there and no table agrees")
def _too_many_bare() -> Built:
    return writer(frames=9).encapsulated(value(b"", _single(jpegs()))), "cannot be told"


@case("garbage-frame", "the third frame holds random bytes")
def _garbage() -> Built:
    frames = jpegs()
    frames[2] = bytes((i * 73 + 11) % 256 for i in range(len(frames[2])))
    return writer().encapsulated(value(b"", _single(frames))), frames


@case("false-beginning", "a fragment inside a frame begins like a JPEG")
def _false_beginning() -> Built:
    frames = jpegs()
    thumbnail = b"\xff\xd8\xff\xe0" + b"\0" * 40
    frames[1] = frames[1][:2] + b"\xff\xfe" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail + frames[1][2:]
    pieces = [[f] for f in frames]
    pieces[1] = [frames[1][:6], frames[1][6:]]
    return writer().encapsulated(value(b"", pieces)), frames


@case("lying-length-with-table", "the second item's length is wrong, the Basic Offset Table is right")
def _lying_table() -> Built:
    frames = jpegs()
    table = basic_table(_single(frames))
    items = [item(f) for f in frames]
    items[1] = item(frames[1], length=len(frames[1]) - 10)
    return writer().encapsulated(item(table) + b"".join(items) + DELIMITER), [frames[0], b"", *frames[2:]]


@case("length-written", "the pixel data have a length instead of a delimiter")
def _written() -> Built:
    whole = value(basic_table(_single(jpegs())), _single(jpegs()), b"")
    return writer().encapsulated(whole, length=len(whole)), jpegs()


@case("icon-with-pixels", "an icon image with pixel data of its own before the frames", legal=True)
def _icon() -> Built:
    inner = Writer("1.2.840.10008.1.2.1", frames=None, rows=4, columns=4)
    icon = b"".join(_explicit(tag, vr, v) for tag, (vr, v) in sorted(inner.values.items()) if tag >> 16 == 0x28)
    icon += _explicit(0x7FE00010, "OB", bytes(16))
    sequence = item(icon, length=0xFFFFFFFF) + b"\xfe\xff\x0d\xe0\0\0\0\0" + DELIMITER
    header = writer()
    dataset = header.dataset() + struct.pack("<HH", 0x0088, 0x0200) + b"SQ\0\0\xff\xff\xff\xff" + sequence
    pixels = header.pixels(value(b"", _single(jpegs())), length=0xFFFFFFFF)
    return header.meta() + dataset + pixels, jpegs()


def _explicit(tag: int, vr: str, content: bytes) -> bytes:
    from MultiframeStreamerLib.corpus.writer import element

    return element(tag, vr, content)


@case("colour-jpeg", "RGB frames as JPEG, YBR_FULL_422", legal=True)
def _colour() -> Built:
    frames = [padded(coded(JPEG_BASELINE, i, "colour")) for i in range(FRAMES)]
    header = writer(samples=3, photometric="YBR_FULL_422", planar=0)
    return header.encapsulated(value(b"", _single(frames))), frames


def _codec(syntax: str, pieces: int = 1, **more: Any) -> Built:
    frames = [padded(coded(syntax, i, depth=12)) for i in range(FRAMES)]
    header = writer(syntax, bits=16, stored=12, **more)
    return header.encapsulated(value(b"", [split(f, pieces) for f in frames])), frames


@case("jpeg-lossless", "JPEG Lossless, 12 of 16 bits", legal=True)
def _jpeg_lossless() -> Built:
    return _codec(JPEG_LOSSLESS)


@case("jpeg-ls-fragments", "JPEG-LS in two fragments for each frame, no table", legal=True)
def _jpeg_ls() -> Built:
    return _codec(JPEG_LS, 2)


@case("jpeg-2000-fragments", "JPEG 2000 in three fragments for each frame, no table", legal=True)
def _jpeg_2000() -> Built:
    return _codec(JPEG_2000_LOSSLESS, 3)


@case("htj2k", "HTJ2K with RPCL order", legal=True)
def _htj2k() -> Built:
    return _codec(HTJ2K_RPCL)


@case("jpeg-xl", "JPEG XL", legal=True)
def _jpeg_xl() -> Built:
    return _codec(_JXL)


@case("rle", "RLE, 16 bits", legal=True)
def _rle() -> Built:
    frames = [rle(grey(i, bits=12)) for i in range(FRAMES)]
    return writer(RLE, bits=16, stored=12).encapsulated(value(b"", _single(frames))), frames


@case("rle-fragments", "RLE frames split into fragments, which is not allowed")
def _rle_fragments() -> Built:
    frames = [rle(grey(i, bits=12)) for i in range(FRAMES)]
    return writer(RLE, bits=16, stored=12).encapsulated(value(b"", [split(f, 2) for f in frames])), frames


@case("deflated-frames", "Deflated Image Frame Compression", legal=True)
def _deflated_frames() -> Built:
    frames = []
    for i in range(FRAMES):
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        frames.append(padded(packer.compress(grey(i).tobytes()) + packer.flush()))
    return writer(DEFLATED_FRAMES).encapsulated(value(b"", _single(frames))), frames


@case("uncompressed-items", "Encapsulated Uncompressed, colour", legal=True)
def _uncompressed() -> Built:
    frames = [padded(colour(i).tobytes()) for i in range(FRAMES)]
    header = writer(ENCAPSULATED_UNCOMPRESSED, samples=3, photometric="RGB", planar=0)
    return header.encapsulated(value(b"", _single(frames))), frames


@case("uncompressed-items-in-pieces", "Encapsulated Uncompressed, four fragments for each frame, no table")
def _uncompressed_pieces() -> Built:
    frames = [padded(grey(i, bits=16).tobytes()) for i in range(FRAMES)]
    header = writer(ENCAPSULATED_UNCOMPRESSED, bits=16)
    return header.encapsulated(value(b"", [split(f, 4) for f in frames])), frames
