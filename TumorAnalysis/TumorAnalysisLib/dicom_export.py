"""Lesions as DICOM: a Segmentation, and a structured report of the measurements (TID 1500) that refers to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from DicomWorkbenchLib import __version__
from DicomWorkbenchLib.derived_objects import MANUFACTURER, require_highdicom, source_header
from DicomWorkbenchLib.uids import new_uid

from TumorAnalysisLib.analysis import PatientResult
from TumorAnalysisLib.lesions import Lesion

if TYPE_CHECKING:
    from pydicom import Dataset

MODEL, SERIAL = "TumorAnalysis", "0"
SEG_SERIES, SR_SERIES = 901, 902  # series numbers; scanners stay below


def write_segmentation_object(path: Path, result: PatientResult) -> Dataset:
    """Write the lesions as one binary Segmentation with a segment each, and return it.

    Parameters
    ----------
    result : of a patient whose CT is DICOM and who has lesions.

    Raises
    ------
    DependencyError : highdicom is not installed.
    """
    hd = require_highdicom("tumors")
    from pydicom.sr.codedict import codes

    source, pixels = _source_and_pixels(result)
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=one.name[:64],
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Mass,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
            tracking_uid=new_uid(),
            tracking_id=one.name,
            anatomic_regions=[codes.SCT.Liver],
        )
        for number, one in enumerate(result.lesions, start=1)
    ]
    segmentation = hd.seg.Segmentation(
        source_images=source,
        pixel_array=pixels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=new_uid(),
        series_number=SEG_SERIES,
        sop_instance_uid=new_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=__version__,
        device_serial_number=SERIAL,
        series_description="Liver lesions",
        content_label="LIVER_LESIONS",
    )
    segmentation.save_as(path)
    return segmentation  # type: ignore[no-any-return]


def write_report(path: Path, result: PatientResult, segmentation: Dataset) -> None:
    """Write the measurements of every lesion as a Comprehensive 3D SR after TID 1500 (PS3.16), tied to its segment."""
    hd = require_highdicom("tumors")
    from pydicom.sr.codedict import codes

    groups = [
        _group(hd, codes, one, item, segmentation)
        for one, item in zip(result.lesions, segmentation.SegmentSequence, strict=True)
    ]
    device = hd.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=new_uid(), name=MODEL, manufacturer_name=MANUFACTURER, model_name=__version__
        ),
    )
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=device),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
        referenced_images=[],
    )
    source = [source_header(file) for file in result.data.ct_files]
    hd.sr.Comprehensive3DSR(
        evidence=[segmentation, *source],
        content=content[0],
        series_instance_uid=new_uid(),
        series_number=SR_SERIES,
        sop_instance_uid=new_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        series_description="Liver lesion measurements",
    ).save_as(path)


def _group(hd: Any, codes: Any, one: Lesion, item: Dataset, segmentation: Dataset) -> Any:
    series = segmentation.ReferencedSeriesSequence[0]
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=item.TrackingUID, identifier=item.TrackingID),
        referenced_segment=hd.sr.ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=int(item.SegmentNumber),
            source_series=hd.sr.SourceSeriesForSegmentation(series.SeriesInstanceUID),
        ),
        finding_type=codes.SCT.Mass,
        finding_sites=[hd.sr.FindingSite(anatomic_location=codes.SCT.Liver)],
        measurements=_measurements(hd, codes, one),
    )


def _measurements(hd: Any, codes: Any, one: Lesion) -> list[Any]:
    ucum, milliliter = codes.UCUM, hd.sr.CodedConcept("ml", "UCUM", "Milliliter")
    found = [
        hd.sr.Measurement(name=codes.SCT.Volume, value=round(one.volume_ml, 6), unit=milliliter),
        hd.sr.Measurement(name=codes.SCT.LongAxis, value=round(one.axial.longest_mm, 4), unit=ucum.Millimeter),
        hd.sr.Measurement(name=codes.SCT.ShortAxis, value=round(one.axial.short_mm, 4), unit=ucum.Millimeter),
    ]
    if one.hu is not None:
        attenuation = codes.DCM.AttenuationCoefficient
        for value, derivation in ((one.hu.mean, codes.SCT.Mean), (one.hu.sd, codes.SCT.StandardDeviation)):
            found.append(
                hd.sr.Measurement(
                    name=attenuation, value=round(value, 3), unit=ucum.HounsfieldUnit, derivation=derivation
                )
            )
    return found


def _source_and_pixels(result: PatientResult) -> tuple[list[Dataset], Any]:
    """Return the CT headers of the slices that hold lesions, and the masks on them (slice, row, column, lesion)."""
    low = min(one.mask.start_kji[0] for one in result.lesions)
    high = max(one.mask.stop_kji[0] for one in result.lesions)
    _, rows, columns = result.data.grid.shape_kji
    shape = (high - low, rows, columns)
    pixels = np.stack([one.mask.within((low, 0, 0), shape) for one in result.lesions], axis=-1).astype(np.uint8)
    return [source_header(file) for file in result.data.ct_files[low:high]], pixels
