"""The transfer syntaxes this room knows: how a frame is stored, how it begins, and what the web calls it.

Source: DICOM PS3.5 section 10 and annex A, PS3.6 table A-1, media types of PS3.18 table 8.7.3-4.
"""

from __future__ import annotations

import enum
import itertools
from dataclasses import dataclass

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_RPCL = "1.2.840.10008.1.2.4.202"
RLE = "1.2.840.10008.1.2.5"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"


class Family(enum.Enum):
    """How the bytes of one frame are coded."""

    NATIVE = "native"
    JPEG = "JPEG"
    JPEG_LS = "JPEG-LS"
    JPEG_2000 = "JPEG 2000"
    HTJ2K = "HTJ2K"
    JPEG_XL = "JPEG XL"
    RLE = "RLE"
    UNCOMPRESSED = "encapsulated uncompressed"
    DEFLATED_FRAMES = "deflated frames"
    VIDEO = "video"
    REFERENCED = "referenced"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Syntax:
    """One transfer syntax.

    Attributes
    ----------
    uid, name : as in PS3.6.
    family : how a frame is coded.
    media_type : what a part of a WADO-RS reply is called.
    suffix : file name ending of one stored frame.
    lossy : True if decoding cannot give back what was acquired, None where only the header knows.
    """

    uid: str
    name: str
    family: Family
    media_type: str = "application/octet-stream"
    suffix: str = "bin"
    lossy: bool | None = False

    @property
    def encapsulated(self) -> bool:
        """True if the pixel data are a sequence of items."""
        return self.family is not Family.NATIVE

    @property
    def ends_with_marker(self) -> bool:
        """True if a frame's last two bytes before padding are FFD9 (end of image, end of code stream)."""
        return self.family in (Family.JPEG, Family.JPEG_LS, Family.JPEG_2000, Family.HTJ2K)

    @property
    def has_start_marker(self) -> bool:
        """True if the first bytes of a frame can be told from the middle of one."""
        return self.ends_with_marker or self.family in (Family.JPEG_XL, Family.RLE)


def _row(
    uid: str, name: str, family: Family, *, media: str = "", suffix: str = "bin", lossy: bool | None = False
) -> Syntax:
    return Syntax(uid, name, family, media or "application/octet-stream", suffix, lossy)


