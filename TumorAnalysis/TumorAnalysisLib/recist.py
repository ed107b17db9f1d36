"""RECIST 1.1 at one point in time: which lesions are measurable, which are targets, and the sum of their diameters.

Eisenhauer et al., New response evaluation criteria in solid tumours: revised RECIST guideline (version 1.1), Eur J Cancer 45 (2009)
228-247. Response needs a second scan, so none is claimed here.
"""

from __future__ import annotations

from collections.abc import Sequence

MEASURABLE_FROM_MM = 10.0
THICKEST_SLICE_MM = 5.0
TARGETS_PER_ORGAN = 2  # and 5 in all; this module looks at one organ


def smallest_measurable_mm(slice_thickness_mm: float) -> float:
    """Longest diameter from which a lesion is measurable: 10 mm, with slices above 5 mm twice their thickness."""
    return MEASURABLE_FROM_MM if slice_thickness_mm <= THICKEST_SLICE_MM else 2 * slice_thickness_mm


def targets(longest_diameters_mm: Sequence[float], slice_thickness_mm: float) -> list[int]:
    """Choose target lesions: the longest measurable ones, at most two in the organ.

    Returns
    -------
    Indices into ``longest_diameters_mm``, the longest first; of equal ones the earlier.
    """
    limit = smallest_measurable_mm(slice_thickness_mm)
    order = sorted(range(len(longest_diameters_mm)), key=lambda index: -longest_diameters_mm[index])
    return [index for index in order if longest_diameters_mm[index] >= limit][:TARGETS_PER_ORGAN]
