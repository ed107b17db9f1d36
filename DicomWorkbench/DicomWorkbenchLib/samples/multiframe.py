"""Sample ``multiframe``: a colour cine in every layout of encapsulated frames, and an enhanced CT."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEGBaseline8Bit,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
)

from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.outputs import StagedFolder
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress, part_of
from DicomWorkbenchLib.samples.anatomy import HEIGHT_MM, Trunk
from DicomWorkbenchLib.samples.ct_image import CtPicture
from DicomWorkbenchLib.samples.dicom_writer import DATE, TIME, SeriesOf, Subject, decimal, item, save
from DicomWorkbenchLib.samples.encapsulate import Layout, Table, rle_frame, set_pixel_data
from DicomWorkbenchLib.samples.enhanced_ct import enhanced_ct, stored_values
from DicomWorkbenchLib.samples.grid import ImageGrid
from DicomWorkbenchLib.samples.truth import write_truth
from DicomWorkbenchLib.samples.ultrasound import DEPTH_MM, FRAMES_PER_BEAT, Heart, Rgb

JPEG_QUALITY = 85
FRAME_TIME_MS = 33.33
CINES: dict[str, Layout] = {
    "us-bot.dcm": Layout(Table.FILLED),
    "us-empty-bot.dcm": Layout(Table.EMPTY),
    "us-eot.dcm": Layout(Table.EXTENDED),
    "us-fragments-bot.dcm": Layout(Table.FILLED, fragments=3),
    "us-fragments-empty-bot.dcm": Layout(Table.EMPTY, fragments=3),
    "us-lying-bot.dcm": Layout(Table.LYING),
    "us-fragments-shifted-bot.dcm": Layout(Table.SHIFTED, fragments=3),
}


def make_multiframe(
    folder: Path,
    *,
    frames: int = 60,
    rows: int = 480,
    columns: int = 640,
    ct_frames: int = 40,
    ct_size: int = 256,
    seed: int = 1,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
) -> dict[str, Any]:
    """Write the sample and return its truth.

    Parameters
    ----------
    folder : appears when everything is written; must not exist.
    frames, rows, columns : of the cine.
    ct_frames, ct_size : of the enhanced CT.
    seed : another seed, other speckle and another person.

    Raises
    ------
    SettingsError : fewer than two frames.
    OutputError : the folder exists or cannot be written.
    """
    if min(frames, ct_frames) < 2:
        raise SettingsError("a multi-frame sample needs two frames or more")
    key = f"multiframe {seed} {frames} {rows} {columns} {ct_frames} {ct_size}"
    subject = Subject(key, "Cine^Phantom", "PHANTOM-MF", study_description="Multi-frame sample")
    heart = Heart(rows, columns, seed)
    with StagedFolder(folder) as stage:
        pictures = _draw(heart, frames, part_of(progress, 0, 60), cancel)
        files = _write_cines(stage, subject, heart, pictures, part_of(progress, 60, 80), cancel)
        files += _write_ct(stage, subject, ct_frames, ct_size, seed, part_of(progress, 80, 100), cancel)
        truth = {"sample": "multiframe", "seed": seed, "files": files}
        write_truth(stage, truth)
    return truth


def _draw(heart: Heart, frames: int, progress: Progress, cancel: CancelToken) -> list[Rgb]:
    pictures: list[Rgb] = []
    for number in range(frames):
        cancel.check()
        progress(number, frames, "cine frames")
        # The heart beats alike, so a frame of a later beat is a copy; a mark at the edge makes each frame its own.
        picture = heart.frame(number) if number < FRAMES_PER_BEAT else pictures[number - FRAMES_PER_BEAT].copy()
        picture[-3:, : heart.shape[1] * number // max(frames, 1)] = 90
        pictures.append(picture)
    return pictures


def _write_cines(
    stage: Path, subject: Subject, heart: Heart, pictures: list[Rgb], progress: Progress, cancel: CancelToken
) -> list[dict[str, Any]]:
    encoded = [_jpeg(picture) for picture in pictures]
    series = SeriesOf(subject, "US", 2, "Apical view")
    files = []
    for number, (name, layout) in enumerate(CINES.items(), 1):
        cancel.check()
        progress(number, len(CINES) + 1, "cine files")
        dataset = _cine(series, heart, number, len(pictures), "YBR_FULL_422")
        ratio = sum(picture.nbytes for picture in pictures) / sum(map(len, encoded))
        dataset.LossyImageCompression, dataset.LossyImageCompressionMethod = "01", "ISO_10918_1"
        dataset.LossyImageCompressionRatio = decimal(round(ratio, 2))
        set_pixel_data(dataset, encoded, layout)
        save(dataset, stage / name, JPEGBaseline8Bit)
        files.append(_truth(name, dataset, layout, encoded))
    some = pictures[: max(len(pictures) // 5, 2)]
    packed = [rle_frame(picture) for picture in some]
    dataset = _cine(series, heart, len(CINES) + 1, len(some), "RGB")
    dataset.LossyImageCompression = "00"
    set_pixel_data(dataset, packed, Layout(Table.FILLED))
    save(dataset, stage / "us-rle.dcm", RLELossless)
    rle_truth = _truth("us-rle.dcm", dataset, Layout(Table.FILLED), packed)
    return [*files, {**rle_truth, "decoded_sha256": [_sha256(picture.tobytes()) for picture in some]}]


def _cine(series: SeriesOf, heart: Heart, number: int, frames: int, photometric: str) -> Dataset:
    """Return a US Multi-frame Image (PS3.3 A.7) without pixels."""
    dataset = series.dataset(UltrasoundMultiFrameImageStorage, number)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "TEE", "0001"]
    dataset.BodyPartExamined = "HEART"
    dataset.ContentDate, dataset.ContentTime = DATE, TIME
    dataset.PatientOrientation = ""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, photometric, 0
    dataset.Rows, dataset.Columns = heart.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.NumberOfFrames = frames
    dataset.FrameIncrementPointer = Tag("FrameTime")
    dataset.FrameTime = decimal(FRAME_TIME_MS)
    dataset.RecommendedDisplayFrameRate = 30
    dataset.BurnedInAnnotation = "NO"
    rows, columns = heart.shape
    dataset.SequenceOfUltrasoundRegions = [
        item(
            RegionSpatialFormat=1,
            RegionDataType=1,
            RegionFlags=2,
            RegionLocationMinX0=0,
            RegionLocationMinY0=0,
            RegionLocationMaxX1=columns - 1,
            RegionLocationMaxY1=rows - 1,
            PhysicalUnitsXDirection=3,
            PhysicalUnitsYDirection=3,
            PhysicalDeltaX=heart.pixel_mm / 10,
            PhysicalDeltaY=heart.pixel_mm / 10,
        )
    ]
    return dataset


def _write_ct(
    stage: Path, subject: Subject, frames: int, size: int, seed: int, progress: Progress, cancel: CancelToken
) -> list[dict[str, Any]]:
    grid = ImageGrid(frames, size, size, (384 / size, 384 / size), HEIGHT_MM / frames, (3.0, -160.0, -250.0))
    picture = CtPicture(grid, Trunk(seed), seed)
    order = _interleaved(frames)
    stored = []
    for n, k in enumerate(order):
        cancel.check()
        progress(n, frames, "CT frames")
        stored.append(stored_values(picture.hounsfield(k)))
    series = SeriesOf(subject, "CT", 3, "Enhanced CT")
    native = enhanced_ct(series, grid, 1, order)
    native.PixelData = np.stack(stored).tobytes()
    native["PixelData"].VR = "OW"
    save(native, stage / "ct-enhanced.dcm", ExplicitVRLittleEndian)
    coded = [bytes(imagecodecs.htj2k_encode(values, reversible=True)) for values in stored]
    packed = enhanced_ct(series, grid, 2, order)
    layout = Layout(Table.FILLED)
    set_pixel_data(packed, coded, layout)
    save(packed, stage / "ct-enhanced-htj2k.dcm", HTJ2KLossless)
    geometry = {"order": order, **grid.truth(), "decoded_sha256": [_sha256(values.tobytes()) for values in stored]}
    plain = [values.tobytes() for values in stored]
    return [
        {**_truth("ct-enhanced.dcm", native, None, plain), **geometry},
        {**_truth("ct-enhanced-htj2k.dcm", packed, layout, coded), **geometry},
    ]


def _interleaved(frames: int) -> list[int]:
    """Return slices as an interleaved acquisition stores them: even ones first. Only positions give the order."""
    return [*range(0, frames, 2), *range(1, frames, 2)]


def _truth(name: str, dataset: Dataset, layout: Layout | None, frames: Sequence[bytes]) -> dict[str, Any]:
    syntax: UID = dataset.file_meta.TransferSyntaxUID
    return {
        "file": name,
        "transfer_syntax_uid": str(syntax),
        "layout": str(layout.table) if layout else "native",
        "fragments_per_frame": layout.fragments if layout else 0,
        "valid": layout.valid if layout else True,
        "frames": len(frames),
        "rows": int(dataset.Rows),
        "columns": int(dataset.Columns),
        "frame_bytes": [len(frame) for frame in frames],
        "frame_sha256": [_sha256(frame) for frame in frames],
        "depth_mm": DEPTH_MM if name.startswith("us-") else None,
    }


def _jpeg(picture: Rgb) -> bytes:
    """Encode as baseline JPEG, YCbCr with half the columns of colour: what YBR_FULL_422 means."""
    return bytes(imagecodecs.jpeg8_encode(picture, level=JPEG_QUALITY, subsampling="422"))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
