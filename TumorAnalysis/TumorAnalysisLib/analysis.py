"""From the data of one patient to its roles, lesions, burden and warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress, part_of

from TumorAnalysisLib.burden import Burden, burden
from TumorAnalysisLib.components import Connectivity, pieces
from TumorAnalysisLib.intensity import Intensity, intensity
from TumorAnalysisLib.lesions import Lesion, Surroundings, measure
from TumorAnalysisLib.masks import Mask, union
from TumorAnalysisLib.patient import PatientData, Role
from TumorAnalysisLib.recist import targets
from TumorAnalysisLib.roles import JudgedStructure, judge, organ_of


@dataclass(frozen=True)
class PatientResult:
    """What was measured of one patient.

    Attributes
    ----------
    structures : every structure of the data set with its role.
    lesions : one per lesion mask (one per piece where a label map holds them all).
    components : the connected pieces of lesions that consist of several, measured like lesions.
    count_26, count_6 : connected pieces inside the lesion masks, summed, with both connectivities.
    parenchyma, tumor : CT numbers of the organ without all lesions, and of all lesions together.
    targets : indices into ``lesions`` of the RECIST 1.1 target lesions.
    """

    data: PatientData
    structures: tuple[JudgedStructure, ...]
    organ: Mask
    lesions: tuple[Lesion, ...]
    components: tuple[Lesion, ...]
    count_26: int
    count_6: int
    burden: Burden
    parenchyma: Intensity | None
    tumor: Intensity | None
    targets: tuple[int, ...]
    warnings: tuple[str, ...]

    @property
    def sum_of_longest_diameters_mm(self) -> float:
        """Sum of the longest diameters of the target lesions (RECIST 1.1 baseline sum)."""
        return float(sum(self.lesions[index].axial.longest_mm for index in self.targets))


def analyse_patient(
    data: PatientData,
    *,
    organ: str = "liver",
    lesion: str = "",
    connectivity: int = Connectivity.CORNERS,
    overrides: Mapping[str, Role] | None = None,
    measured: bool = True,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
) -> PatientResult:
    """Measure one patient.

    Parameters
    ----------
    organ, lesion : name of the organ's mask and pattern of lesion names, as in `roles.judge`.
    connectivity : joins voxels to pieces where a label map has to be split into lesions.
    overrides : structure name -> role decided by the user.
    measured : False only gives roles to the structures.
    """
    told = dict(overrides or {})
    judged = judge(data.structures, data.grid, organ=organ, lesion=lesion, overrides=told)
    organ_mask = organ_of(data.structures, organ, told)
    masks = lesion_masks(judged, connectivity) if measured else {}
    around = Surroundings(data.image, organ_mask, _vessels(judged), data.slice_thickness_mm)
    lesions, parenchyma = measure(masks, data.grid, around, progress=part_of(progress, 0, 60), cancel=cancel)
    several = {
        f"{one.name} #{n}": piece
        for one in lesions
        if one.components_26 > 1 or (connectivity == Connectivity.FACES and one.components_6 > 1)
        for n, piece in enumerate(pieces(one.mask, connectivity), start=1)
    }
    parts, _ = measure(several, data.grid, around, progress=part_of(progress, 60, 100), cancel=cancel)
    chosen = targets([one.axial.longest_mm for one in lesions], data.slice_thickness_mm)
    result = PatientResult(
        data=data,
        structures=tuple(judged),
        organ=organ_mask,
        lesions=tuple(lesions),
        components=tuple(parts),
        count_26=sum(one.components_26 for one in lesions),
        count_6=sum(one.components_6 for one in lesions),
        burden=burden(organ_mask, [one.mask for one in lesions], data.grid),
        parenchyma=parenchyma,
        tumor=intensity(data.image, union([one.mask for one in lesions])),
        targets=tuple(chosen),
        warnings=(),
    )
    return _with_warnings(result, organ)


def lesion_masks(judged: list[JudgedStructure], connectivity: int) -> dict[str, Mask]:
    """Return name -> mask of every lesion: a mask is a lesion, a label map holds as many as it has pieces."""
    found: dict[str, Mask] = {}
    for one in judged:
        if one.role is not Role.LESION or one.structure.mask.empty:
            continue
        if one.structure.one_lesion:
            found[one.structure.name] = one.structure.mask
        else:
            split = pieces(one.structure.mask, connectivity)
            found |= {f"{one.structure.name} {n}": piece for n, piece in enumerate(split, start=1)}
    return found


def _vessels(judged: list[JudgedStructure]) -> dict[str, Mask]:
    groups: dict[str, list[Mask]] = {}
    for one in judged:
        if one.vessel and not one.structure.mask.empty:
            groups.setdefault(one.vessel, []).append(one.structure.mask)
    return {name: union(masks) for name, masks in groups.items()}


def _with_warnings(result: PatientResult, organ: str) -> PatientResult:
    said = [*result.data.warnings]
    if result.organ.empty:
        said.append(
            f"there is no usable {organ} mask: no burden, no distance to its surface, no check of lesion names by overlap"
        )
    said += _grouped([(note, one.structure.name) for one in result.structures for note in one.structure.notes])
    for one in result.structures:
        if one.structure.refused:
            said.append(f"{one.structure.name} is not used: {one.structure.refused}")
        elif one.role is Role.REVIEW and not one.overridden:
            said.append(f"{one.structure.name} needs review and is not counted: {one.reason}")
        if one.overridden:
            said.append(f"{one.structure.name}: {one.role.value}, {one.reason}")
    for lesion in result.lesions:
        said += _lesion_warnings(lesion, organ)
    said += _shared(result.lesions, result.data.grid.voxel_volume_mm3)
    return replace(result, warnings=tuple(said))


def _grouped(notes: list[tuple[str, str]]) -> list[str]:
    """Say a note that several structures share once, with their names."""
    names: dict[str, list[str]] = {}
    for note, name in notes:
        names.setdefault(note, []).append(name)
    return [f"{', '.join(shared)}: {note}" for note, shared in names.items()]


def _lesion_warnings(lesion: Lesion, organ: str) -> list[str]:
    said = []
    if lesion.tiny:
        said.append(f"{lesion.name} is tiny ({lesion.voxels} voxels); it is counted")
    if lesion.components_26 > 1:
        said.append(
            f"{lesion.name} consists of {lesion.components_26} separate pieces; each is listed under components"
        )
    if lesion.liver_overlap is not None and lesion.liver_overlap < 0.5:
        said.append(
            f"only {lesion.liver_overlap:.0%} of {lesion.name} lie in the {organ} mask, which may leave tumours out"
        )
    if lesion.hu is not None and lesion.hu.implausible > 0.05:
        said.append(
            f"{lesion.hu.implausible:.0%} of {lesion.name} are below -200 or above 300 HU; the mask may have slipped"
        )
    return said


def _shared(lesions: Sequence[Lesion], voxel_mm3: float) -> list[str]:
    """Name the masks that overlap: they may show one lesion twice."""
    said = []
    for one, other in combinations(lesions, 2):
        if both := one.mask.overlap(other.mask):
            share = both / min(one.voxels, other.voxels)
            said.append(
                f"{one.name} and {other.name} share {both} voxels ({both * voxel_mm3 / 1000:.3g} ml, {share:.0%} of the smaller): "
                "if they are one lesion, it is counted twice; the burden counts what they share once"
            )
    return said


def slice_rows(result: PatientResult) -> list[dict[str, Any]]:
    """Return area of organ and lesions per slice, and their ratio, which is not the burden."""
    lesions = union([one.mask for one in result.lesions])
    pixel_cm2 = abs(float(np.linalg.det(result.data.grid.plane_mm))) / 100
    of_organ, of_lesions = _counts(result.organ), _counts(lesions)
    rows = []
    for k in sorted(of_organ.keys() | of_lesions.keys()):
        organ, tumor = of_organ.get(k, 0), of_lesions.get(k, 0)
        rows.append(
            {
                "patient": result.data.id,
                "slice": k + 1,
                "position_along_normal_mm": _position(result, k),
                "organ_area_cm2": organ * pixel_cm2,
                "tumor_area_cm2": tumor * pixel_cm2,
                "slice_ratio_not_burden": tumor / organ if organ else None,
            }
        )
    return rows


def _position(result: PatientResult, k: int) -> float:
    i, j, step = result.data.grid.steps_mm
    normal = np.cross(i, j)
    normal *= np.sign(normal @ step) / np.linalg.norm(normal)
    return float(result.data.grid.to_lps(np.array([[0.0, 0.0, float(k)]]))[0] @ normal)


def _counts(mask: Mask) -> dict[int, int]:
    counts = mask.voxels.sum(axis=(1, 2)) if not mask.empty else []
    return {mask.start_kji[0] + n: int(count) for n, count in enumerate(counts) if count}