_JPEG = "1.2.840.10008.1.2.4."
_TABLE = (
    _row(IMPLICIT_LE, "Implicit VR Little Endian", Family.NATIVE, suffix="raw"),
    _row(EXPLICIT_LE, "Explicit VR Little Endian", Family.NATIVE, suffix="raw"),
    _row(EXPLICIT_BE, "Explicit VR Big Endian", Family.NATIVE, suffix="raw"),
    _row(DEFLATED, "Deflated Explicit VR Little Endian", Family.NATIVE, suffix="raw"),
    _row(
        ENCAPSULATED_UNCOMPRESSED,
        "Encapsulated Uncompressed Explicit VR Little Endian",
        Family.UNCOMPRESSED,
        suffix="raw",
    ),
    _row(JPEG_BASELINE, "JPEG Baseline", Family.JPEG, media="image/jpeg", suffix="jpg", lossy=True),
    _row(_JPEG + "51", "JPEG Extended", Family.JPEG, media="image/jpeg", suffix="jpg", lossy=True),
    _row(_JPEG + "57", "JPEG Lossless", Family.JPEG, media="image/jpeg", suffix="jpg"),
    _row(JPEG_LOSSLESS, "JPEG Lossless, first-order prediction", Family.JPEG, media="image/jpeg", suffix="jpg"),
    _row(JPEG_LS, "JPEG-LS Lossless", Family.JPEG_LS, media="image/jls", suffix="jls"),
    _row(_JPEG + "81", "JPEG-LS Near-Lossless", Family.JPEG_LS, media="image/jls", suffix="jls", lossy=True),
    _row(JPEG_2000_LOSSLESS, "JPEG 2000 Lossless", Family.JPEG_2000, media="image/jp2", suffix="j2k"),
    _row(_JPEG + "91", "JPEG 2000", Family.JPEG_2000, media="image/jp2", suffix="j2k", lossy=None),
    _row(_JPEG + "92", "JPEG 2000 Part 2 Lossless", Family.JPEG_2000, media="image/jpx", suffix="j2k"),
    _row(_JPEG + "93", "JPEG 2000 Part 2", Family.JPEG_2000, media="image/jpx", suffix="j2k", lossy=None),
    _row(HTJ2K_LOSSLESS, "High-Throughput JPEG 2000 Lossless", Family.HTJ2K, media="image/jphc", suffix="jhc"),
    _row(HTJ2K_RPCL, "High-Throughput JPEG 2000 Lossless, RPCL", Family.HTJ2K, media="image/jphc", suffix="jhc"),
    _row(_JPEG + "203", "High-Throughput JPEG 2000", Family.HTJ2K, media="image/jphc", suffix="jhc", lossy=None),
    _row(_JPEG + "110", "JPEG XL Lossless", Family.JPEG_XL, media="image/jxl", suffix="jxl"),
    _row(_JPEG + "111", "JPEG XL JPEG Recompression", Family.JPEG_XL, media="image/jxl", suffix="jxl", lossy=True),
    _row(_JPEG + "112", "JPEG XL", Family.JPEG_XL, media="image/jxl", suffix="jxl", lossy=None),
    _row(RLE, "RLE Lossless", Family.RLE, media="image/dicom-rle", suffix="rle"),
    _row(DEFLATED_FRAMES, "Deflated Image Frame Compression", Family.DEFLATED_FRAMES, suffix="deflate"),
    _row(_JPEG + "94", "JPIP Referenced", Family.REFERENCED),
    _row(_JPEG + "95", "JPIP Referenced Deflate", Family.REFERENCED),
    _row(_JPEG + "204", "JPIP HTJ2K Referenced", Family.REFERENCED),
    _row(_JPEG + "205", "JPIP HTJ2K Referenced Deflate", Family.REFERENCED),
    _row(_JPEG + "100", "MPEG2 Main Profile / Main Level", Family.VIDEO, media="video/mpeg2", lossy=True),
    _row(_JPEG + "101", "MPEG2 Main Profile / High Level", Family.VIDEO, media="video/mpeg2", lossy=True),
    _row(_JPEG + "102", "MPEG-4 AVC/H.264 High Profile", Family.VIDEO, media="video/mp4", lossy=True),
    _row(_JPEG + "103", "MPEG-4 AVC/H.264 BD-compatible", Family.VIDEO, media="video/mp4", lossy=True),
    _row(_JPEG + "104", "MPEG-4 AVC/H.264 for 2D video", Family.VIDEO, media="video/mp4", lossy=True),
    _row(_JPEG + "105", "MPEG-4 AVC/H.264 for 3D video", Family.VIDEO, media="video/mp4", lossy=True),
    _row(_JPEG + "106", "MPEG-4 AVC/H.264 Stereo High", Family.VIDEO, media="video/mp4", lossy=True),
    _row(_JPEG + "107", "HEVC/H.265 Main Profile", Family.VIDEO, media="video/H265", lossy=True),
    _row(_JPEG + "108", "HEVC/H.265 Main 10 Profile", Family.VIDEO, media="video/H265", lossy=True),
)
SYNTAXES = {row.uid: row for row in _TABLE}


def syntax_of(uid: str) -> Syntax:
    """Return what is known of a transfer syntax; the fragmentable video variants (``.1``) count as their parents.

    An unknown one is taken to be encapsulated: its frames can be handed on, not decoded.
    """
    known = SYNTAXES.get(uid) or SYNTAXES.get(uid.removesuffix(".1") if uid.startswith(_JPEG + "10") else uid)
    return known or Syntax(uid, f"transfer syntax {uid}", Family.UNKNOWN, lossy=None)


_JPEG_START, _J2K_START, _BOX_START = b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0c"
START_MARKERS: dict[Family, tuple[bytes, ...]] = {
    Family.JPEG: (_JPEG_START,),
    Family.JPEG_LS: (_JPEG_START,),
    Family.JPEG_2000: (_J2K_START, _BOX_START),  # a JP2 box is against the standard, but seen
    Family.HTJ2K: (_J2K_START, _BOX_START),
    Family.JPEG_XL: (b"\xff\x0a", _BOX_START),
}


def frame_begins(family: Family, head: bytes) -> bool:
    """Tell from the first bytes of a fragment whether a frame can begin there.

    Parameters
    ----------
    head : at least the first four bytes; RLE is certain only with all 64 bytes of its header.
    """
    if family is Family.RLE:
        return _rle_begins(head)
    return head.startswith(START_MARKERS.get(family, ()))


def _rle_begins(head: bytes) -> bool:
    """PS3.5 annex G.5: segment count, then 15 offsets of which the first is 64, ascending, the unused ones 0."""
    count = int.from_bytes(head[:4], "little")
    if not 1 <= count <= 15:
        return False
    if len(head) < 64:
        return True
    offsets = [int.from_bytes(head[at : at + 4], "little") for at in range(4, 64, 4)]
    used, unused = offsets[:count], offsets[count:]
    return used[0] == 64 and all(a < b for a, b in itertools.pairwise(used)) and not any(unused)
