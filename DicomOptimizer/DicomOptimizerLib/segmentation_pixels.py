"""Pixels of segmentations: packed bits, resizing by area, the shape between two masks."""

from __future__ import annotations

from typing import Any

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from DicomOptimizerLib.resampling import coverage

Frames = NDArray[Any]  # (frames, rows, columns): 0/1, fractions or labels


def blended(below: Frames, above: Frames, share: float) -> Frames:
    """Return the shape between two masks by signed distances; fractions are mixed instead (their values are no shape)."""
    from scipy.ndimage import distance_transform_edt

    if int(max(below.max(), above.max())) > 1:
        return np.asarray(np.rint((1 - share) * below + share * above), dtype=below.dtype)

    def signed(mask: Frames) -> FloatArray:
        return np.asarray(distance_transform_edt(mask == 0) - distance_transform_edt(mask != 0))

    mixed = ((1 - share) * signed(below) + share * signed(above) < 0).astype(below.dtype)
    return mixed if mixed.any() else (below, above)[round(share)]


def resized(dataset: Dataset, frame: Frames, new: tuple[int, int]) -> Frames:
    """Resize one frame by area: a binary pixel is set where at least half of it was covered, fractions are averaged."""
    share = coverage(frame, new)
    if str(dataset.get("SegmentationType", "")) == "FRACTIONAL":
        return np.asarray(np.rint(share), dtype=frame.dtype)
    return np.asarray(share >= 0.5 - 1e-6, dtype=frame.dtype)


def resized_labels(frame: Frames, new: tuple[int, int]) -> Frames:
    """Resize a label map: every new pixel takes the label that covers most of it."""
    labels = np.unique(frame)
    shares = np.stack([coverage(frame == label, new) for label in labels])
    return np.asarray(labels[np.argmax(shares, axis=0)], dtype=frame.dtype)


def unpack_frames(dataset: Dataset) -> Frames:
    """Decode the frames of a segmentation; one-bit frames follow each other without padding (PS3.5 8.1.1)."""
    count, rows, columns = int(dataset.get("NumberOfFrames", 1)), int(dataset.Rows), int(dataset.Columns)
    if int(dataset.BitsAllocated) == 1 and not dataset.file_meta.TransferSyntaxUID.is_compressed:
        needed = count * rows * columns
        bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), count=needed, bitorder="little")
        return np.asarray(bits.reshape(count, rows, columns))
    from DicomWorkbenchLib.pixels import decode_pixels

    return np.asarray(decode_pixels(dataset))


def pack_frames(dataset: Dataset, frames: Frames) -> None:
    """Put frames back into a segmentation, uncompressed."""
    if int(dataset.BitsAllocated) == 1:
        data = np.packbits(frames.astype(np.uint8).ravel(), bitorder="little").tobytes()
    else:
        data = frames.astype(frames.dtype.newbyteorder("<")).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB" if int(dataset.BitsAllocated) <= 8 else "OW"
    dataset["PixelData"].is_undefined_length = False
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
