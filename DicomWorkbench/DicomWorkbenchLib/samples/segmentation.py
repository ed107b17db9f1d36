"""A DICOM Segmentation of a sample's regions, written through highdicom and made repeatable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom.content import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentDescription
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset

from DicomWorkbenchLib import __version__
from DicomWorkbenchLib.samples.dicom_writer import DATE, TIME, SeriesOf, uid_of


@dataclass(frozen=True)
class SegmentOf:
    """A segment: its label, what it is (code value and meaning in SCT, category) and its voxels (k, j, i)."""

    label: str
    property_code: tuple[str, str]
    category_code: tuple[str, str]
    voxels: npt.NDArray[np.bool_]


def binary_segmentation(series: SeriesOf, images: list[Dataset], segments: list[SegmentOf]) -> Dataset:
    """Return a BINARY Segmentation (PS3.3 A.51) of a series.

    Parameters
    ----------
    images : headers of the slices, without pixels, in the order of the voxels' first axis.
    """
    algorithm = AlgorithmIdentificationSequence(
        name="DicomWorkbench phantom", version=__version__, family=CodedConcept("123109", "DCM", "Manual Processing")
    )
    descriptions = [
        SegmentDescription(
            segment_number=number,
            segment_label=segment.label,
            segmented_property_category=CodedConcept(segment.category_code[0], "SCT", segment.category_code[1]),
            segmented_property_type=CodedConcept(segment.property_code[0], "SCT", segment.property_code[1]),
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
        )
        for number, segment in enumerate(segments, 1)
    ]
    dataset = Segmentation(
        source_images=images,
        pixel_array=np.stack([segment.voxels for segment in segments], axis=-1).astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=descriptions,
        series_instance_uid=series.uid,
        series_number=series.number,
        sop_instance_uid=series.instance_uid(1),
        instance_number=1,
        manufacturer="DicomWorkbench",
        manufacturer_model_name=series.model,
        software_versions=__version__,
        device_serial_number="1",
        content_label="SAMPLE",
        series_description=series.description,
    )
    return _repeatable(dataset, series)


def _repeatable(dataset: Dataset, series: SeriesOf) -> Dataset:
    """Put fixed dates and UIDs where highdicom asks the clock and a random source."""
    dimension = uid_of(series.uid, "dimension organization")
    for element in dataset.iterall():
        if element.keyword == "DimensionOrganizationUID":
            element.value = dimension
        elif element.keyword in ("ContentDate", "InstanceCreationDate", "SeriesDate"):
            element.value = DATE
        elif element.keyword in ("ContentTime", "InstanceCreationTime", "SeriesTime"):
            element.value = TIME
        elif element.keyword == "ContributionDateTime":
            element.value = DATE + TIME
    return dataset


ANATOMY = ("123037004", "Anatomical Structure")
ABNORMAL = ("49755003", "Morphologically Altered Structure")
LIVER, MASS, SPLEEN = ("10200004", "Liver"), ("4147007", "Mass"), ("78961009", "Spleen")
