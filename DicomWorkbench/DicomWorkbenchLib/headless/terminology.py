"""A small terminology for Segmentations, in place of the files that only the Slicer application brings.

Codes are from SNOMED CT as used in DICOM PS3.16, CID 7150 to 7166 (segmentation property categories and types).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# The file names are fixed in vtkSlicerTerminologiesModuleLogic::LoadDefaultTerminologies and ...RegionContexts.
GENERAL_ANATOMY = "SegmentationCategoryTypeModifier-SlicerGeneralAnatomy"
DICOM_MASTER = "SegmentationCategoryTypeModifier-DICOM-Master"
ANATOMIC_REGIONS = "AnatomicRegionAndModifier-DICOM-Master"
_SCHEMAS = "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/schemas"

# (code, meaning, colour 0-255)
_TISSUES = (("85756007", "Tissue", (128, 174, 128)), ("272673000", "Bone", (241, 214, 145)))
_STRUCTURES = (
    ("10200004", "Liver", (221, 130, 101)),
    ("78961009", "Spleen", (157, 108, 162)),
    ("64033007", "Kidney", (185, 102, 83)),
    ("39607008", "Lung", (197, 165, 145)),
    ("80891009", "Heart", (206, 110, 84)),
    ("12738006", "Brain", (250, 250, 225)),
    ("15825003", "Aorta", (224, 97, 76)),
)
_MORPHOLOGIES = (("4147007", "Mass", (144, 238, 144)), ("108369006", "Neoplasm", (200, 120, 60)))


def write_terminologies(folder: Path) -> None:
    """Write the three files the Terminologies logic asks for into ``folder``."""
    for name in (GENERAL_ANATOMY, DICOM_MASTER):
        _write(folder / f"{name}.term.json", _terminology(name))
    _write(folder / f"{ANATOMIC_REGIONS}.term.json", _regions())


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _code(value: str, meaning: str) -> dict[str, Any]:
    return {"CodeValue": value, "CodingSchemeDesignator": "SCT", "CodeMeaning": meaning}


def _category(value: str, meaning: str, types: tuple[tuple[str, str, tuple[int, int, int]], ...]) -> dict[str, Any]:
    coloured = [_code(code, text) | {"recommendedDisplayRGBValue": list(colour)} for code, text, colour in types]
    return _code(value, meaning) | {"showAnatomy": "false", "Type": coloured}


def _terminology(name: str) -> dict[str, Any]:
    categories = [
        _category("85756007", "Tissue", _TISSUES),
        _category("123037004", "Anatomical Structure", _STRUCTURES),
        _category("49755003", "Morphologically Altered Structure", _MORPHOLOGIES),
    ]
    return {
        "SegmentationCategoryTypeContextName": name.removeprefix("SegmentationCategoryTypeModifier-"),
        "@schema": f"{_SCHEMAS}/segment-context-schema.json#",
        "SegmentationCodes": {"Category": categories},
    }


def _regions() -> dict[str, Any]:
    return {
        "AnatomicContextName": ANATOMIC_REGIONS.removeprefix("AnatomicRegionAndModifier-"),
        "@schema": f"{_SCHEMAS}/anatomic-context-schema.json#",
        "AnatomicCodes": {"AnatomicRegion": [_code(code, meaning) for code, meaning, _ in _STRUCTURES]},
    }
