"""Stored pixel values of any DICOM image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from DicomWorkbenchLib.errors import PixelDataError
from DicomWorkbenchLib.headers import quiet_pydicom, read_dataset

if TYPE_CHECKING:
    from pydicom import Dataset

PixelArray = NDArray[Any]


def decode_pixels(image: Dataset | Path) -> PixelArray:
    """Return the stored values of an image, frames first: (frames, rows, columns) or (frames, rows, columns, 3)."""
    dataset = read_dataset(image) if isinstance(image, Path) else image
    try:
        with quiet_pydicom():
            array = dataset.pixel_array
    except (ValueError, AttributeError, RuntimeError, NotImplementedError) as error:
        raise PixelDataError(
            f"{image if isinstance(image, Path) else 'the image'} cannot be decoded: {error}"
        ) from error
    return array if int(dataset.get("NumberOfFrames") or 1) > 1 else array[np.newaxis]
