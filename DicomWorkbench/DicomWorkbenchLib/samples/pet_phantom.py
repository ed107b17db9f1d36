"""Sample ``pet-phantom``: a PET scan of the NEMA IEC body phantom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from DicomWorkbenchLib.outputs import StagedFolder
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from DicomWorkbenchLib.samples import noise
from DicomWorkbenchLib.samples.dicom_writer import SeriesOf, Subject
from DicomWorkbenchLib.samples.grid import ImageGrid, rounded
from DicomWorkbenchLib.samples.iec_phantom import (
    LENGTH_MM,
    LUNG_DIAMETER_MM,
    RING_RADIUS_MM,
    Sphere,
    Volume,
    activity,
    ring,
)
from DicomWorkbenchLib.samples.pet_series import FRAME_S, HALF_LIFE_S, Injection, write_pet
from DicomWorkbenchLib.samples.truth import write_truth

LID_TO_SPHERES_MM = 68.0  # from the body's end to the plane of the spheres
MARGIN_MM = 20.0  # scanned beyond the body on each side
OFF_PLANE_MM = (0.6, -0.4, 0.9, -0.8, 0.3, -0.5)  # real phantoms: up to 1.8 mm


def make_pet_phantom(
    folder: Path,
    *,
    size: int = 168,
    pixel_mm: float = 4.07283,
    slice_mm: float = 3.0,
    seed: int = 1,
    contrast: float = 4.0,
    background_bqml: float = 5300.0,
    fwhm_mm: float = 6.0,
    wall_mm: float = 1.0,
    noise_fraction: float = 0.10,
    turn_deg: float = 1.7,
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0),
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
) -> dict[str, Any]:
    """Write the sample and return its truth.

    Parameters
    ----------
    folder : appears when everything is written; must not exist.
    size, pixel_mm, slice_mm : rows and columns, and the voxel; the number of slices follows from the phantom's length.
    contrast : sphere to background concentration; 0 makes cold spheres.
    background_bqml : activity concentration of the background.
    fwhm_mm : point spread; evaluated at voxel centres, so the voxel's size does not add to it.
    wall_mm : sphere walls without activity.
    noise_fraction : standard deviation of a background voxel over its mean; elsewhere it grows with the root of the mean.
    turn_deg : turns the ring of spheres in its plane.
    rotation_deg : turns phantom and slices together about the L, P and S axes: an oblique series.

    Raises
    ------
    OutputError : the folder exists or cannot be written.
    """
    slices = int((LENGTH_MM + 2 * MARGIN_MM) / slice_mm) + 1
    grid = ImageGrid(slices, size, size, (pixel_mm, pixel_mm), slice_mm, (1.3, -2.1, -108.4), rotation_deg)
    spheres = ring(MARGIN_MM + LID_TO_SPHERES_MM, OFF_PLANE_MM, turn_deg, contrast * background_bqml)
    progress(0, slices, "activity")
    clean = activity(
        grid,
        spheres,
        background_bqml=background_bqml,
        wall_mm=wall_mm,
        fwhm_mm=fwhm_mm,
        first_z_mm=MARGIN_MM,
    )
    image = noisy(clean, seed, noise_fraction, background_bqml)
    injection = Injection()
    key = f"pet-phantom {seed} {grid} {contrast} {background_bqml} {fwhm_mm} {wall_mm} {noise_fraction} {turn_deg}"
    subject = Subject(
        key, "IEC^Phantom", "PHANTOM-PET", weight_kg=injection.weight_kg, study_description="PET phantom sample"
    )
    truth = {
        "sample": "pet-phantom",
        "seed": seed,
        "pet": {"folder": "pet", **grid.truth(), "units": "Bq/ml"},
        "psf_fwhm_mm": fwhm_mm,
        "psf_includes_voxel": False,
        "wall_mm": wall_mm,
        "noise_fraction": noise_fraction,
        "background_bqml": background_bqml,
        "contrast": contrast,
        "ring": {"radius_mm": RING_RADIUS_MM, "center_lps_mm": _lps(grid, (0.0, 0.0, MARGIN_MM + LID_TO_SPHERES_MM))},
        "lung_insert": {"diameter_mm": LUNG_DIAMETER_MM, "axis_lps": rounded(grid.axes[:, 2])},
        "spheres": [_sphere_truth(grid, sphere) for sphere in spheres],
        "suv": _suv_truth(injection, background_bqml),
    }
    with StagedFolder(folder) as stage:
        write_pet(stage / "pet", SeriesOf(subject, "PT", 3, "PET AC phantom"), grid, image, injection, progress, cancel)
        write_truth(stage, truth)
    return truth


def noisy(clean: Volume, seed: int, fraction: float, background: float) -> Volume:
    """Return the image with noise whose variance follows the mean, correlated over about a voxel, and never below zero."""
    slices, rows, columns = clean.shape
    random = np.random.default_rng([seed, 5])
    made = noise.tiles(random, max(rows, columns), 0.02, 0.32, count=9)
    sd = fraction * background * np.sqrt(np.maximum(clean, 0) / background)
    grain = np.stack([noise.shifted(random, made, rows, columns) for _ in range(slices + 2)])
    grain = (grain[1:-1] + 0.5 * (grain[:-2] + grain[2:])) / np.sqrt(1.5)  # neighbouring slices share noise too
    result: Volume = np.maximum(clean + sd * grain, 0).astype(np.float32)
    return result


def _lps(grid: ImageGrid, point: tuple[float, float, float]) -> Any:
    return rounded(grid.to_lps(point), 5)


def _sphere_truth(grid: ImageGrid, sphere: Sphere) -> dict[str, Any]:
    return {
        "label": f"S {sphere.diameter_mm:g} mm",
        "diameter_mm": sphere.diameter_mm,
        "center_lps_mm": _lps(grid, sphere.center_mm),
        "activity_bqml": sphere.activity_bqml,
        "polarity": "hot" if sphere.activity_bqml > 0 else "cold",
    }


def _suv_truth(injection: Injection, background_bqml: float) -> dict[str, Any]:
    return {
        "factor_g_per_bq": injection.suv_factor,
        "background_suvbw": round(background_bqml * injection.suv_factor, 6),
        "dose_bq": injection.dose_bq,
        "weight_kg": injection.weight_kg,
        "half_life_s": HALF_LIFE_S,
        "minutes_before_scan": injection.minutes_before_scan,
        "frame_s": FRAME_S,
    }
