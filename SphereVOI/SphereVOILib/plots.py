"""Plots a physicist asks for: recovery with EARL's band, contrast against variability, profiles with the fit, cuts through each sphere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from DicomWorkbenchLib.figures import COLORS, new_figure, png_bytes
from DicomWorkbenchLib.geometry import FloatArray

from SphereVOILib.earl import BANDS, Band
from SphereVOILib.grid import Grid
from SphereVOILib.measure import Measurement, SphereResult
from SphereVOILib.model import FWHM_PER_SIGMA, blurred_sphere, mean_recovery
from SphereVOILib.report import contrast_recovery_3d
from SphereVOILib.settings import MeasureSettings

SHOWN_MM = 60.0  # side of the cuts through a sphere, at least twice its diameter
CUT_PIXELS = 121
_MARGIN_MM = 16.0


def recovery_plot(measurement: Measurement, settings: MeasureSettings) -> bytes:
    """Recovery against diameter: EARL's three quantities with their bands, or else the 3D contrast recovery."""
    figure, axes = new_figure(12, 9)
    if measurement.earl is not None and settings.earl is not None:
        bands = BANDS[settings.earl]
        rows = (
            ("RC mean (A50)", "rc_mean", bands.mean),
            ("RC max", "rc_max", bands.max),
            ("RC peak", "rc_peak", bands.peak),
        )
        for n, (name, field, band) in enumerate(rows):
            _band(axes, band, COLORS[n], name)
            points = [(s.diameter_mm, getattr(s, field)) for s in measurement.earl if getattr(s, field) is not None]
            _line(axes, points, COLORS[n], name)
        axes.set_ylabel("recovery coefficient")
        axes.set_title(f"Recovery coefficients and bands of EARL {settings.earl}")
    else:
        _contrast_recovery(axes, measurement, settings)
    axes.set_xlabel("sphere diameter [mm]")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)
    return png_bytes(figure)


def _contrast_recovery(axes: Any, measurement: Measurement, settings: MeasureSettings) -> None:
    points = [(s.diameter_mm, contrast_recovery_3d(s, measurement, settings)) for s in measurement.found]
    _line(axes, [(d, v) for d, v in points if v is not None], COLORS[0], "3D sphere mean")
    if measurement.nema is not None:
        nema = [(s.diameter_mm, s.contrast_recovery_percent) for s in measurement.nema.spheres]
        _line(axes, [(d, v) for d, v in nema if v is not None], COLORS[1], "NEMA Q (2D circle)")
    widths = [s.refined.fit.fwhm_mm for s in measurement.found if s.refined.fit is not None]
    if widths:
        width = float(np.median(widths))
        diameters = np.linspace(8, 40, 100)
        theory = [100 * mean_recovery(d / 2, width) for d in diameters]
        axes.plot(diameters, theory, "--", color="0.5", label=f"no wall, {width:.1f} mm FWHM")
    axes.set_ylabel("contrast recovery [%]")
    axes.set_title("Contrast recovery")


def variability_plot(measurement: Measurement) -> bytes | None:
    """NEMA's contrast recovery against background variability; None without NEMA."""
    if measurement.nema is None or not measurement.nema.spheres:
        return None
    figure, axes = new_figure(12, 9)
    for n, sphere in enumerate(measurement.nema.spheres):
        if sphere.contrast_recovery_percent is not None and sphere.background_variability_percent is not None:
            axes.plot(
                sphere.background_variability_percent,
                sphere.contrast_recovery_percent,
                "o",
                color=COLORS[n % len(COLORS)],
            )
            at = (sphere.background_variability_percent, sphere.contrast_recovery_percent)
            axes.annotate(f" {sphere.diameter_mm:g} mm", at, fontsize=8)
    axes.set_xlabel("background variability N [%]")
    axes.set_ylabel("contrast recovery Q [%]")
    axes.set_xlim(left=0)
    axes.margins(x=0.15)
    axes.set_title("NEMA NU 2: contrast against variability")
    return png_bytes(figure)


def lung_plot(measurement: Measurement) -> bytes | None:
    """The lung insert's residual slice by slice; None without it."""
    if measurement.nema is None or not measurement.nema.lung:
        return None
    figure, axes = new_figure(12, 7)
    axes.plot(
        [s.position_mm for s in measurement.nema.lung],
        [s.residual_percent for s in measurement.nema.lung],
        color=COLORS[0],
    )
    mean = measurement.nema.lung_residual_percent
    axes.axhline(mean, ls="--", color="0.5", label=f"mean {mean:.1f} %")
    axes.set_xlabel("position along the phantom, from the spheres [mm]")
    axes.set_ylabel("lung residual [%]")
    axes.set_ylim(bottom=0)
    axes.legend()
    return png_bytes(figure)


