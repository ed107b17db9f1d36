"""Writes a patient of the liver cohort as zipped folders of slices without suffix, masks and meshes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from DicomWorkbenchLib.samples.ct_series import INTERCEPT, ct_header
from DicomWorkbenchLib.samples.dicom_writer import SeriesOf
from DicomWorkbenchLib.samples.grid import ImageGrid
from DicomWorkbenchLib.samples.liver_patient import FIRST_Z_MM, LiverPatient, OutlineAt
from DicomWorkbenchLib.samples.template import SliceTemplate

_ZIP_DATE = (2024, 1, 15, 10, 15, 0)
_RING_POINTS = 36
# What the Finder of macOS leaves in every folder it has looked into; its first bytes are enough to tell it.
DS_STORE = b"\x00\x00\x00\x01Bud1" + bytes(24)
# What macOS packs beside a file with extended attributes: named like a slice, and none.
APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(58)

Entry = tuple[str, bytes]


def write_zip(path: Path, entries: Iterable[Entry]) -> None:
    """Write an archive whose bytes depend on nothing but its content."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name, _ZIP_DATE)
            info.create_system = 3  # the same on every system
            archive.writestr(info, content, compress_type=zipfile.ZIP_DEFLATED, compresslevel=1)


def scan_entries(patient: LiverPatient, series: SeriesOf) -> Iterator[Entry]:
    """Yield PATIENT_DICOM: the CT as ``image_0``, ``image_1``, ..."""
    folder = "PATIENT_DICOM/" * (2 if patient.plan.doubled else 1)
    stored = np.rint(patient.hounsfield() - INTERCEPT).clip(0, 4095).astype("<i2")
    header = ct_header(series, patient.grid, 0, 1, padded=False)
    del header.SliceLocation
    yield f"{folder}.DS_Store", DS_STORE
    if patient.plan.doubled:
        yield f"__MACOSX/{folder}._image_0", APPLE_DOUBLE
    yield from _slices(folder, header, series, patient.grid, stored, top_first=patient.plan.top_first)


def mask_entries(patient: LiverPatient, series: dict[str, SeriesOf]) -> Iterator[Entry]:
    """Yield MASKS_DICOM: one folder of slices per structure."""
    plan = patient.plan
    yield "MASKS_DICOM/.DS_Store", DS_STORE
    for name, voxels in patient.masks.items():
        header = _capture_header(series[name], patient.grid, with_position=not plan.masks_without_position)
        pixels = voxels.astype(np.uint8) * np.uint8(plan.mask_value)
        top_first = plan.top_first != plan.masks_reversed
        yield from _slices(f"MASKS_DICOM/{name}/", header, series[name], patient.grid, pixels, top_first=top_first)


def labelled_entries(patient: LiverPatient, series: SeriesOf) -> Iterator[Entry]:
    """Yield LABELLED_DICOM: all structures in one picture, 0 to 255."""
    labels = np.zeros(patient.masks["liver"].shape, dtype=np.uint8)
    for n, voxels in enumerate(patient.masks.values(), 1):
        labels[voxels] = round(255 * n / len(patient.masks))
    header = _capture_header(series, patient.grid, with_position=True)
    yield from _slices("LABELLED_DICOM/", header, series, patient.grid, labels, top_first=patient.plan.top_first)


def mesh_entries(patient: LiverPatient) -> Iterator[Entry]:
    """Yield MESHES_VTK: a legacy VTK surface in LPS mm per organ."""
    for name, outline_at in patient.outlines().items():
        yield f"MESHES_VTK/{name}.vtk", _surface(name, patient.grid, outline_at)


def _slices(
    folder: str,
    header: Dataset,
    series: SeriesOf,
    grid: ImageGrid,
    pixels: npt.NDArray[np.generic],
    *,
    top_first: bool,
) -> Iterator[Entry]:
    template = SliceTemplate(header)
    for n in range(grid.slices):
        k = grid.slices - 1 - n if top_first else n
        content = template.filled(series.instance_uid(n + 1), n + 1, grid.position_lps(k), pixels[k].tobytes())
        yield f"{folder}image_{n}", content


def _capture_header(series: SeriesOf, grid: ImageGrid, *, with_position: bool) -> Dataset:
    """Return a Secondary Capture (PS3.3 A.8.1), with Image Plane attributes where asked for."""
    dataset = series.dataset(SecondaryCaptureImageStorage, 1)
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.BodyPartExamined = "ABDOMEN"
    dataset.PatientOrientation = ""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = grid.rows, grid.columns
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    if with_position:
        dataset.FrameOfReferenceUID = series.subject.frame_of_reference_uid
        dataset.PositionReferenceIndicator = ""
        for name, value in grid.plane_elements(0).items():
            if name != "SliceLocation":
                setattr(dataset, name, value)
    return dataset


def _surface(name: str, grid: ImageGrid, outline_at: OutlineAt) -> bytes:
    """Return the skin over an organ's outlines, slice by slice, as triangles."""
    rings = []
    for z in grid.z_mm:
        outline = outline_at(float(z) + FIRST_Z_MM)
        if outline is not None:
            ring = outline.points(_RING_POINTS)
            rings.append(np.column_stack([ring, np.full(_RING_POINTS, z)]))
    points = grid.to_lps(np.vstack(rings)) if rings else np.empty((0, 3))
    lines = [f"{x:.3f} {y:.3f} {z:.3f}" for x, y, z in points]
    corners = [
        triangle
        for ring in range(len(rings) - 1)
        for n in range(_RING_POINTS)
        for triangle in _quad(ring * _RING_POINTS + n, ring * _RING_POINTS + (n + 1) % _RING_POINTS)
    ]
    head = f"# vtk DataFile Version 3.0\n{name}, LPS mm\nASCII\nDATASET POLYDATA\nPOINTS {len(points)} float\n"
    cells = f"\nPOLYGONS {len(corners)} {4 * len(corners)}\n"
    return (head + "\n".join(lines) + cells + "\n".join(corners) + "\n").encode()


def _quad(a: int, b: int) -> tuple[str, str]:
    return f"3 {a} {b} {b + _RING_POINTS}", f"3 {a} {b + _RING_POINTS} {a + _RING_POINTS}"
