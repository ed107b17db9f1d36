"""What is remarkable about one stack of planes: gaps, coinciding planes, tilt, irregular spacing, no positions."""

from __future__ import annotations

import numpy as np

from DicomWorkbenchLib.geometry import FloatArray
from DicomWorkbenchLib.series_model import Plane, Series, origins_of
from DicomWorkbenchLib.series_problems import Problem, ProblemKind, counted, named

SAME_POSITION_MM = 1e-3  # closer positions along the normal are the same place; real slices are at least 0.1 mm apart
REGULAR_SHARE = 0.1  # a slice may lie this share of the spacing off its place
ROUNDED_MM = 0.1  # ... or this far, as some headers round positions to a tenth of a millimetre
ROUNDED_SHARE = 0.25  # ... but no further than this share of the spacing
TILT_DEGREES = 0.1  # less is rounding of positions; real gantries tilt by degrees
SHIFTED_SHARE = 0.5  # of a pixel: larger sideways shifts move structures into the neighbouring pixel
SAME_SPACING_SHARE = 1e-3  # pixel spacings closer than this (0.5 mm over a 500 mm field of view) are equal
VOLUME_MODALITIES = frozenset({"CT", "MR", "PT", "NM"})  # whose images without positions are worth a word


def judge(series: Series) -> None:
    """Add the problems of a stack to it, and the obstacle if it is no volume."""
    planes = series.planes
    if _frames_without_geometry(series) or _missing_positions(series) or _mixed_pixels(series):
        return
    along = series.positions_mm
    coincident = [index for index in range(1, len(planes)) if along[index] - along[index - 1] <= SAME_POSITION_MM]
    if coincident:
        _coincident(series, coincident)
    elif len(planes) > 1:
        _tilt(series)
        _spacing(series, along)
        _shifts(series, along)


def _frames_without_geometry(series: Series) -> bool:
    instance = series.planes[0].instance
    if not series.planes[0].whole:
        return False
    series.obstacle = (
        f"its {instance.frames} frames have no positions of their own (a cine or another multi-frame image)"
    )
    message = f"{instance.origin} is a multi-frame image; {series.obstacle}"
    series.problems.append(Problem(ProblemKind.MULTI_FRAME, message, (instance.origin,)))
    return True


def _missing_positions(series: Series) -> bool:
    without = [plane for plane in series.planes if plane.position_lps is None or plane.orientation_lps is None]
    no_spacing = [plane for plane in series.planes if plane.pixel_spacing_mm is None]
    if not without and not no_spacing:
        return False
    bad = without or no_spacing
    what = "position or orientation" if without else "pixel spacing"
    series.obstacle = f"{len(bad)} of {len(series.planes)} images without usable {what}"
    if series.modality in VOLUME_MODALITIES or len(series.planes) > 1:
        origins = origins_of(bad)
        message = f"{series.label}: {series.obstacle}: {named(origins)}"
        series.problems.append(Problem(ProblemKind.NO_POSITION, message, origins))
    return True


def _mixed_pixels(series: Series) -> bool:
    spacings = np.asarray([plane.pixel_spacing_mm for plane in series.planes], dtype=float)
    different = np.any(np.abs(spacings / spacings[0] - 1) > SAME_SPACING_SHARE, axis=1)
    if not different.any():
        return False
    bad: list[Plane] = [plane for plane, off in zip(series.planes, different, strict=True) if off]
    series.obstacle = f"{len(bad)} of {len(series.planes)} images with another pixel spacing"
    origins = origins_of(bad)
    series.problems.append(
        Problem(ProblemKind.MIXED_PIXEL_SPACING, f"{series.label}: {series.obstacle}: {named(origins)}", origins)
    )
    return True


def _coincident(series: Series, indices: list[int]) -> None:
    along = series.positions_mm
    pairs = [(series.planes[index - 1], series.planes[index]) for index in indices]
    series.obstacle = f"{counted(len(indices), 'image')} at the position of another one"
    first, second = (plane.instance.origin for plane in pairs[0])
    message = f"{series.label}: {series.obstacle}; the first two, at {along[indices[0]]:.2f} mm along the normal: {first} and {second}"
    origins = origins_of(plane for pair in pairs for plane in pair)
    series.problems.append(Problem(ProblemKind.DUPLICATE_POSITION, message, origins))


def _tilt(series: Series) -> None:
    step, normal = series.step_lps, series.normal_lps
    assert normal is not None
    forward = float(step @ normal)
    sideways = float(np.linalg.norm(step - forward * normal))
    degrees = float(np.degrees(np.arctan2(sideways, forward)))
    if degrees > TILT_DEGREES:
        message = f"{series.label}: the gantry was tilted by {degrees:.1f} degrees; the voxels are skewed, not boxes"
        series.problems.append(Problem(ProblemKind.GANTRY_TILT, message, (series.planes[0].instance.origin,)))


def _spacing(series: Series, along: FloatArray) -> None:
    distances = np.diff(along)
    usual = float(np.median(distances))
    steps = np.rint(distances / usual)
    places = np.concatenate(([0.0], np.cumsum(steps)))
    step = (along[-1] - along[0]) / places[-1] if places[-1] else usual
    if not np.all(steps >= 1) or np.abs(along - along[0] - places * step).max() > _tolerance(float(step)):
        message = (
            f"{series.label}: the distance between slices varies from {distances.min():.3f} to {distances.max():.3f} mm; "
            "the volume takes their mean"
        )
        series.problems.append(Problem(ProblemKind.MIXED_SPACING, message, origins_of(series.planes[:1])))
        return
    for index in np.flatnonzero(steps > 1):
        before, after = series.planes[index], series.planes[index + 1]
        count = int(steps[index]) - 1
        message = (
            f"{series.label}: {counted(count, 'slice')} missing between {along[index]:.2f} and {along[index + 1]:.2f} mm along the normal "
            f"({before.instance.origin} and {after.instance.origin}); slices are {step:.2f} mm apart"
        )
        series.problems.append(Problem(ProblemKind.GAP, message, origins_of((before, after))))


def _tolerance(step: float) -> float:
    return max(REGULAR_SHARE * step, min(ROUNDED_MM, ROUNDED_SHARE * step))


def _shifts(series: Series, along: FloatArray) -> None:
    """Notice slices that lie beside the line from the first to the last one."""
    positions = np.asarray([plane.position_lps for plane in series.planes], dtype=float)
    line = (positions[-1] - positions[0]) / (along[-1] - along[0])
    off = np.linalg.norm(positions - positions[0] - np.outer(along - along[0], line), axis=1)
    spacing = series.pixel_spacing_mm
    assert spacing is not None
    if off.max() <= SHIFTED_SHARE * min(spacing):
        return
    bad = [plane for plane, far in zip(series.planes, off > SHIFTED_SHARE * min(spacing), strict=True) if far]
    origins = origins_of(bad)
    message = (
        f"{series.label}: {counted(len(bad), 'slice')} shifted sideways by up to {off.max():.2f} mm against the others, and the "
        f"volume does not follow them: {named(origins)}"
    )
    series.problems.append(Problem(ProblemKind.SHIFTED, message, origins))
