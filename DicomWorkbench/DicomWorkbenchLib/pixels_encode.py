"""One frame of samples to the bytes of a compressed one, by imagecodecs; the counterpart of `pixels_codecs`.

References
----------
DICOM PS3.5 A.4 (what each transfer syntax demands of a code stream)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from DicomWorkbenchLib.errors import DependencyError, PixelDataError
from DicomWorkbenchLib.pixels_native import PixelArray

_UID = "1.2.840.10008.1.2.4"
JPEG_BASELINE, JPEG_LOSSLESS, JPEG_LS = f"{_UID}.50", f"{_UID}.70", f"{_UID}.80"
JPEG_2000_LOSSLESS, JPEG_XL_LOSSLESS = f"{_UID}.90", f"{_UID}.110"
HTJ2K_LOSSLESS, HTJ2K_RPCL = f"{_UID}.201", f"{_UID}.202"
_ENCODER_ERRORS = (RuntimeError, ValueError, TypeError, OverflowError, MemoryError)


def encode_frame(samples: PixelArray, transfer_syntax_uid: str, *, quality: int = 90) -> bytes:
    """Encode one frame; lossless unless the transfer syntax is not.

    Parameters
    ----------
    samples : (rows, columns) or (rows, columns, 3), 8 or 16 bit.
    quality : of JPEG Baseline, 1 to 100.

    Raises
    ------
    PixelDataError : these samples do not fit this transfer syntax.
    DependencyError : imagecodecs is missing, or there is no encoder for this transfer syntax.
    """
    encoder = _ENCODERS.get(transfer_syntax_uid)
    if encoder is None:
        raise DependencyError(f"an encoder for transfer syntax {transfer_syntax_uid}", hint="choose HTJ2K or JPEG-LS")
    try:
        import imagecodecs
    except ImportError as error:
        raise DependencyError(
            "the Python package imagecodecs", hint="install it with: pip install imagecodecs"
        ) from error
    try:
        return bytes(encoder(imagecodecs, np.ascontiguousarray(samples), quality))
    except _ENCODER_ERRORS as error:
        raise PixelDataError(f"a frame of {samples.dtype} {samples.shape} cannot be encoded: {error}") from error


def _unsigned(samples: PixelArray) -> PixelArray:
    """Give two's complement as it lies in memory, for code streams that know no sign; the header says how to read it."""
    return samples.view(f"u{samples.dtype.itemsize}") if samples.dtype.kind == "i" else samples


def _htj2k(codecs: Any, samples: PixelArray, quality: int) -> Any:
    # RPCL order is this encoder's default; tile-part lengths (TLM) let a reader fetch low resolutions first.
    return codecs.htj2k_encode(samples, reversible=True, tlm=True)


_ENCODERS: dict[str, Callable[[Any, PixelArray, int], Any]] = {
    JPEG_BASELINE: lambda codecs, samples, quality: codecs.jpeg8_encode(samples, level=quality),
    JPEG_LOSSLESS: lambda codecs, samples, quality: codecs.ljpeg_encode(_unsigned(samples)),
    JPEG_LS: lambda codecs, samples, quality: codecs.jpegls_encode(_unsigned(samples)),
    JPEG_2000_LOSSLESS: lambda codecs, samples, quality: codecs.jpeg2k_encode(
        samples, reversible=True, codecformat="J2K"
    ),
    JPEG_XL_LOSSLESS: lambda codecs, samples, quality: codecs.jpegxl_encode(_unsigned(samples), lossless=True),
    HTJ2K_LOSSLESS: _htj2k,
    HTJ2K_RPCL: _htj2k,
}
