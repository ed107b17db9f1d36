"""The three Excel files of the workflow, with the sheets around them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib.errors import DependencyError
from DicomWorkbenchLib.geometry import lps_to_ras
from DicomWorkbenchLib.settings import to_json
from DicomWorkbenchLib.tables import Table, write_workbook

from SphereVOILib.measure import Measurement, SphereResult
from SphereVOILib.report import STATISTICS, contrast_recovery_3d, details
from SphereVOILib.settings import MeasureSettings, SphereSettings
from SphereVOILib.suv import SuvScaling

if TYPE_CHECKING:
    import pandas as pd

META, MIDPOINTS, RAW = "outputMetaTargets.xlsx", "outputMidPoints3D.xlsx", "targets.xlsx"
_INSIDE_NOTE = (
    "Mean: voxels weighted by the fraction inside. "
    "Max, min, variance (n-1), SD, median, pixel count: voxels at least half inside."
)


def write_workbooks(folder: Path, measurement: Measurement, scaling: SuvScaling, settings: SphereSettings) -> None:
    """Write all three files into a folder."""
    unit, how = scaling.unit, settings.measure
    more = [*_nema_tables(measurement, unit), *_earl_tables(measurement, how)]
    common = [suv_table(scaling), settings_table(settings)]
    write_workbook(
        folder / META, [slice_table(measurement, unit), sphere_table(measurement, unit, how), *more, *common]
    )
    write_workbook(folder / MIDPOINTS, [center_table(measurement), fit_table(measurement, unit, how), *common])
    write_workbook(folder / RAW, [*raw_tables(measurement, unit), *common])


def sphere_table(measurement: Measurement, unit: str, settings: MeasureSettings) -> Table:
    """One row per sphere: three-dimensional statistics, peak, A50, recovery."""
    rows = []
    for sphere in measurement.spheres:
        row: dict[str, Any] = {"Label": sphere.label, "Diameter": sphere.diameter_mm, "Found": sphere.refined.found}
        row |= {name.replace("_", " ").capitalize(): getattr(sphere.statistics, name, None) for name in STATISTICS}
        row |= {"SUVpeak 1 ml": sphere.suv_peak, "A50 mean": sphere.a50_mean, "A50 volume": sphere.a50_volume_ml}
        row["Contrast recovery 3D"] = contrast_recovery_3d(sphere, measurement, settings)
        rows.append(row)
    units = dict.fromkeys(("Mean", "Max", "Min", "Sd", "Median", "SUVpeak 1 ml", "A50 mean"), unit)
    units |= {
        "Diameter": "mm",
        "Variance": f"({unit})²",
        "Effective volume ml": "ml",
        "A50 volume": "ml",
        "Contrast recovery 3D": "%",
    }
    note = f"{_INSIDE_NOTE} Background {_shown(measurement.background.mean)} {unit} (SD {_shown(measurement.background.sd)})."
    return Table("Spheres", _frame(rows), units, note)


def slice_table(measurement: Measurement, unit: str) -> Table:
    """One row per slice and sphere, as the original output has it."""
    rows = []
    for sphere in measurement.spheres:
        for part in sphere.slices:
            row: dict[str, Any] = {
                "Label": sphere.label,
                "Diameter": sphere.diameter_mm,
                "Slice": part.k,
                "Distance": part.distance_mm,
            }
            row |= {name.replace("_", " ").capitalize(): getattr(part.statistics, name) for name in STATISTICS}
            rows.append(row)
    columns = ["Label", "Diameter", "Slice", "Distance", *(n.replace("_", " ").capitalize() for n in STATISTICS)]
    units = dict.fromkeys(("Mean", "Max", "Min", "Sd", "Median"), unit)
    units |= {"Diameter": "mm", "Distance": "mm", "Variance": f"({unit})²", "Effective volume ml": "ml"}
    note = (
        "Slice: index from 0. Distance: of the slice from the sphere's centre along the slice normal. " + _INSIDE_NOTE
    )
    return Table("Slices", _frame(rows, columns), units, note)


def center_table(measurement: Measurement) -> Table:
    """One row per sphere: click, refined centre in voxels, LPS and RAS, distance, uncertainty."""
    rows = []
    for sphere in measurement.spheres:
        refined, center = sphere.refined, sphere.refined.center_lps_mm
        row: dict[str, Any] = {
            "Label": sphere.label,
            "Diameter": sphere.diameter_mm,
            "Found": refined.found,
            "Reason": refined.reason,
        }
        row |= _triple("Click", "LPS", refined.target.lps_mm)
        row |= _triple("Centre voxel", "ijk", None if center is None else measurement.grid.index_of(center))
        row |= _triple("Centre", "LPS", center)
        row |= _triple("Centre", "RAS", None if center is None else lps_to_ras(center))
        row["Distance moved"] = refined.moved_mm
        row |= _triple("Sigma", "LPS", refined.fit.sigma_mm if refined.fit is not None and refined.found else None)
        row["Polarity"] = str(refined.polarity)
        row["FWHM"] = refined.fit.fwhm_mm if refined.fit is not None and refined.found else None
        rows.append(row)
    names = list(rows[0])
    units = {
        n: "mm"
        for n in names
        if n.startswith(("Click", "Centre LPS", "Centre RAS", "Sigma", "Distance", "FWHM", "Diameter"))
    }
    note = "Voxel indices count from 0 at the middle of the first voxel. Sigma: standard error of the centre."
    return Table("Mid points", _frame(rows), units, note)


def fit_table(measurement: Measurement, unit: str, settings: MeasureSettings) -> Table:
    """One row per sphere: what the fit found beyond the centre."""
    rows = []
    for sphere in measurement.spheres:
        values = details(sphere, measurement, settings)
        values["noise_correlation_ijk"] = ", ".join(f"{v:.2f}" for v in values.get("noise_correlation_ijk", []))
        rows.append({"Label": sphere.label, **{_FIT_NAMES[k]: v for k, v in values.items() if k in _FIT_NAMES}})
    units = dict.fromkeys(("Fit signal", "Fit background", "Fit mean", "Noise SD"), unit) | {
        "Distance moved": "mm",
        "FWHM error": "mm",
    }
    note = "Model: uniform sphere with a wall without activity, blurred by a Gaussian. Fit mean: the model's mean over the sphere."
    return Table("Fit", _frame(rows), units, note)


_FIT_NAMES = {
    "moved_mm": "Distance moved",
    "fit_signal": "Fit signal",
    "fit_background": "Fit background",
    "fit_mean": "Fit mean",
    "fit_recovery_coefficient": "Recovery coefficient of the fit",
    "fwhm_sigma_mm": "FWHM error",
    "significance": "Significance",
    "noise_sd": "Noise SD",
    "noise_correlation_ijk": "Noise correlation of neighbours i, j, k",
    "explained_variance": "Explained share of variance",
}


def raw_tables(measurement: Measurement, unit: str) -> list[Table]:
    """One sheet per sphere with every voxel that counts."""
    columns = ["Slice k", "Row j", "Column i", "Value"]
    return [
        Table(s.label, _frame(_voxels(s), columns), {"Value": unit}, "Voxels at least half inside.")
        for s in measurement.spheres
    ]


def _voxels(sphere: SphereResult) -> list[dict[str, Any]]:
    return [
        {"Slice k": part.k, "Row j": int(j), "Column i": int(i), "Value": float(value)}
        for part in sphere.slices
        for (i, j), value in zip(part.indices_ij, part.values, strict=True)
    ]


def _nema_tables(measurement: Measurement, unit: str) -> list[Table]:
    nema = measurement.nema
    if nema is None or not nema.spheres:
        return []
    rows = [
        {
            "Label": s.label,
            "Diameter": s.diameter_mm,
            "Polarity": s.polarity,
            "Contrast recovery Q": s.contrast_recovery_percent,
            "Background variability N": s.background_variability_percent,
            "Sphere mean 2D": s.sphere_mean,
            "Background mean": s.background_mean,
        }
        for s in nema.spheres
    ]
    units = {
        "Diameter": "mm",
        "Contrast recovery Q": "%",
        "Background variability N": "%",
        "Sphere mean 2D": unit,
        "Background mean": unit,
    }
    note = (
        f"NEMA NU 2: circles in slice {nema.common_slice}, 12 places in slices {', '.join(map(str, nema.slices))}. "
        f"Lung residual {_shown(nema.lung_residual_percent)} %."
    )
    tables = [Table("NEMA", _frame(rows), units, note)]
    if nema.lung:
        lung = [{"Slice": s.k, "Position": s.position_mm, "Residual": s.residual_percent} for s in nema.lung]
        tables.append(
            Table(
                "NEMA lung", _frame(lung), {"Position": "mm", "Residual": "%"}, "30 mm circle in the insert, per slice."
            )
        )
    return tables


def _earl_tables(measurement: Measurement, settings: MeasureSettings) -> list[Table]:
    if measurement.earl is None:
        return []
    rows = [
        {
            "Label": s.label,
            "Diameter": s.diameter_mm,
            "RC mean (A50)": s.rc_mean,
            "RC max": s.rc_max,
            "RC peak": s.rc_peak,
            "Verdict": s.verdict,
        }
        for s in measurement.earl
    ]
    note = f"EARL {settings.earl}: measured / true concentration; true = {settings.contrast:g} x background."
    return [Table("EARL", _frame(rows), {"Diameter": "mm"}, note)]


def suv_table(scaling: SuvScaling) -> Table:
    """Every tag that was looked at for the units, with its value."""
    rows: list[dict[str, Any]] = [
        {"Tag": "", "Name": "Unit of all values", "Value": scaling.unit},
        {"Tag": "", "Name": "Factor from the file's values", "Value": scaling.factor},
    ]
    if scaling.reason:
        rows.append({"Tag": "", "Name": "Why not SUV", "Value": scaling.reason})
    rows += [{"Tag": "", "Name": "Note", "Value": note} for note in scaling.notes]
    rows += [{"Tag": t.tag, "Name": t.name, "Value": t.value} for t in scaling.tags]
    return Table("SUV provenance", _frame(rows))


def settings_table(settings: SphereSettings) -> Table:
    """Every setting of the job."""
    rows = [{"Setting": name, "Value": value} for name, value in _flat(to_json(settings))]
    return Table("Settings", _frame(rows))


def _flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    found = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{before}{name}.")
        else:
            found.append((before + name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    return found


def _triple(name: str, frame: str, point: Any) -> dict[str, float | None]:
    axes = "ijk" if frame == "ijk" else "xyz"
    label = name if frame == "ijk" else f"{name} {frame}"
    return {f"{label} {axis}": None if point is None else float(point[n]) for n, axis in enumerate(axes)}


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def _frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> pd.DataFrame:
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise DependencyError("the Python package pandas", extra="spheres") from error
    return pd.DataFrame(list(rows), columns=list(columns) if columns is not None and not rows else None)
