"""The files of one patient: segmentation, pictures, and on request the CT, a DICOM Segmentation and a structured report."""

from __future__ import annotations

from pathlib import Path

from TumorAnalysisLib.analysis import PatientResult
from TumorAnalysisLib.masks import Mask
from TumorAnalysisLib.montage import montage
from TumorAnalysisLib.nrrd import Colour, Segment, write_segmentation, write_volume
from TumorAnalysisLib.page import PatientPictures
from TumorAnalysisLib.patient import Role
from TumorAnalysisLib.settings import TumorSettings
from TumorAnalysisLib.surface_picture import Body, picture_of

LIVER_COLOUR: Colour = (0.87, 0.51, 0.40)  # Slicer's generic anatomy colours: liver, mass
REVIEW_COLOUR: Colour = (0.55, 0.55, 0.60)
OTHER_COLOUR: Colour = (0.56, 0.72, 0.55)
LESION_COLOURS: tuple[Colour, ...] = (
    (0.90, 0.85, 0.10), (0.85, 0.25, 0.20), (0.20, 0.60, 0.85), (0.65, 0.30, 0.75), (0.20, 0.70, 0.40), (0.95, 0.55, 0.15),
)  # fmt: skip
# Category, type of each role in the terminology "Segmentation category and type - 3D Slicer General Anatomy list" (DICOM SCT codes).
_TERMS = {
    Role.ORGAN: ("SCT^123037004^Anatomical Structure", "SCT^10200004^Liver"),
    Role.LESION: ("SCT^49755003^Morphologically Altered Structure", "SCT^4147007^Mass"),
    Role.REVIEW: ("SCT^49755003^Morphologically Altered Structure", "SCT^4147007^Mass"),
    Role.OTHER: ("SCT^85756007^Tissue", "SCT^85756007^Tissue"),
}
_TERMINOLOGY = "Segmentation category and type - 3D Slicer General Anatomy list"


def write_patient(folder: Path, result: PatientResult, settings: TumorSettings) -> PatientPictures:
    """Write what belongs to one patient into its folder and return the pictures for the page."""
    folder.mkdir(parents=True)
    name = folder.name
    write_segmentation(folder / f"{name}.seg.nrrd", segments_of(result), result.data.grid)
    if settings.volumes:
        write_volume(folder / "ct.nrrd", result.data.image, result.data.grid)
    said = _write_dicom(folder, result, settings) if settings.dicom_seg or settings.dicom_sr else ()
    if not settings.pictures or settings.list_only:
        return PatientPictures(result.data.id, None, None, said)
    pictures = PatientPictures(result.data.id, surface_picture(result), montage(result), said)
    for kind, png in (("3d", pictures.surface), ("lesions", pictures.montage)):
        if png:
            (folder / f"{name}_{kind}.png").write_bytes(png)
    return pictures


def segments_of(result: PatientResult) -> list[Segment]:
    """List the segments: the organ, one per lesion, what is for review, and the other structures."""
    found = (
        []
        if result.organ.empty
        else [
            _segment(
                "liver" if not _organ_name(result) else _organ_name(result), result.organ, LIVER_COLOUR, Role.ORGAN
            )
        ]
    )
    for number, lesion in enumerate(result.lesions):
        found.append(_segment(lesion.name, lesion.mask, LESION_COLOURS[number % len(LESION_COLOURS)], Role.LESION))
    for role, colour in ((Role.REVIEW, REVIEW_COLOUR), (Role.OTHER, OTHER_COLOUR)):
        others = [one.structure for one in result.structures if one.role is role and not one.structure.mask.empty]
        found += [_segment(one.name, one.mask, colour, role) for one in others]
    return found


def surface_picture(result: PatientResult) -> bytes | None:
    """Draw liver and lesions; None without either."""
    bodies = [Body(result.organ, LIVER_COLOUR, 0.38)]
    bodies += [Body(one.mask, LESION_COLOURS[n % len(LESION_COLOURS)]) for n, one in enumerate(result.lesions)]
    return picture_of(bodies, result.data.grid)


def _organ_name(result: PatientResult) -> str:
    return next((one.structure.name for one in result.structures if one.role is Role.ORGAN), "")


def _segment(name: str, mask: Mask, colour: Colour, role: Role) -> Segment:
    category, kind = _TERMS[role]
    entry = f"{_TERMINOLOGY}~{category}~{kind}~^^~Anatomic codes - DICOM master list~^^~^^"
    return Segment(name, mask, colour, {"TerminologyEntry": entry, "TumorAnalysis.Role": role.value})


def _write_dicom(folder: Path, result: PatientResult, settings: TumorSettings) -> tuple[str, ...]:
    from TumorAnalysisLib.dicom_export import write_report, write_segmentation_object

    if not result.lesions:
        return ()
    if not result.data.ct_files:
        return ("no DICOM Segmentation or structured report: the CT is no DICOM",)
    try:
        segmentation = write_segmentation_object(folder / f"{folder.name}_seg.dcm", result)
        if settings.dicom_sr:
            write_report(folder / f"{folder.name}_sr.dcm", result, segmentation)
    except (
        ValueError,
        AttributeError,
        TypeError,
        KeyError,
    ) as error:  # how highdicom refuses headers it cannot build on
        return (f"no DICOM Segmentation or structured report: the CT headers do not allow it ({error})",)
    return ()
