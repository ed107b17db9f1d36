"""report.html: what a physicist reads first, with the pictures inside."""

from __future__ import annotations

from pathlib import Path

from DicomWorkbenchLib.pages import Page

from SphereVOILib.measure import Measurement, SphereResult
from SphereVOILib.pictures import View, circles_picture, montage, png_of, view_of
from SphereVOILib.plots import cuts_plot, lung_plot, profile_plot, recovery_plot, variability_plot
from SphereVOILib.report import SphereReport, contrast_recovery_3d, unit_after, values_in
from SphereVOILib.scans import LoadedScan
from SphereVOILib.settings import SphereSettings

PAGE = "report.html"


def write_page(
    folder: Path, report: SphereReport, measurement: Measurement, loaded: LoadedScan, settings: SphereSettings
) -> Path:
    """Write the page."""
    unit, found = report.unit, len(measurement.found)
    page = Page(f"Phantom spheres: {loaded.name}", _lead(measurement, settings, unit))
    page.facts(_facts(measurement, unit))
    page.warnings(report.warnings)
    view = view_of(measurement, unit)
    page.section(
        "Centres", "Distance: from the click to the refined centre. Sigma: its standard error along x, y, z (LPS)."
    )
    page.table(
        ("sphere", "found", "x LPS mm", "y", "z", "sigma mm", "moved mm", "FWHM mm", "polarity", "reason"),
        _centers(measurement),
    )
    if found:
        page.section("Statistics", f"Three-dimensional spheres, partial voxels by fraction; {values_in(unit)}.")
        page.table(_STATISTICS, [_statistics(s, measurement, settings) for s in measurement.found])
        _judgements(page, report, measurement, settings, view)
        _pictures(page, measurement, settings, view)
    _provenance(page, report)
    return page.write(folder / PAGE)


def _lead(measurement: Measurement, settings: SphereSettings, unit: str) -> str:
    k, j, i = measurement.grid.array.shape
    size = " x ".join(f"{s:.3g}" for s in measurement.grid.spacing_mm)
    how = "found without clicks" if settings.measure.auto else "from clicks"
    return f"{i} x {j} x {k} voxels of {size} mm, {values_in(unit)}. Spheres {how}, method {settings.measure.refine.method}."


def _facts(measurement: Measurement, unit: str) -> list[tuple[str, str]]:
    facts = [(f"{len(measurement.found)} of {len(measurement.spheres)}", "spheres found")]
    if measurement.background.mean is not None:
        facts.append(
            (
                f"{measurement.background.mean:.4g}{unit_after(unit)}",
                f"background (SD {measurement.background.sd or 0:.3g})",
            )
        )
    widths = sorted(s.refined.fit.fwhm_mm for s in measurement.found if s.refined.fit is not None)
    if widths:
        facts.append((f"{widths[len(widths) // 2]:.1f} mm", "FWHM of the image (median)"))
    if measurement.ring is not None:
        facts.append((f"{measurement.ring.radius_mm:.2f} mm", "radius of the ring (nominal 57.2)"))
    if measurement.nema is not None and measurement.nema.lung_residual_percent is not None:
        facts.append((f"{measurement.nema.lung_residual_percent:.1f} %", "lung residual"))
    if measurement.earl is not None:
        passed = sum(s.verdict == "pass" for s in measurement.earl)
        facts.append((f"{passed} of {len(measurement.earl)}", "spheres pass EARL"))
    return facts


def _centers(measurement: Measurement) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for sphere in measurement.spheres:
        refined, center = sphere.refined, sphere.refined.center_lps_mm
        if center is None:
            rows.append((sphere.label, ("no", "bad"), None, None, None, "", None, None, "", (refined.reason, "bad")))
            continue
        x, y, z = (round(float(v), 2) for v in center)
        sigma = ", ".join(f"{v:.2f}" for v in refined.fit.sigma_mm) if refined.fit else "–"
        moved = None if refined.moved_mm is None else round(refined.moved_mm, 1)
        width = round(refined.fit.fwhm_mm, 2) if refined.fit else None
        rows.append((sphere.label, ("yes", "good"), x, y, z, sigma, moved, width, str(refined.polarity), ""))
    return rows


_STATISTICS = (
    "sphere",
    "mean",
    "max",
    "min",
    "SD",
    "median",
    "pixels",
    "volume ml",
    "SUVpeak 1 ml",
    "A50 mean",
    "contrast recovery 3D %",
)