def profile_plot(measurement: Measurement, settings: MeasureSettings, unit: str) -> bytes | None:
    """Voxel values over the distance from the centre, with the fitted curve, one panel per sphere."""
    spheres = [s for s in measurement.found if s.refined.fit is not None]
    if not spheres:
        return None
    columns = min(3, len(spheres))
    rows = -(-len(spheres) // columns)
    figure, axes = new_figure(18, 5.4 * rows, rows, columns, squeeze=False)
    for panel, sphere in zip(axes.flat, spheres, strict=False):
        _profile(panel, measurement.grid, sphere, settings.refine.psf_wall_mm)
    for panel in axes.flat[len(spheres) :]:
        panel.set_visible(False)
    figure.supxlabel("distance from the centre [mm]", fontsize=9)
    figure.supylabel(unit, fontsize=9)
    return png_bytes(figure)


def _profile(axes: Any, grid: Grid, sphere: SphereResult, wall: float) -> None:
    fit, radius = sphere.refined.fit, sphere.diameter_mm / 2
    assert fit is not None
    box = grid.around(fit.center_lps_mm, radius + _MARGIN_MM)
    distance, values = box.distances_mm(fit.center_lps_mm).ravel(), box.values().ravel()
    near = (distance <= radius + _MARGIN_MM) & np.isfinite(values)
    distance, values = distance[near], values[near]
    axes.plot(distance, values, ",", color="0.55", rasterized=True)
    edges = np.arange(0, radius + _MARGIN_MM + 0.1, max(2.0, max(grid.spacing_mm) / 2))
    place = np.digitize(distance, edges)
    means = [
        (distance[place == n].mean(), values[place == n].mean()) for n in range(1, len(edges)) if np.any(place == n)
    ]
    axes.plot(*zip(*means, strict=True), "o", ms=3, color=COLORS[0])
    r = np.linspace(0, radius + _MARGIN_MM, 200)
    sigma = fit.fwhm_mm / FWHM_PER_SIGMA
    inner, outer = blurred_sphere(r, radius, sigma).value, blurred_sphere(r, radius + wall, sigma).value
    axes.plot(r, fit.signal * inner + fit.background * (1 - outer), color=COLORS[1])
    axes.axvline(radius, color="0.7", lw=0.8)
    axes.set_title(f"{sphere.label}: {fit.fwhm_mm:.1f} mm FWHM", fontsize=8)


def cuts_plot(measurement: Measurement, high: float, low: float = 0.0) -> bytes | None:
    """Three cuts through every sphere that was found: circle, centre and click."""
    spheres = measurement.found
    if not spheres:
        return None
    figure, axes = new_figure(3 * 4.2 + 2.2, 4.2 * len(spheres), len(spheres), 3, squeeze=False)
    for row, sphere in zip(axes, spheres, strict=True):
        for panel, plane in zip(row, _PLANES, strict=True):
            _cut(panel, measurement.grid, sphere, plane, (low, high))
        row[0].set_ylabel(sphere.label, fontsize=9)
    for panel, name in zip(axes[0], ("in the slice", "across rows", "across columns"), strict=True):
        panel.set_title(name, fontsize=9)
    return png_bytes(figure)


_PLANES = ((0, 1), (0, 2), (1, 2))  # axes of the grid: i, j, slice normal


def _cut(axes: Any, grid: Grid, sphere: SphereResult, plane: tuple[int, int], window: tuple[float, float]) -> None:
    from scipy.ndimage import map_coordinates

    center = sphere.refined.center_lps_mm
    assert center is not None
    across, down = (_unit(grid, axis) for axis in plane)
    half = max(SHOWN_MM / 2, 0.9 * sphere.diameter_mm)
    steps = np.linspace(-half, half, CUT_PIXELS)
    points = center + steps[None, :, None] * across + steps[:, None, None] * down
    index = grid.index_of(points.reshape(-1, 3))
    box = grid.around(center, half * 1.5)
    place = (index - np.array(box.low)).T[::-1].reshape(3, CUT_PIXELS, CUT_PIXELS)
    image = map_coordinates(np.nan_to_num(box.values()), place, order=1, mode="nearest")
    origin = "upper" if plane == (0, 1) else "lower"
    axes.imshow(image, cmap="gray_r", vmin=window[0], vmax=window[1], extent=_extent(half, origin), origin=origin)
    angle = np.linspace(0, 2 * np.pi, 100)
    radius = sphere.diameter_mm / 2
    axes.plot(radius * np.cos(angle), radius * np.sin(angle), color=COLORS[1], lw=1)
    axes.plot(0, 0, "+", color=COLORS[1], ms=7)
    click = sphere.refined.target.lps_mm
    if click is not None:
        away = np.array(click) - center
        axes.plot(away @ across, away @ down, "x", color=COLORS[2], ms=5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)


def _extent(half: float, origin: str) -> tuple[float, float, float, float]:
    return (-half, half, half, -half) if origin == "upper" else (-half, half, -half, half)


def _unit(grid: Grid, axis: int) -> FloatArray:
    if axis == 2:
        return grid.normal_lps
    column = grid.matrix_lps[:3, axis]
    return np.asarray(column / np.linalg.norm(column))


def _band(axes: Any, band: Any, color: str, name: str) -> None:
    rows: list[tuple[float, Band]] = sorted(band.items())
    if rows:
        axes.fill_between(
            [d for d, _ in rows],
            [b[0] for _, b in rows],
            [b[1] for _, b in rows],
            color=color,
            alpha=0.15,
            label=f"band {name}",
        )


def _line(axes: Any, points: Sequence[tuple[float, float]], color: str, name: str) -> None:
    if points:
        ordered = sorted(points)
        axes.plot([p[0] for p in ordered], [p[1] for p in ordered], "o-", color=color, label=name)
