"""Patients in a folder of DICOM: CT series with the segmentations (SEG) and structure sets (RTSTRUCT) that refer to them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from DicomWorkbenchLib.errors import FileError, GeometryError, InputError
from DicomWorkbenchLib.headers import quiet_pydicom, read_dataset
from DicomWorkbenchLib.pixels import decode_pixels
from DicomWorkbenchLib.progress import CancelToken, Progress, part_of
from DicomWorkbenchLib.series import LinkedObject, Series

from TumorAnalysisLib.audit import MaskSlice, ReferenceSlices, place
from TumorAnalysisLib.grid import Grid
from TumorAnalysisLib.masks import EMPTY, crop
from TumorAnalysisLib.patient import PatientData, Structure
from TumorAnalysisLib.rasterise import mask_of_contours
from TumorAnalysisLib.read_ct import ct_of

if TYPE_CHECKING:
    from pydicom import Dataset

MASK_MODALITIES = ("SEG", "RTSTRUCT")


def has_masks(series: Series) -> bool:
    """True for a volume that a SEG or RTSTRUCT refers to."""
    return series.is_volume and any(one.modality in MASK_MODALITIES for one in series.linked)


def read_series(series: Series, patient_id: str, *, jobs: int, progress: Progress, cancel: CancelToken) -> PatientData:
    """Read one series and every structure drawn on it."""
    ct = ct_of(series, jobs=jobs, progress=part_of(progress, 0, 70), cancel=cancel)
    structures: list[Structure] = []
    for linked in series.linked:
        cancel.check()
        if linked.modality in MASK_MODALITIES:
            structures += read_object(linked, ct.reference)
    progress(100, 100, "reading masks")
    return PatientData(
        patient_id,
        ct.image,
        ct.grid,
        tuple(_numbered(structures)),
        ct.slice_thickness_mm,
        ct.metadata,
        ct.notes,
        (),
        ct.files,
    )


def read_object(linked: LinkedObject, reference: ReferenceSlices) -> list[Structure]:
    """Read the segments of a SEG or the regions of an RTSTRUCT; one that cannot be used comes with the reason."""
    try:
        dataset = read_dataset(linked.path)
        with quiet_pydicom("an attribute is missing or broken without which the object cannot be understood"):
            return _segments(dataset, reference) if linked.modality == "SEG" else _regions(dataset, reference.grid)
    except InputError as error:
        return [Structure(linked.modality, EMPTY, refused=f"{linked.origin}: {error}")]


def _regions(dataset: Dataset, grid: Grid) -> list[Structure]:
    names = {int(r.ROINumber): str(r.get("ROIName", "")) for r in dataset.get("StructureSetROISequence", [])}
    found = []
    for region in dataset.get("ROIContourSequence", []):
        name = names.get(int(region.ReferencedROINumber), "") or f"region {region.ReferencedROINumber}"
        items = region.get("ContourSequence") or []
        closed = [c for c in items if str(c.get("ContourGeometricType", "")).startswith("CLOSED")]
        other = len(items) - len(closed)
        notes = (f"{other} points or open contours have no inside and are left out",) if other else ()
        try:
            points = [np.array(c.ContourData, dtype=np.float64).reshape(-1, 3) for c in closed]
            mask = mask_of_contours(points, grid)
        except (GeometryError, ValueError) as error:
            found.append(Structure(name, EMPTY, refused=str(error)))
            continue
        found.append(Structure(name, mask, notes=notes + (("the mask is empty",) if mask.empty else ())))
    return found


def _segments(dataset: Dataset, reference: ReferenceSlices) -> list[Structure]:
    if str(dataset.get("SegmentationType", "BINARY")) not in ("BINARY", "LABELMAP"):
        raise FileError("a fractional segmentation has no sharp border; convert it to a binary one")
    frames = decode_pixels(dataset)
    shared = dataset.get("SharedFunctionalGroupsSequence", [None])[0]
    by_segment: dict[int, list[tuple[MaskSlice, Any]]] = defaultdict(list)
    labels = str(dataset.get("SegmentationType")) == "LABELMAP"
    for number, groups in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        head = _frame_geometry(dataset, shared, groups)
        if labels:
            for segment in np.unique(frames[number][frames[number] > 0]):
                by_segment[int(segment)].append((head, frames[number] == segment))
        else:
            segment = int(_group("SegmentIdentificationSequence", groups, shared).ReferencedSegmentNumber)
            by_segment[segment].append((head, frames[number] > 0))
    return [
        _segment(
            str(item.get("SegmentLabel", "")) or f"segment {item.SegmentNumber}",
            by_segment[int(item.SegmentNumber)],
            reference,
        )
        for item in dataset.SegmentSequence
    ]


def _segment(name: str, frames: list[tuple[MaskSlice, Any]], reference: ReferenceSlices) -> Structure:
    # Empty frames are usually left out of a SEG: a missing frame is an empty slice there, no gap.
    if not frames:
        return Structure(name, EMPTY, notes=("the mask is empty",))
    try:
        placement = place([head for head, _ in frames], reference)
    except GeometryError as error:
        return Structure(name, EMPTY, refused=str(error))
    low, high = int(placement.slices_k.min()), int(placement.slices_k.max())
    voxels = np.zeros((high - low + 1, *reference.grid.shape_kji[1:]), dtype=np.bool_)
    for k, (_, pixels) in zip(placement.slices_k, frames, strict=True):
        voxels[int(k) - low] = pixels
    mask = crop(voxels, (low, 0, 0))
    return Structure(name, mask, notes=("the mask is empty",) if mask.empty else ())


def _group(keyword: str, *places: Dataset | None) -> Any:
    """Return a functional group of a frame: its own, else the one all frames share."""
    return next((place[keyword].value[0] for place in places if place is not None and place.get(keyword)), {})


def _frame_geometry(dataset: Dataset, shared: Dataset | None, groups: Dataset) -> MaskSlice:
    return MaskSlice(
        "",
        (int(dataset.Rows), int(dataset.Columns)),
        _numbers(_group("PlanePositionSequence", groups, shared).get("ImagePositionPatient")),
        _numbers(_group("PlaneOrientationSequence", groups, shared).get("ImageOrientationPatient")),
        _numbers(_group("PixelMeasuresSequence", groups, shared).get("PixelSpacing")),
        None,
    )


def _numbers(value: Any) -> tuple[float, ...] | None:
    return None if value is None else tuple(float(v) for v in value)


def _numbered(structures: list[Structure]) -> list[Structure]:
    counts: dict[str, int] = {}
    out = []
    for one in structures:
        counts[one.name] = counts.get(one.name, 0) + 1
        name = one.name if counts[one.name] == 1 else f"{one.name} ({counts[one.name]})"
        out.append(Structure(name, one.mask, one.refused, one.notes, one.one_lesion))
    return out
