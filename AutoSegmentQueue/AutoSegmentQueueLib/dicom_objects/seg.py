"""The label map as a DICOM Segmentation (PS3.3 A.51), a segment for each structure, on the planes of the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from DicomWorkbenchLib import __version__
from DicomWorkbenchLib.decimals import decimal_string
from DicomWorkbenchLib.derived_objects import MANUFACTURER, require_highdicom
from DicomWorkbenchLib.errors import InputError
from DicomWorkbenchLib.geometry import spacing_of
from numpy.typing import NDArray

from AutoSegmentQueueLib.dicom_objects.codes import cielab, coded, kind_of
from AutoSegmentQueueLib.dicom_objects.identity import (
    CONTENT_CREATOR,
    MODEL,
    SERIAL,
    SERIES_NUMBERS,
    Identity,
    description,
    label_of,
)
from AutoSegmentQueueLib.dicom_objects.read_back import group_of
from AutoSegmentQueueLib.dicom_objects.source import DicomSource
from AutoSegmentQueueLib.engines.model import Segmented, Structure

if TYPE_CHECKING:
    from pydicom import Dataset

LEARNED = ("totalsegmentator", "nnunet", "monai")  # engines that are trained, by a part of their names


def write_segmentation(
    path: Path, source: DicomSource, segmented: Segmented, identity: Identity, *, labelmap: bool = False
) -> Dataset:
    """Write the object and return it.

    Parameters
    ----------
    source : the images; they say where each plane lies.
    labelmap : write the newer LABELMAP type, which is smaller and which fewer archives take, instead of BINARY.

    Raises
    ------
    InputError : LABELMAP cannot hold structures that overlap.
    DependencyError : highdicom is not installed.
    """
    hd = require_highdicom("pacs")
    structures = segmented.structures
    if labelmap and overlaps(structures):
        raise InputError("a LABELMAP segmentation cannot hold structures that overlap; BINARY can")
    planes = np.flatnonzero(np.isin(segmented.labelmap, _labels(structures)).any(axis=(1, 2)))
    made = hd.seg.Segmentation(
        source_images=source.headers,
        pixel_array=_pixels(segmented, planes),
        segmentation_type="LABELMAP" if labelmap else "BINARY",
        segment_descriptions=_descriptions(hd, segmented, identity),
        series_instance_uid=identity.series("SEG"),
        series_number=SERIES_NUMBERS["SEG"],
        sop_instance_uid=identity.instance("SEG", "labelmap" if labelmap else ""),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=__version__,
        device_serial_number=SERIAL,
        content_label="SEGMENTATION",
        content_creator_name=CONTENT_CREATOR,
        content_description="Automatic segmentation",
        series_description=description("Segmentation"),
        pixel_measures=_measures(hd, source),
        plane_orientation=hd.PlaneOrientationSequence("PATIENT", _orientation(source)),
        plane_positions=[hd.PlanePositionSequence("PATIENT", _point(source.origins_lps[k])) for k in planes],
    )
    for item in made.DimensionOrganizationSequence:
        item.DimensionOrganizationUID = identity.other("dimensions")
    for item in made.DimensionIndexSequence:
        item.DimensionOrganizationUID = identity.other("dimensions")
    _refer_to_sources(made, source)
    made.save_as(path)
    return made  # type: ignore[no-any-return]


def overlaps(structures: Sequence[Structure]) -> bool:
    """True if a voxel may belong to more than one structure."""
    labels = _labels(structures)
    return len(labels) > len(set(labels))


def _labels(structures: Sequence[Structure]) -> list[int]:
    return [label for structure in structures for label in structure.labels]


def _pixels(segmented: Segmented, planes: NDArray[np.intp]) -> NDArray[Any]:
    """Return segment numbers (k, j, i), or booleans (k, j, i, segment) where structures overlap."""
    structures, labels = segmented.structures, segmented.labelmap[planes]
    if overlaps(structures):
        return np.stack([structure.mask(labels) for structure in structures], axis=-1).astype(np.uint8)
    table = np.zeros(int(segmented.labelmap.max()) + 1, np.uint8 if len(structures) < 256 else np.uint16)
    for number, structure in enumerate(structures, 1):
        table[[label for label in structure.labels if label < len(table)]] = number
    return table[labels]


def _descriptions(hd: Any, segmented: Segmented, identity: Identity) -> list[Any]:
    from pydicom.sr.codedict import codes

    version = segmented.version
    name = version.get("name", "engine")
    is_learned = any(part in name.lower() for part in LEARNED)
    algorithm = hd.AlgorithmIdentificationSequence(
        name=name[:64],
        version=(version.get("version") or "unknown")[:64],
        family=codes.DCM.ArtificialIntelligence if is_learned else codes.DCM.MorphologicalOperations,
        source=MANUFACTURER,
        parameters={key: str(value) for key, value in version.items() if key not in ("name", "version")},
    )
    return [_description(hd, algorithm, n, one, identity) for n, one in enumerate(segmented.structures, 1)]


def _description(hd: Any, algorithm: Any, number: int, structure: Structure, identity: Identity) -> Any:
    kind, modifier = kind_of(structure)
    made = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label_of(structure.name),
        segmented_property_category=coded(hd, structure.category),
        segmented_property_type=coded(hd, kind),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        tracking_uid=identity.tracking(structure.name),
        tracking_id=structure.name,
        display_color=cielab(hd, structure.color),
    )
    if modifier:
        made.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [coded(hd, modifier)]
    return made


def _measures(hd: Any, source: DicomSource) -> Any:
    column_mm, row_mm, _ = spacing_of(source.matrix_lps)
    slab = float(np.median(source.slab_mm))
    return hd.PixelMeasuresSequence(
        pixel_spacing=[float(decimal_string(row_mm)), float(decimal_string(column_mm))],
        slice_thickness=float(decimal_string(source.thickness_mm)),
        spacing_between_slices=float(decimal_string(slab)) if source.is_even else None,
    )


def _orientation(source: DicomSource) -> list[float]:
    axes = source.matrix_lps[:3, :2] / np.linalg.norm(source.matrix_lps[:3, :2], axis=0)
    return [float(decimal_string(value)) for value in axes.T.ravel()]


def _point(values: NDArray[np.float64]) -> list[float]:
    return [float(decimal_string(value)) for value in values.tolist()]


def _refer_to_sources(made: Dataset, source: DicomSource) -> None:
    """Let every frame name the image it was made from; the planes are the same, so its position says which."""
    from pydicom import Dataset as Item
    from pydicom.sr.codedict import codes

    heights, normal = source.heights_mm, source.normal_lps
    native = "YES" if source.is_native else "NO"
    shared = made.SharedFunctionalGroupsSequence[0]
    if "DerivationImageSequence" in shared:
        del shared.DerivationImageSequence
    for frame in made.PerFrameFunctionalGroupsSequence:
        place = group_of(frame, shared, "PlanePosition")
        height = float(np.asarray(place.ImagePositionPatient, float) @ normal)
        header, number = source.header_of(int(np.abs(heights - height).argmin()))
        image = Item()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
        if number:
            image.ReferencedFrameNumber = number
        image.SpatialLocationsPreserved = native
        image.PurposeOfReferenceCodeSequence = [_item(codes.DCM.SourceImageForImageProcessingOperation)]
        derivation = Item()
        derivation.DerivationCodeSequence = [_item(codes.DCM.Segmentation)]
        derivation.SourceImageSequence = [image]
        frame.DerivationImageSequence = [derivation]


def _item(code: Any) -> Dataset:
    from pydicom import Dataset as Item

    made = Item()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return made
