"""Sample ``ct-rtstruct``: a CT of the trunk with an RT Structure Set, Plan, Dose and a Segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.outputs import StagedFolder
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress, part_of
from DicomWorkbenchLib.samples import rt_objects
from DicomWorkbenchLib.samples.anatomy import HEIGHT_MM, LESION_Z, Trunk
from DicomWorkbenchLib.samples.ct_image import CtPicture
from DicomWorkbenchLib.samples.ct_series import INTERCEPT, PADDING, write_ct
from DicomWorkbenchLib.samples.dicom_writer import SeriesOf, Subject, save
from DicomWorkbenchLib.samples.grid import ImageGrid, rounded
from DicomWorkbenchLib.samples.outline import Image, paint
from DicomWorkbenchLib.samples.rois import Roi, all_rois, calcification, masks, odd_slice
from DicomWorkbenchLib.samples.segmentation import (
    ABNORMAL,
    ANATOMY,
    LIVER,
    MASS,
    SPLEEN,
    SegmentOf,
    binary_segmentation,
)
from DicomWorkbenchLib.samples.truth import write_truth

FIELD_OF_VIEW_MM = 384.0


def make_ct_rtstruct(
    folder: Path,
    *,
    slices: int = 80,
    size: int = 512,
    seed: int = 1,
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0),
    gantry_tilt_deg: float = 0.0,
    pixel_aspect: float = 1.0,
    dose_bits: int = 16,
    padded: bool = True,
    xor_holes: bool = False,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
) -> dict[str, Any]:
    """Write the sample and return its truth.

    Parameters
    ----------
    folder : appears when everything is written; must not exist.
    slices, size : slices always cover the same 240 mm, so fewer slices lie further apart; size is rows and columns.
    seed : another seed, another person.
    rotation_deg : turns the whole scan about the L, P and S axes: an oblique series.
    gantry_tilt_deg : shifts slices along the columns as a tilted gantry does.
    pixel_aspect : row spacing divided by column spacing; other than 1 gives pixels that are not square.
    dose_bits : 16, or 32 as many planning systems write (dciodvfy and dcentvfy of 2022 stop at it with an assertion).
    padded : write the padding value outside the round field of view.
    xor_holes : one structure's holes are of the kind CLOSEDPLANAR_XOR (dciodvfy of 2022 does not know it and calls it an error).

    Raises
    ------
    SettingsError : too few slices or pixels to hold the anatomy.
    OutputError : the folder exists or cannot be written.
    """
    if slices < 4 or size < 16 or not 0.25 <= pixel_aspect <= 4:
        raise SettingsError("the CT sample needs 4 slices, 16 pixels or more, and a pixel aspect between 0.25 and 4")
    pixel = FIELD_OF_VIEW_MM / size
    rows = round(size / pixel_aspect)
    grid = ImageGrid(
        slices,
        rows,
        size,
        (FIELD_OF_VIEW_MM / rows, pixel),
        HEIGHT_MM / slices,
        center_lps=(-4.6, -172.4, -301.5),
        rotation_deg=rotation_deg,
        gantry_tilt_deg=gantry_tilt_deg,
    )
    sample = _Sample(grid, seed, padded, xor_holes)
    with StagedFolder(folder) as stage:
        images = sample.write_images(stage, part_of(progress, 0, 80), cancel)
        truth = sample.write_objects(stage, images, dose_bits, part_of(progress, 80, 100), cancel)
        write_truth(stage, truth)
    return truth


class _Sample:
    def __init__(self, grid: ImageGrid, seed: int, padded: bool, xor_holes: bool) -> None:
        self.grid, self.seed, self.padded = grid, seed, padded
        self.trunk = Trunk(seed)
        key = f"ct-rtstruct {seed} {grid}"
        self.subject = Subject(key, name="Trunk^Phantom", patient_id="PHANTOM-CT", study_description="CT sample")
        self.picture = CtPicture(grid, self.trunk, seed)
        self.heights = [float(z) for z in grid.z_mm]
        self.rois = all_rois(grid, self.trunk, self.heights, xor_holes=xor_holes)

    def series(self, modality: str, number: int, description: str) -> SeriesOf:
        return SeriesOf(self.subject, modality, number, description)

    def slice_hu(self, k: int) -> Image:
        image = self.picture.hounsfield(k)
        if k == odd_slice(self.grid):
            paint(image, calcification(self.heights[k]), self.grid, 640.0, 1.5 * max(self.grid.pixel_spacing_mm))
        return image

    def write_images(self, stage: Path, progress: Progress, cancel: CancelToken) -> list[Dataset]:
        series = self.series("CT", 2, "Abdomen portal venous")
        return write_ct(
            stage / "ct", series, self.grid, self.slice_hu, padded=self.padded, progress=progress, cancel=cancel
        )

    def write_objects(
        self, stage: Path, images: list[Dataset], dose_bits: int, progress: Progress, cancel: CancelToken
    ) -> dict[str, Any]:
        progress(0, 3, "RT objects")
        structures = rt_objects.structure_set(self.series("RTSTRUCT", 3, "Structures"), images, self.rois, self.grid)
        plan = rt_objects.plan(self.series("RTPLAN", 4, "Plan"), structures)
        dose_grid, center = rt_objects.dose_grid(self.grid), self.lesion_center_lps()
        dose = rt_objects.dose(self.series("RTDOSE", 5, "Dose"), dose_grid, center, plan, dose_bits)
        for name, dataset in (("RS.dcm", structures), ("RP.dcm", plan), ("RD.dcm", dose)):
            cancel.check()
            save(dataset, stage / name)
        progress(1, 3, "segmentation")
        segments = self.segments()
        save(binary_segmentation(self.series("SEG", 6, "Segments"), images, segments), stage / "SEG")
        return self.truth(segments, dose_grid, center)

    def lesion_center_lps(self) -> np.ndarray:
        z = float(np.mean(LESION_Z))
        outline = self.trunk.lesion(z)
        assert outline is not None  # the middle of the lesion's own range
        return self.grid.to_lps([outline.x_mm, outline.y_mm, z])

    def segments(self) -> list[SegmentOf]:
        def voxels(outline_at: Any) -> Any:
            return masks(self.grid, self.heights, outline_at)

        return [
            SegmentOf("Liver", LIVER, ANATOMY, voxels(self.trunk.liver)),
            SegmentOf("Lesion", MASS, ABNORMAL, voxels(self.trunk.lesion)),
            SegmentOf("Spleen", SPLEEN, ANATOMY, voxels(self.trunk.spleen)),
        ]

    def truth(self, segments: list[SegmentOf], dose_grid: ImageGrid, center: np.ndarray) -> dict[str, Any]:
        return {
            "sample": "ct-rtstruct",
            "seed": self.seed,
            "ct": {
                "folder": "ct",
                **self.grid.truth(),
                "rescale_intercept": INTERCEPT,
                "pixel_padding_value": PADDING if self.padded else None,
                "rotation_deg": list(self.grid.rotation_deg),
                "gantry_tilt_deg": self.grid.gantry_tilt_deg,
            },
            "rtstruct": {"file": "RS.dcm", "rois": [self._roi_truth(roi) for roi in self.rois]},
            "rtplan": {"file": "RP.dcm"},
            "rtdose": {
                "file": "RD.dcm",
                **dose_grid.truth(),
                "maximum_gy": 60.0,
                "sigma_mm": 35.0,
                "center_lps_mm": rounded(center),
            },
            "seg": {"file": "SEG", "segments": [self._segment_truth(segment) for segment in segments]},
        }

    def _roi_truth(self, roi: Roi) -> dict[str, Any]:
        truth = roi.truth(self.grid)
        if roi.contours[0].kind == "POINT":
            truth["point_lps_mm"] = rounded(self.grid.to_lps(roi.contours[0].points)[0], 4)
        return truth

    def _segment_truth(self, segment: SegmentOf) -> dict[str, Any]:
        voxel_ml = float(np.prod(self.grid.pixel_spacing_mm)) * self.grid.slice_spacing_mm / 1000
        count = int(segment.voxels.sum())
        slices = np.flatnonzero(segment.voxels.any(axis=(1, 2))).tolist()
        return {"label": segment.label, "voxels": count, "volume_ml": round(count * voxel_ml, 4), "slices": slices}
