"""The page a person looks at first: pictures, the table of structures, what to be careful about. One file, offline."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import WorkbenchError
from DicomWorkbenchLib.headless import picture_of_3d, picture_of_slice
from DicomWorkbenchLib.pages import Page
from DicomWorkbenchLib.progress import CancelToken
from DicomWorkbenchLib.windowing import PRESETS

from AutoSegmentQueueLib.engines.model import ImageVolume
from AutoSegmentQueueLib.statistics import StructureFigures

SLICE_SIZE = (480, 480)
MODEL_SIZE = (480, 480)
_VIEWS = ((0.0, "from the front"), (90.0, "from the left"), (180.0, "from behind"))
Picture = tuple[bytes, str]


def take_pictures(
    scan: Any, volume: ImageVolume, figures: Sequence[StructureFigures], cancel: CancelToken
) -> tuple[list[Picture], list[str]]:
    """Take pictures of the scene: three slices through the middle of what was found, and the surfaces.

    Returns
    -------
    The pictures (PNG, caption), and warnings where this machine cannot draw.
    """
    with tempfile.TemporaryDirectory() as folder:
        pictures = []
        try:
            for take, caption in _shots(scan, volume, figures, Path(folder, "picture.png")):
                cancel.check()
                pictures.append((take().read_bytes(), caption))
        except WorkbenchError as error:
            cancel.check()
            return pictures, [f"pictures are missing: {error}"]
        return pictures, []


def _shots(
    scan: Any, volume: ImageVolume, figures: Sequence[StructureFigures], path: Path
) -> Iterator[tuple[Callable[[], Path], str]]:
    center = _center_ras(figures)
    window = (
        PRESETS["soft tissue"] if volume.units == "HU" or volume.modality == "CT" or _looks_like_ct(volume) else None
    )
    for orientation in ("Axial", "Coronal", "Sagittal"):

        def slice_of(orientation: Any = orientation) -> Path:
            return picture_of_slice(
                scan, path, orientation=orientation, center_ras=center, size=SLICE_SIZE, window=window
            )

        yield slice_of, f"{orientation} slice through the middle of the structures"
    for azimuth, said in _VIEWS:

        def model_of(azimuth: float = azimuth) -> Path:
            return picture_of_3d(path, size=MODEL_SIZE, azimuth_deg=azimuth)

        yield model_of, f"The surfaces {said}"


def _center_ras(figures: Sequence[StructureFigures]) -> tuple[float, float, float]:
    total = sum(one.volume_ml for one in figures)
    x, y, z = (sum(one.centroid_lps_mm[axis] * one.volume_ml for one in figures) / total for axis in range(3))
    return (-x, -y, z)


def _looks_like_ct(volume: ImageVolume) -> bool:
    return float(volume.array.min()) < -500


def write_page(
    path: Path,
    name: str,
    facts: Sequence[tuple[str, str]],
    pictures: Sequence[Picture],
    figures: Sequence[StructureFigures],
    warnings: Sequence[str],
    links: Sequence[tuple[str, str]],
    units: str,
) -> None:
    """Write the page."""
    page = Page(
        f"Segmentation of {name}", "Made automatically and not looked at by anybody: check it before you use it."
    )
    page.facts(facts).warnings(list(warnings))
    if pictures:
        page.section("Pictures").images(pictures)
    page.section("Structures")
    unit = f" ({units})" if units else ""
    rows = [
        (one.name.replace("_", " "), one.volume_ml, one.mean, one.sd, ("yes", "warn") if one.touches_edge else "no")
        for one in figures
    ]
    header = ("Structure", "Volume (ml)", f"Mean{unit}", f"SD{unit}", "Reaches the scan's edge")
    page.table(
        header, rows, "A structure that reaches the edge of the scan may be cut off; its volume is then too small."
    )
    page.section("Files").links(links)
    page.write(path)
