"""The measurements as a structured report after TID 1500 (PS3.16), tied to the segments they were measured in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib import __version__
from DicomWorkbenchLib.derived_objects import MANUFACTURER, require_highdicom

from AutoSegmentQueueLib.dicom_objects.codes import coded, kind_of
from AutoSegmentQueueLib.dicom_objects.identity import MODEL, SERIES_NUMBERS, Identity, description
from AutoSegmentQueueLib.dicom_objects.source import DicomSource
from AutoSegmentQueueLib.engines.model import Structure
from AutoSegmentQueueLib.statistics import StructureFigures

if TYPE_CHECKING:
    from pydicom import Dataset

_PROCEDURES = {
    "CT": "CTUnspecifiedBodyRegion",
    "MR": "MRIUnspecifiedBodyRegion",
    "PT": "PETUnspecifiedBodyRegion",
    "NM": "NMUnspecifiedBodyRegion",
}


def write_report(
    path: Path,
    source: DicomSource,
    segmentation: Dataset,
    structures: Sequence[Structure],
    figures: Sequence[StructureFigures],
    identity: Identity,
    units: str,
) -> None:
    """Write volumes, and in HU mean and spread, of every segment as a Comprehensive 3D SR.

    Parameters
    ----------
    segmentation : the object whose segments were measured, in the order of ``structures``.
    units : of the scan's values; others than HU are left out, as their code is not certain.
    """
    hd = require_highdicom("pacs")
    from pydicom.sr.codedict import codes

    by_name = {one.name: one for one in figures}
    items = {int(item.SegmentNumber): item for item in segmentation.SegmentSequence}
    groups = [
        _group(hd, structure, by_name[structure.name], items[number], segmentation, units)
        for number, structure in enumerate(structures, 1)
    ]
    device = hd.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=identity.other("observer"), name=MODEL, manufacturer_name=MANUFACTURER, model_name=__version__
        ),
    )
    modality = str(source.headers[0].get("Modality", "CT"))
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=device),
        procedure_reported=getattr(codes.LN, _PROCEDURES.get(modality, "CTUnspecifiedBodyRegion")),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
        referenced_images=[],
    )
    hd.sr.Comprehensive3DSR(
        evidence=[segmentation, *source.headers],
        content=content[0],
        series_instance_uid=identity.series("SR"),
        series_number=SERIES_NUMBERS["SR"],
        sop_instance_uid=identity.instance("SR"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        series_description=description("Measurements"),
    ).save_as(path)


def _group(
    hd: Any, structure: Structure, one: StructureFigures, item: Dataset, segmentation: Dataset, units: str
) -> Any:
    series = segmentation.ReferencedSeriesSequence[0]
    kind, _ = kind_of(structure)
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=item.TrackingUID, identifier=item.TrackingID),
        referenced_segment=hd.sr.ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=int(item.SegmentNumber),
            source_series=hd.sr.SourceSeriesForSegmentation(series.SeriesInstanceUID),
        ),
        finding_type=coded(hd, kind),
        measurements=_measurements(hd, one, units),
    )


def _measurements(hd: Any, one: StructureFigures, units: str) -> list[Any]:
    from pydicom.sr.codedict import codes

    milliliter = hd.sr.CodedConcept("ml", "UCUM", "Milliliter")
    found = [hd.sr.Measurement(name=codes.SCT.Volume, value=round(one.volume_ml, 6), unit=milliliter)]
    if units == "HU":
        for value, derivation in ((one.mean, codes.SCT.Mean), (one.sd, codes.SCT.StandardDeviation)):
            found.append(
                hd.sr.Measurement(
                    name=codes.DCM.AttenuationCoefficient,
                    value=round(value, 3),
                    unit=codes.UCUM.HounsfieldUnit,
                    derivation=derivation,
                )
            )
    return found
