"""From the stored bytes of a frame to samples, to real-world values, and to what a person sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib.errors import DependencyError, PixelDataError
from DicomWorkbenchLib.pixels_codecs import decode_frame
from DicomWorkbenchLib.pixels_format import PixelFormat as Form
from DicomWorkbenchLib.pixels_native import native_frame
from DicomWorkbenchLib.windowing import Window, apply_window

from .pixel_format import PixelFormat
from .syntaxes import syntax_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydicom import Dataset

    Array = NDArray[Any]

_WINDOW_PERCENTILES = (1.0, 99.0)  # of values, where the file names no window
_PALETTE_ERRORS = (ValueError, KeyError, IndexError, TypeError, AttributeError)


def common_form(pixels: PixelFormat, transfer_syntax: str) -> Form:
    """Say in the common room's terms what one frame looks like."""
    floating = pixels.kind == "f"
    shifted = pixels.high_bit != pixels.bits_stored - 1  # such samples are moved down after decoding
    return Form(
        rows=pixels.rows,
        columns=pixels.columns,
        frames=1,
        samples=pixels.samples,
        bits_allocated=pixels.bits_allocated,
        bits_stored=pixels.bits_allocated if shifted else pixels.bits_stored,
        signed=pixels.kind == "i",
        planar=pixels.planar == 1,
        photometric="YBR_FULL_422" if pixels.subsampled else pixels.photometric,
        transfer_syntax_uid=transfer_syntax,
        float_bits=pixels.bits_allocated if floating else 0,
    )


def decoded(data: bytes, transfer_syntax: str, pixels: PixelFormat) -> Array:
    """Return the samples of a frame: grey values and palette indexes as stored, colours as RGB.

    Parameters
    ----------
    data : joined fragments; of native frames the bytes, 1-bit ones beginning at bit 0.

    Raises
    ------
    PixelDataError : the bytes are no such frame.
    """
    form, syntax = common_form(pixels, transfer_syntax), syntax_of(transfer_syntax)
    if not syntax.encapsulated:
        needed = (pixels.frame_bits(native=True) + 7) // 8
        samples = native_frame(data[:needed], 0, form)
    else:
        samples = _by_codec(data, form)
    return _moved_down(samples, pixels)


def _by_codec(data: bytes, form: Form) -> Array:
    try:
        return decode_frame(data, form)
    except ModuleNotFoundError as error:
        raise DependencyError(
            "the Python package imagecodecs", hint="install it with: pip install imagecodecs"
        ) from error


def _moved_down(samples: Array, pixels: PixelFormat) -> Array:
    """Bring samples whose HighBit is not BitsStored - 1 down to bit 0, with their sign (PS3.5 8.1.1)."""
    if pixels.high_bit == pixels.bits_stored - 1 or pixels.samples > 1:
        return samples
    left, right = pixels.bits_allocated - 1 - pixels.high_bit, pixels.bits_allocated - pixels.bits_stored
    moved: Array = (samples << left) >> right
    return moved


def real_values(samples: Array, frame: Dataset) -> Array:
    """Apply the modality transform (rescale or lookup table) of a frame; without one, samples are returned as they are.

    Parameters
    ----------
    frame : the frame's flattened header.
    """
    import numpy as np

    if samples.ndim == 3:
        return samples
    if frame.get("ModalityLUTSequence"):
        from pydicom.pixels.processing import apply_modality_lut

        return np.asarray(apply_modality_lut(samples, frame))
    slope, intercept = _number(frame, "RescaleSlope", 1.0), _number(frame, "RescaleIntercept", 0.0)
    if (slope, intercept) == (1.0, 0.0):
        return samples
    return samples * np.float32(slope) + np.float32(intercept)


def rgb_of_palette(samples: Array, frame: Dataset) -> Array:
    """Turn palette indexes into RGB of 8 bits.

    Raises
    ------
    PixelDataError : the palette is missing or damaged.
    """
    import numpy as np
    from pydicom.pixels.processing import apply_color_lut

    try:
        colours = np.asarray(apply_color_lut(samples, frame))[..., :3]
    except _PALETTE_ERRORS as error:
        raise PixelDataError(f"the colour palette cannot be used: {error}") from error
    return colours if colours.dtype.itemsize == 1 else (colours >> 8).astype(np.uint8)


def window_of(frame: Dataset) -> Window | None:
    """Return the first display window the file names, if it can be used."""
    center, width = _number(frame, "WindowCenter", None), _number(frame, "WindowWidth", None)
    if center is None or width is None or width < 1:
        return None
    return Window(level=center, width=width)


def displayed(samples: Array, frame: Dataset, pixels: PixelFormat, window: Window | None = None) -> Array:
    """Return what a person is meant to see: uint8, (rows, columns) or (rows, columns, 3).

    Parameters
    ----------
    window : in real-world values; None takes the file's, or the range of this frame's values.
    """
    import numpy as np

    if pixels.photometric == "PALETTE COLOR":
        return rgb_of_palette(samples, frame)
    if samples.ndim == 3:
        return (
            samples[..., :3] if samples.dtype.itemsize == 1 else (samples[..., :3] >> _surplus(pixels)).astype(np.uint8)
        )
    values = real_values(samples, frame)
    shown: Array = (
        _without_window(values, pixels)
        if window is None and window_of(frame) is None
        else apply_window(values, window or window_of(frame) or _full(values))
    )
    return 255 - shown if pixels.photometric == "MONOCHROME1" else shown


def _without_window(values: Array, pixels: PixelFormat) -> Array:
    import numpy as np

    if pixels.bits_allocated == 1:
        return (values * 255).astype(np.uint8)
    if pixels.bits_stored == 8 and values.dtype == np.uint8:
        return values
    return np.asarray(apply_window(values, _full(values)))


def _full(values: Array) -> Window:
    import numpy as np

    low, high = (float(v) for v in np.nanpercentile(values, _WINDOW_PERCENTILES))
    if not np.isfinite(low + high) or high - low < 1:
        low, high = (float(np.nanmin(values)), float(np.nanmax(values))) if np.isfinite(values).any() else (0.0, 1.0)
    return Window(level=(low + high) / 2, width=max(high - low, 1.0))


def _surplus(pixels: PixelFormat) -> int:
    return max(pixels.bits_stored - 8, 0)


def _number(frame: Dataset, keyword: str, default: float | None) -> Any:
    value = frame.get(keyword)
    if value is None or value == "":
        return default
    try:
        return float(value[0]) if hasattr(value, "__getitem__") and not isinstance(value, str) else float(value)
    except (TypeError, ValueError, IndexError):
        return default


def dtype_of(pixels: PixelFormat) -> np.dtype[Any]:
    """Return numpy's type of decoded samples."""
    import numpy as np

    return np.dtype(pixels.dtype)
