"""Pixel arrays into data sets: native or losslessly compressed.

HTJ2K is written with RPCL progression and TLM markers, as its "RPCL" transfer syntax wants it, so that viewers can show a slice from the
first bytes. JPEG-LS is 15 to 40 % smaller and several times slower to decode.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from DicomOptimizerLib.elements import put
from DicomOptimizerLib.settings import Compression

TRANSFER_SYNTAX = {
    Compression.NONE: "1.2.840.10008.1.2.1",
    Compression.HTJ2K: "1.2.840.10008.1.2.4.202",
    Compression.JPEGLS: "1.2.840.10008.1.2.4.80",
}
IMPLEMENTATION_CLASS_UID = "2.25.35753230854335750347522284707020566546"
IMPLEMENTATION_VERSION = "DICOMWORKBENCH"


def set_pixels(dataset: Dataset, image: NDArray[Any], compression: Compression) -> None:
    """Put one monochrome image (rows, columns) of 8 or 16 bits into a data set, with transfer syntax and bit depth to match.

    Compressed data is declared with as many stored bits as its codestream has, because both must agree (PS3.5 8.2).

    Raises
    ------
    DependencyError : the codec is missing.
    """
    bits = image.dtype.itemsize * 8
    stored = bits if bits == 8 or compression is not Compression.NONE else int(dataset.BitsStored)
    for keyword, value in (
        ("Rows", image.shape[0]),
        ("Columns", image.shape[1]),
        ("SamplesPerPixel", 1),
        ("BitsAllocated", bits),
        ("BitsStored", stored),
        ("HighBit", stored - 1),
        ("PixelRepresentation", int(image.dtype.kind == "i")),
    ):
        put(dataset, keyword, value)
    dataset.PixelData, vr = pixel_value(image, compression)
    dataset["PixelData"].VR = vr
    dataset["PixelData"].is_undefined_length = compression is not Compression.NONE
    dataset.file_meta.TransferSyntaxUID = UID(TRANSFER_SYNTAX[compression])


def pixel_value(image: NDArray[Any], compression: Compression) -> tuple[bytes, str]:
    """Return the value of PixelData for one image, and its value representation."""
    if compression is not Compression.NONE:
        return encapsulate([compressed(image, compression)], has_bot=True), "OB"
    data = image.astype(image.dtype.newbyteorder("<"), copy=False).tobytes()
    return data + b"\0" * (len(data) % 2), "OB" if image.dtype.itemsize == 1 else "OW"


def compressed(image: NDArray[Any], compression: Compression) -> bytes:
    """Compress one image without loss."""
    from DicomWorkbenchLib.pixels_encode import encode_frame

    return encode_frame(image, TRANSFER_SYNTAX[compression])
