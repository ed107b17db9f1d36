"""Frames as pictures: /rendered and /thumbnail (DICOM PS3.18 section 8.3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib.web_problems import bad_request
from DicomWorkbenchLib.windowing import Window

from ..frames import Frames
from ..pixel_format import PixelFormat
from ..syntaxes import JPEG_BASELINE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

THUMBNAIL = 128  # pixels of the longer side
_QUALITY = 85
_LARGEST_VIEWPORT = 8192
_FUNCTIONS = ("linear", "linear-exact", "sigmoid")


@dataclass(frozen=True)
class View:
    """How to render: window in real-world values, size of the picture, part of the frame, JPEG quality."""

    window: Window | None = None
    function: str = "linear"
    size: tuple[int, int] | None = None  # width, height
    part: tuple[float, float, float, float] | None = None  # left, top, width, height in pixels of the frame
    quality: int = _QUALITY
    plain: bool = False  # nothing was asked for: a stored JPEG may go out as it is


def parse_view(parameters: Mapping[str, str]) -> View:
    """Read ``window``, ``viewport`` and ``quality``.

    Raises
    ------
    Problem : a value makes no sense (400).
    """
    window, function = _window(parameters.get("window", ""))
    size, part = _viewport(parameters.get("viewport", ""))
    quality = parameters.get("quality", "")
    if quality and not (quality.isdecimal() and 1 <= int(quality) <= 100):
        raise bad_request("quality is a number from 1 to 100")
    plain = not (window or size or quality)
    return View(window, function, size, part, int(quality or _QUALITY), plain)


def _window(text: str) -> tuple[Window | None, str]:
    if not text:
        return None, "linear"
    parts = text.split(",")
    try:
        center, width = float(parts[0]), float(parts[1])
        function = parts[2].strip().lower() if len(parts) > 2 else "linear"
        if len(parts) > 3 or function not in _FUNCTIONS or not width >= 1 or abs(center) > 1e9 or width > 1e9:
            raise ValueError
    except (ValueError, IndexError):
        raise bad_request(
            "window is CENTER,WIDTH or CENTER,WIDTH,FUNCTION with linear, linear-exact or sigmoid"
        ) from None
    return Window(level=center, width=width), function


def _viewport(text: str) -> tuple[tuple[int, int] | None, tuple[float, float, float, float] | None]:
    if not text:
        return None, None
    try:
        numbers = [float(part) if part.strip() else 0.0 for part in text.split(",")]
        width, height = int(numbers[0]), int(numbers[1])
        if len(numbers) not in (2, 6) or not (1 <= width <= _LARGEST_VIEWPORT and 1 <= height <= _LARGEST_VIEWPORT):
            raise ValueError
        part = (numbers[2], numbers[3], numbers[4], numbers[5]) if len(numbers) == 6 else None
        if part and not (part[0] >= 0 and part[1] >= 0 and part[2] >= 0 and part[3] >= 0):
            raise ValueError
    except (ValueError, IndexError, OverflowError):
        raise bad_request(
            f"viewport is WIDTH,HEIGHT or WIDTH,HEIGHT,LEFT,TOP,WIDTH,HEIGHT, up to {_LARGEST_VIEWPORT}"
        ) from None
    return (width, height), part


def rendered(frames: Frames, number: int, view: View, media: str) -> bytes:
    """Return one frame as JPEG or PNG.

    Raises
    ------
    PixelDataError : the frame cannot be decoded.
    """
    if view.plain and media == "image/jpeg" and is_browser_jpeg(frames):
        return frames.encoded(number)
    image = frames.displayed(number, view.window) if view.function == "linear" else _by_function(frames, number, view)
    if view.size is not None:
        image = fitted(image, view.size, view.part)
    return encode(image, media, view.quality)


def is_browser_jpeg(frames: Frames) -> bool:
    """Tell whether stored frames are JPEG that a browser shows as a person is meant to see them."""
    header, pixels = frames.objects[0].header, frames.pixels
    return (
        header.transfer_syntax == JPEG_BASELINE
        and pixels.bits_stored == 8
        and pixels.photometric in ("MONOCHROME2", "YBR_FULL_422", "YBR_FULL")
        and not any(tag in header.elements for tag in (0x00281050, 0x00281053, 0x00283000, 0x00283010))
    )


def _by_function(frames: Frames, number: int, view: View) -> Array:
    """LINEAR_EXACT and SIGMOID (PS3.3 C.11.2.1.3)."""
    import numpy as np

    if frames.pixels.samples > 1 or frames.pixels.photometric == "PALETTE COLOR" or view.window is None:
        return frames.displayed(number)
    values = frames.values(number).astype(np.float64)
    relative = (values - view.window.level) / view.window.width
    shown = (
        relative + 0.5 if view.function == "linear-exact" else 1.0 / (1.0 + np.exp(np.clip(-4.0 * relative, -60, 60)))
    )
    image: Array = np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)
    return _inverted(image, frames.pixels)


def _inverted(image: Array, pixels: PixelFormat) -> Array:
    return 255 - image if pixels.photometric == "MONOCHROME1" else image


def fitted(image: Array, size: tuple[int, int], part: tuple[float, float, float, float] | None) -> Array:
    """Cut out a part and scale it to the largest size that fits the viewport and keeps its shape."""
    import numpy as np
    from PIL import Image

    rows, columns = image.shape[:2]
    left, top, width, height = part or (0.0, 0.0, 0.0, 0.0)
    width, height = width or columns - left, height or rows - top
    right, bottom = min(left + width, columns), min(top + height, rows)
    if right - left < 1 or bottom - top < 1:
        raise bad_request("the viewport shows no pixel of the frame")
    scale = min(size[0] / (right - left), size[1] / (bottom - top))
    new_size = (max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1))
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize(new_size, Image.Resampling.BILINEAR, box=(left, top, right, bottom)))


def thumbnail(frames: Frames, number: int, view: View) -> bytes:
    """Return a small JPEG."""
    return encode(
        fitted(frames.displayed(number, view.window), view.size or (THUMBNAIL, THUMBNAIL), view.part), "image/jpeg", 80
    )


def encode(image: Array, media: str, quality: int) -> bytes:
    """Return a picture as PNG or JPEG."""
    import imagecodecs
    import numpy as np

    image = np.ascontiguousarray(image)
    return bytes(
        imagecodecs.png_encode(image) if media == "image/png" else imagecodecs.jpeg8_encode(image, level=quality)
    )