def _statistics(sphere: SphereResult, measurement: Measurement, settings: SphereSettings) -> tuple[object, ...]:
    s = sphere.statistics
    assert s is not None
    recovery = contrast_recovery_3d(sphere, measurement, settings.measure)
    values = (
        s.mean,
        s.max,
        s.min,
        s.sd,
        s.median,
        s.pixel_count,
        s.effective_volume_ml,
        sphere.suv_peak,
        sphere.a50_mean,
        recovery,
    )
    return (sphere.label, *values)


def _judgements(
    page: Page, report: SphereReport, measurement: Measurement, settings: SphereSettings, view: View
) -> None:
    nema, earl = measurement.nema, measurement.earl
    if nema is not None and nema.spheres:
        page.section(
            "NEMA NU 2",
            f"Two-dimensional circles in slice {nema.common_slice}; background from twelve places in five slices. True contrast "
            f"{settings.measure.contrast:g}. These are other quantities than the three-dimensional means above.",
        )
        rows = [
            (
                s.label,
                s.polarity,
                s.contrast_recovery_percent,
                s.background_variability_percent,
                s.sphere_mean,
                s.background_mean,
            )
            for s in nema.spheres
        ]
        page.table(
            ("sphere", "polarity", "contrast recovery Q %", "background variability N %", "C sphere", "C background"),
            rows,
        )
        page.images([(png_of(nema_picture(measurement, view, k)), f"Circles in slice {k}") for k in nema.slices])
    elif nema is not None:
        page.section("NEMA NU 2").paragraph(nema.reason, "warn")
    if earl is not None:
        version = settings.measure.earl
        page.section(
            f"EARL {version}",
            f"Measured over true concentration; true = {settings.measure.contrast:g} times the background.",
        )
        kind = {"pass": "good"}
        rows_earl = [(s.label, s.rc_mean, s.rc_max, s.rc_peak, (s.verdict, kind.get(s.verdict, "bad"))) for s in earl]
        page.table(("sphere", "RC mean (A50)", "RC max", "RC peak", "verdict"), rows_earl)


def nema_picture(measurement: Measurement, view: View, k: int):  # type: ignore[no-untyped-def]  # Pillow is an optional package
    """Draw NEMA's circles in one slice."""
    nema = measurement.nema
    assert nema is not None
    circles = [(place, 37.0, str(n), "#0072b2") for n, place in enumerate(nema.places_lps_mm, 1)]
    if nema.lung_center_lps_mm is not None:
        circles.append((nema.lung_center_lps_mm, 30.0, "lung", "#009e73"))
    if k == nema.common_slice:
        for sphere in measurement.found:
            assert sphere.refined.center_lps_mm is not None
            circles.append((sphere.refined.center_lps_mm, sphere.diameter_mm, "", "#d55e00"))
    return circles_picture(measurement.grid, view, k, circles)


def _pictures(page: Page, measurement: Measurement, settings: SphereSettings, view: View) -> None:
    page.section("Plots")
    plots = [(recovery_plot(measurement, settings.measure), "Recovery against diameter.")]
    for png, caption in (
        (variability_plot(measurement), "Contrast recovery against background variability."),
        (lung_plot(measurement), "Residual in the lung insert."),
    ):
        if png is not None:
            plots.append((png, caption))
    page.images(plots)
    profile = profile_plot(measurement, settings.measure, values_in(view.unit))
    if profile is not None:
        page.image(
            profile,
            "Voxels (grey), their radial mean (blue) and the fitted sphere (orange); the line marks the radius.",
        )
    page.section("Pictures")
    slices = sorted({part.k for s in measurement.spheres for part in s.slices})
    if slices:
        page.image(
            png_of(montage(measurement, view, slices)), "Slices through the spheres; circles are the spheres' cuts."
        )
    cuts = cuts_plot(measurement, view.high, view.low)
    if cuts is not None:
        page.image(cuts, "Cuts through each sphere: circle and + refined, x click.")


def _provenance(page: Page, report: SphereReport) -> None:
    page.section(
        "Units",
        f"{values_in(report.unit).capitalize()}, factor {report.suv.get('factor', 1.0):.6g} from the file's values.",
    )
    for note in report.suv.get("notes", []):
        page.paragraph(note)
    tags = report.suv.get("tags", [])
    if tags:
        page.table(
            ("tag", "name", "value"), [(t["tag"], t["name"], t["value"]) for t in tags], "Every tag that was looked at."
        )
