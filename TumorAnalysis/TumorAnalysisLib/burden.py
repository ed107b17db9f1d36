"""Tumour burden of an organ, with its three denominators named."""

from __future__ import annotations

from dataclasses import dataclass

from TumorAnalysisLib.grid import Grid
from TumorAnalysisLib.masks import Mask, union


@dataclass(frozen=True)
class Burden:
    """Volumes and their ratios; a ratio is None without an organ mask.

    Attributes
    ----------
    tumor_ml : union of all lesions, so that overlapping masks count once.
    organ_ml : the organ mask as supplied.
    over_union : tumour over the union of organ and tumour; the primary value, right whether or not the mask contains the tumour.
    over_organ_mask : tumour over the organ mask as supplied.
    over_parenchyma : tumour over the organ without tumour.
    tumor_in_organ : fraction of the tumour that lies in the organ mask, None without tumour or organ.
    """

    tumor_ml: float
    organ_ml: float
    union_ml: float
    parenchyma_ml: float
    over_union: float | None
    over_organ_mask: float | None
    over_parenchyma: float | None
    tumor_in_organ: float | None


def burden(organ: Mask, lesions: list[Mask], grid: Grid) -> Burden:
    """Compute the burden from the organ mask and the masks of its lesions."""
    ml = grid.voxel_volume_mm3 / 1000
    tumor = union(lesions)
    in_tumor, in_organ, in_both = tumor.count, organ.count, tumor.overlap(organ)
    parenchyma = in_organ - in_both
    whole = in_organ + in_tumor - in_both
    return Burden(
        tumor_ml=in_tumor * ml,
        organ_ml=in_organ * ml,
        union_ml=whole * ml,
        parenchyma_ml=parenchyma * ml,
        over_union=in_tumor / whole if in_organ else None,
        over_organ_mask=in_tumor / in_organ if in_organ else None,
        over_parenchyma=in_tumor / parenchyma if parenchyma else None,
        tumor_in_organ=in_both / in_tumor if in_tumor and in_organ else None,
    )
