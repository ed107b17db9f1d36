"""Which structures are the organ, its lesions, or something a person has to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from TumorAnalysisLib.distances import filled, fraction_within, surface_of
from TumorAnalysisLib.grid import Grid
from TumorAnalysisLib.masks import EMPTY, Mask, union
from TumorAnalysisLib.names import is_lesion_name, is_organ_name, is_suspicious, lesion_pattern, vessel_of
from TumorAnalysisLib.patient import Role, Structure

OVERLAP_FROM = 0.5  # of a lesion's voxels must lie in the dilated organ
DILATION_MM = 5.0  # masks of organs are drawn inside the capsule, and lesions may bulge out of it


@dataclass(frozen=True)
class JudgedStructure:
    """A structure with its role and the reason for it.

    Attributes
    ----------
    overlap : fraction inside the organ, holes closed and dilated by 5 mm; None if there is no organ mask to compare with.
    overridden : the user said so.
    vessel : "portal vein" or "hepatic vein" if it is one.
    """

    structure: Structure
    role: Role
    reason: str
    overlap: float | None
    overridden: bool = False
    vessel: str = ""


def judge(
    structures: Sequence[Structure],
    grid: Grid,
    *,
    organ: str = "liver",
    lesion: str = "",
    overrides: Mapping[str, Role] | None = None,
) -> list[JudgedStructure]:
    """Give every structure a role; none is left out.

    A lesion has the name of one and at least half of its voxels in the dilated organ. Other names of tumours, cysts, metastases or
    resections are for review. The user's word goes before both.

    Parameters
    ----------
    organ, lesion : name of the organ's mask; pattern of lesion names ("" takes organ + tumor, tumour, tumors, with a number).
    overrides : structure name -> role.
    """
    told = dict(overrides or {})
    pattern = lesion_pattern(organ, lesion)
    organ_mask = filled(organ_of(structures, organ, told))
    surface = surface_of(organ_mask, grid)
    judged = []
    for one in structures:
        known = not one.refused and not one.mask.empty and surface is not None
        overlap = fraction_within(one.mask, organ_mask, surface, DILATION_MM, grid) if known else None
        role, reason = _role(one, organ, is_lesion_name(one.name, pattern), overlap)
        if one.name in told and not one.refused:
            role, reason = told[one.name], f"chosen by the user; the rule says {role.value} ({reason})"
        judged.append(JudgedStructure(one, role, reason, overlap, one.name in told, vessel_of(one.name)))
    return judged


def organ_of(structures: Sequence[Structure], organ: str, told: Mapping[str, Role]) -> Mask:
    """Return the organ's mask: what the user chose, else what has its name."""
    chosen = [s.mask for s in structures if told.get(s.name) is Role.ORGAN and not s.refused]
    if chosen:
        return union(chosen)
    named = [s.mask for s in structures if is_organ_name(s.name, organ) and s.name not in told and not s.refused]
    return union(named) if named else EMPTY


def _role(one: Structure, organ: str, lesion_name: bool, overlap: float | None) -> tuple[Role, str]:
    if one.refused:
        return Role.OTHER, f"not used: {one.refused}"
    if is_organ_name(one.name, organ):
        return Role.ORGAN, "name of the organ"
    if lesion_name:
        return _role_of_lesion_name(one, organ, overlap)
    if is_suspicious(one.name):
        return Role.REVIEW, f"names a tumour, cyst, metastasis or resection, but not a {organ} tumour"
    return Role.OTHER, "no name of organ or tumour"


def _role_of_lesion_name(one: Structure, organ: str, overlap: float | None) -> tuple[Role, str]:
    if one.mask.empty:
        return Role.LESION, "name of a lesion; the mask is empty"
    if overlap is None:
        return Role.LESION, f"name of a lesion; there is no {organ} mask to compare with"
    share = f"{overlap:.0%} of it in the {organ} dilated by {DILATION_MM:.0f} mm"
    if overlap >= OVERLAP_FROM:
        return Role.LESION, f"name of a lesion, {share}"
    return Role.REVIEW, f"name of a lesion, but only {share}; at least {OVERLAP_FROM:.0%} are expected"
