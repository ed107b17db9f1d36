"""Files that must be refused by name, because any picture of them would be a guess."""

from __future__ import annotations

from MultiframeStreamerLib.corpus.cases import case
from MultiframeStreamerLib.corpus.encapsulated_cases import Built, jpegs, split, value, writer
from MultiframeStreamerLib.corpus.pictures import COLUMNS, FRAMES, ROWS, bits, grey
from MultiframeStreamerLib.corpus.writer import DELIMITER, Writer, item
from MultiframeStreamerLib.syntaxes import DEFLATED_FRAMES, EXPLICIT_LE, JPEG_BASELINE, RLE

_H264, _JPIP = "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.94"


@case("video", "H.264: one stream, not frames", legal=True)
def _video() -> Built:
    return writer(_H264).encapsulated(value(b"", [[b"\0\0\0\x18ftypmp42" + bytes(2000)]])), "video"


@case("jpip", "JPIP: the pixels are on a server", legal=True)
def _jpip() -> Built:
    return writer(_JPIP).native(bytes(40), vr="OB"), "server"


@case("native-under-jpeg", "the transfer syntax says JPEG, the pixel data are uncompressed")
def _native_under_jpeg() -> Built:
    whole = writer(EXPLICIT_LE, meta_syntax=JPEG_BASELINE).native(b"\x10" * (ROWS * COLUMNS * FRAMES), vr="OB")
    return whole, "do not begin with an item"


@case("items-under-native", "the transfer syntax says uncompressed, the pixel data are items")
def _items_under_native() -> Built:
    return writer(EXPLICIT_LE).encapsulated(value(b"", [[f] for f in jpegs()])), "written as items"


@case("lying-length-without-table", "an item's length is wrong and no table helps: the frames after it are unknown")
def _lying() -> Built:
    frames = jpegs()
    items = [item(f) for f in frames]
    items[2] = item(frames[2], length=len(frames[2]) - 10)
    return writer().encapsulated(item(b"") + b"".join(items) + DELIMITER), [*frames[:2], b"", b"", b""]


@case("swallowed-item", "an item's length covers the next item too")
def _swallowed() -> Built:
    frames = jpegs()
    items = [item(f) for f in frames]
    items[1] = item(frames[1], length=len(frames[1]) + 8 + len(frames[2]))
    return writer().encapsulated(item(b"") + b"".join(items) + DELIMITER), "cannot be told"


@case("markless-fragments", "two fragments for each deflated frame, no table: nothing says where a frame begins")
def _markless() -> Built:
    pieces = [split(bytes((i * j) % 251 for j in range(1, 101)), 2) for i in range(1, FRAMES + 1)]
    return writer(DEFLATED_FRAMES).encapsulated(value(b"", pieces)), "cannot be told"


@case("rle-fragments-cut", "split RLE frames, cut off, without a table")
def _rle_cut() -> Built:
    from MultiframeStreamerLib.corpus.pictures import rle

    pieces = [split(rle(grey(i, bits=12)), 2) for i in range(FRAMES)]
    keep = 8 + sum(8 + len(f) for frame in pieces[:3] for f in frame) + 8 + len(pieces[3][0]) + 20
    return writer(RLE, bits=16, stored=12).encapsulated(value(b"", pieces)[:keep]), "cannot be told"


@case("native-contradiction", "the length of the pixel data fits no number of frames")
def _contradiction() -> Built:
    return writer(EXPLICIT_LE).native(b"\x55" * (ROWS * COLUMNS * FRAMES + 131), vr="OB"), "do not agree"


@case("native-1-bit-ambiguous", "1-bit frames whose length allows two readings")
def _ambiguous() -> Built:
    import numpy as np

    frames = [np.packbits(bits(i, rows=15, columns=19).reshape(-1), bitorder="little").tobytes() for i in range(8)]
    content = b"".join(frames) + bytes(len(frames[0]))
    return Writer(EXPLICIT_LE, frames=9, rows=15, columns=19, bits=1).native(content, vr="OB"), "both readings"


@case("not-dicom", "a text file")
def _text() -> Built:
    return b"This is no DICOM file.\n" * 40, "not a DICOM file"


@case("empty-file", "no bytes at all")
def _nothing() -> Built:
    return b"", "not a DICOM file"


@case("not-an-image", "a DICOM object without pixel data", legal=True)
def _no_image() -> Built:
    header = writer(EXPLICIT_LE)
    for tag in [tag for tag in header.values if tag >> 16 == 0x28]:
        del header.values[tag]
    return header.meta() + header.dataset(), "not an image"


@case("cut-in-header", "the file ends inside its header")
def _cut_header() -> Built:
    header = writer(EXPLICIT_LE)
    return (header.meta() + header.dataset())[:-30], "cut off"


@case("no-frame-at-all", "encapsulated pixel data without a fragment")
def _no_frame() -> Built:
    return writer().encapsulated(item(b"") + DELIMITER), "no frames"


@case("no-rows", "an image without Rows")
def _no_rows() -> Built:
    header = writer(EXPLICIT_LE)
    del header.values[0x00280010]
    return header.native(bytes(ROWS * COLUMNS * FRAMES), vr="OB"), "rows"
