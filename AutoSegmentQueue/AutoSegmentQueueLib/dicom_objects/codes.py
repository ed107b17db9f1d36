"""Coded terms of structures (PS3.16), for engines and models that bring none; and colours as DICOM wants them."""

from __future__ import annotations

from typing import Any

from AutoSegmentQueueLib.engines.model import Code, Color, Structure

RIGHT, LEFT = Code("SCT", "24028007", "Right"), Code("SCT", "7771000", "Left")
# SNOMED CT codes of common structures by the names that segmentation tools use, without the side.
COMMON = {
    "adrenal_gland": Code("SCT", "23451007", "Adrenal gland"),
    "aorta": Code("SCT", "15825003", "Aorta"),
    "bone": Code("SCT", "272673000", "Bone"),
    "brain": Code("SCT", "12738006", "Brain"),
    "colon": Code("SCT", "71854001", "Colon"),
    "duodenum": Code("SCT", "38848004", "Duodenum"),
    "esophagus": Code("SCT", "32849002", "Esophagus"),
    "gallbladder": Code("SCT", "28231008", "Gallbladder"),
    "heart": Code("SCT", "80891009", "Heart"),
    "inferior_vena_cava": Code("SCT", "64131007", "Inferior vena cava"),
    "kidney": Code("SCT", "64033007", "Kidney"),
    "liver": Code("SCT", "10200004", "Liver"),
    "lung": Code("SCT", "39607008", "Lung"),
    "lungs": Code("SCT", "39607008", "Lung"),
    "pancreas": Code("SCT", "15776009", "Pancreas"),
    "prostate": Code("SCT", "41216001", "Prostate"),
    "small_bowel": Code("SCT", "30315005", "Small intestine"),
    "spleen": Code("SCT", "78961009", "Spleen"),
    "stomach": Code("SCT", "69695003", "Stomach"),
    "thyroid_gland": Code("SCT", "69748006", "Thyroid gland"),
    "trachea": Code("SCT", "44567001", "Trachea"),
    "urinary_bladder": Code("SCT", "89837001", "Urinary bladder"),
}
_OWN_SCHEME = "99DICOMWORKBENCH"


def kind_of(structure: Structure) -> tuple[Code, Code | None]:
    """Return what a structure is and its modifier: as the engine says, else by its name, else in a scheme of our own."""
    if structure.kind is not None and structure.kind.scheme != _OWN_SCHEME:
        return structure.kind, structure.modifier
    name = structure.name.lower()
    side = RIGHT if name.endswith("_right") else LEFT if name.endswith("_left") else None
    bare = name.removesuffix("_right").removesuffix("_left")
    if bare in COMMON:
        return COMMON[bare], side
    own = structure.kind or Code(_OWN_SCHEME, name[:16], structure.name.replace("_", " ").capitalize())
    return Code(own.scheme[:16], own.value[:16], own.meaning[:64]), structure.modifier


def coded(hd: Any, code: Code) -> Any:
    """Return a code as highdicom takes it."""
    return hd.sr.CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning[:64])


def cielab(hd: Any, color: Color) -> Any:
    """Return an sRGB colour as CIELab (PS3.3 C.10.7.1.1)."""
    return hd.color.CIELabColor.from_rgb(*(round(255 * part) for part in color))


def rgb(color: Color) -> list[int]:
    """Return an sRGB colour as three numbers from 0 to 255."""
    return [round(255 * part) for part in color]
