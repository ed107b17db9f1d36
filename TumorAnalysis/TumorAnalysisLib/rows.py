"""Rows of the tables and of report.json: plain numbers and text, the unit at the end of each name."""

from __future__ import annotations

from typing import Any

from TumorAnalysisLib.analysis import PatientResult
from TumorAnalysisLib.intensity import Intensity
from TumorAnalysisLib.lesions import Lesion
from TumorAnalysisLib.recist import smallest_measurable_mm
from TumorAnalysisLib.roles import JudgedStructure

OK, FAILED, DUPLICATE = "ok", "failed", "duplicate"
_SPREAD = ("mean", "sd", "median", "p5", "p25", "p75", "p95")


def patient_row(result: PatientResult) -> dict[str, Any]:
    """Return the line of a patient."""
    data, load = result.data, result.burden
    longest = max((one.axial.longest_mm for one in result.lesions), default=None)
    return {
        "id": data.id,
        "status": OK,
        "sex": data.metadata.get("sex", ""),
        "slices": data.grid.shape_kji[0],
        "pixel_mm": data.grid.spacing_ijk_mm[0],
        "slice_spacing_mm": data.grid.spacing_ijk_mm[2],
        "slice_thickness_mm": data.slice_thickness_mm,
        "tumor_count": len(result.lesions),
        "tumor_count_components": None,  # filled by the job, which knows the connectivity
        "tumor_count_components_26": result.count_26,
        "tumor_count_components_6": result.count_6,
        "tumor_volume_ml": load.tumor_ml,
        "largest_tumor_ml": max((one.volume_ml for one in result.lesions), default=0.0),
        "longest_diameter_mm": longest,
        "liver_volume_ml": load.organ_ml or None,
        "burden": load.over_union,
        "burden_tumor_over_union": load.over_union,
        "burden_tumor_over_liver_mask": load.over_organ_mask,
        "burden_tumor_over_parenchyma": load.over_parenchyma,
        "tumor_in_liver_mask": load.tumor_in_organ,
        "recist_targets": len(result.targets),
        "recist_sum_of_longest_diameters_mm": result.sum_of_longest_diameters_mm,
        "recist_measurable_from_mm": smallest_measurable_mm(data.slice_thickness_mm),
        **_spread("parenchyma", result.parenchyma),
        **_spread("tumor", result.tumor),
        "structures_found": len(result.structures),
        "warning_count": len(result.warnings),
        "reason": "",
    }


def unread_row(patient_id: str, status: str, reason: str) -> dict[str, Any]:
    """Return the line of a patient that could not be read or is a copy of another one."""
    return {"id": patient_id, "status": status, "reason": reason}


def lesion_row(patient_id: str, one: Lesion, *, target: bool | None = None) -> dict[str, Any]:
    """Return the line of a lesion."""
    axial = one.axial
    row: dict[str, Any] = {
        "patient": patient_id,
        "name": one.name,
        "volume_ml": one.volume_ml,
        "voxels": one.voxels,
        "equivalent_diameter_mm": one.equivalent_diameter_mm,
        "longest_diameter_mm": axial.longest_mm,
        "longest_diameter_lower_mm": axial.longest_bounds_mm[0],
        "longest_diameter_upper_mm": axial.longest_bounds_mm[1],
        "short_axis_mm": axial.short_mm,
        "short_axis_lower_mm": axial.short_bounds_mm[0],
        "short_axis_upper_mm": axial.short_bounds_mm[1],
        "diameter_slice": axial.slice_k + 1,
        "who_product_mm2": axial.who_product_mm2,
        "recist_measurable": one.measurable,
        "recist_target": target,
        "feret_mm": one.feret_mm,
        "surface_area_mm2": one.surface_area_mm2,
        "sphericity": one.sphericity,
        "distance_to_surface_mm": one.distance_to_surface_mm,
        "nearest_lesion": one.nearest_lesion,
        "nearest_lesion_mm": one.nearest_lesion_mm,
        "distance_to_portal_vein_mm": one.vessel_distances_mm.get("portal vein"),
        "distance_to_hepatic_vein_mm": one.vessel_distances_mm.get("hepatic vein"),
        **_hu(one),
        "centroid_lps_mm": list(one.centroid_lps_mm),
        "centroid_ras_mm": list(one.centroid_ras_mm),
        "longest_diameter_ends_lps_mm": axial.longest_lps.tolist(),
        "short_axis_ends_lps_mm": axial.short_lps.tolist(),
        "components_26": one.components_26,
        "components_6": one.components_6,
        "liver_overlap": one.liver_overlap,
        "tiny": one.tiny,
    }
    return row


def _hu(one: Lesion) -> dict[str, Any]:
    row = {f"hu_{name}": getattr(one.hu, name) if one.hu else None for name in _SPREAD}
    row["implausible_hu_fraction"] = one.hu.implausible if one.hu else None
    return row | {"contrast_to_parenchyma_hu": one.contrast_hu, "contrast_to_noise": one.contrast_to_noise}


def _spread(what: str, found: Intensity | None) -> dict[str, Any]:
    return {f"{what}_{name}_hu": getattr(found, name) if found else None for name in _SPREAD}


def structure_row(result: PatientResult, one: JudgedStructure) -> dict[str, Any]:
    """Return the line of a structure; ``liver_overlap`` is plain, the rule's one is that with the dilated organ."""
    mask = one.structure.mask
    known = not (mask.empty or result.organ.empty)
    return {
        "patient": result.data.id,
        "name": one.structure.name,
        "role": one.role.value,
        "volume_ml": mask.count * result.data.grid.voxel_volume_mm3 / 1000,
        "liver_overlap": mask.overlap(result.organ) / mask.count if known else None,
        "liver_overlap_dilated": one.overlap,
        "reason": one.reason,
        "overridden": one.overridden,
        "notes": "; ".join(one.structure.notes),
    }


def metadata_row(result: PatientResult) -> dict[str, Any]:
    """Return what is known of the scan."""
    k, j, i = result.data.grid.shape_kji
    step_i, step_j, step_k = result.data.grid.spacing_ijk_mm
    sizes = {"rows": j, "columns": i, "slices": k, "row_spacing_mm": step_j, "column_spacing_mm": step_i}
    return {"patient": result.data.id, **sizes, "slice_spacing_mm": step_k, **result.data.metadata}
