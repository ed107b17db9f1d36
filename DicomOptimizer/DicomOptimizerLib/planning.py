"""From a scan to what is done with every series: which slices stay, how pixels change, and why something is left as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from DicomWorkbenchLib.errors import FileError
from DicomWorkbenchLib.headers import read_dataset
from DicomWorkbenchLib.pixels import decode_pixels
from DicomWorkbenchLib.series import ProblemKind, Series
from DicomWorkbenchLib.windowing import Window
from pydicom.dataset import Dataset

from DicomOptimizerLib.derivation import Treatment
from DicomOptimizerLib.greyscale import GreyMap, window_of
from DicomOptimizerLib.linked import LinkedSeries
from DicomOptimizerLib.reading import BROKEN
from DicomOptimizerLib.resampling import FILTER_NAME, Resize, resize_for
from DicomOptimizerLib.settings import Compression, OptimizerSettings
from DicomOptimizerLib.slices import real_values, valid_pixels
from DicomOptimizerLib.stack import SliceStack, kept_indices, regular_spacing_mm

SAMPLED_SLICES = 9  # headers, and for a window from data pixels too, that decide for a whole series
SAMPLED_STEP = 3  # every third pixel of these slices
_HAS_LEVELS = 8  # images with so few bits gain nothing from being reduced again


@dataclass
class SeriesPlan:
    """What is done with one stack of slices.

    Attributes
    ----------
    series : as scanned.
    kept : indices of the planes that stay.
    treatment : None if the pixels are left as they are (colour, multi-frame); ``reasons`` says why.
    """

    series: Series
    kept: list[int]
    treatment: Treatment | None = None
    reasons: list[str] = field(default_factory=list)

    @property
    def removed_uids(self) -> set[str]:
        """SOP instance UIDs of the slices that are not kept."""
        kept = set(self.kept)
        return {p.instance.sop_instance_uid for k, p in enumerate(self.series.planes) if k not in kept}

    def new_classes(self) -> dict[str, str]:
        """SOP instance UID -> new SOP class of the kept slices, where it changes."""
        if self.treatment is None:
            return {}
        instances = [self.series.planes[k].instance for k in self.kept]
        return {
            i.sop_instance_uid: new
            for i in instances
            if (new := self.treatment.sop_class(i.sop_class_uid)) != i.sop_class_uid
        }

    def without(self, bad: set[int]) -> SeriesPlan:
        """Return the plan without some planes that could not be read."""
        return SeriesPlan(self.series, [k for k in self.kept if k not in bad], self.treatment, self.reasons)

    def linked(self) -> LinkedSeries | None:
        """Return the series as linked objects need it; None if it has no positions."""
        planes, normal = self.series.planes, self.series.normal_lps
        positions = self.series.positions_mm
        if normal is None or not len(positions) or not self.kept or self.series.orientation_lps is None:
            return None
        row = np.asarray(self.series.orientation_lps[:3], dtype=float)
        stack = SliceStack(
            positions_mm=tuple(float(p) for p in positions),
            normal_lps=(float(normal[0]), float(normal[1]), float(normal[2])),
            row_lps=(float(row[0]), float(row[1]), float(row[2])),
            pixel_mm=min(self.series.pixel_spacing_mm or (1.0, 1.0)),
            kept=tuple(self.kept),
            sop_uids=tuple(plane.instance.sop_instance_uid for plane in planes),
        )
        resize = self.treatment.resize if self.treatment else None
        old_class = planes[0].instance.sop_class_uid
        new_class = self.treatment.sop_class(old_class) if self.treatment else old_class
        origins = tuple(plane.position_lps for plane in planes if plane.position_lps is not None)
        return LinkedSeries(stack, resize, origins, new_class)


def plan_series(series: Series, settings: OptimizerSettings) -> SeriesPlan:
    """Decide what is done with one stack of slices.

    Raises
    ------
    FileError : none of its headers can be read.
    """
    if any(plane.instance.frames > 1 for plane in series.planes):
        count = len(series.instances)
        return SeriesPlan(
            series, list(range(len(series.planes))), None, [f"multi-frame: {count} files left as they are"]
        )
    plan = SeriesPlan(series, _kept(series, settings))
    if obstacle := _no_decimation(series, settings):
        plan.reasons.append(obstacle)
    sample = _sample(series, plan.kept)
    if reason := _untouchable(sample):
        plan.reasons.append(reason)
        return plan
    plan.treatment = _treatment(plan, sample, settings)
    return plan


def _kept(series: Series, settings: OptimizerSettings) -> list[int]:
    if settings.decimate == 1 or _no_decimation(series, settings):
        return list(range(len(series.planes)))
    return kept_indices(len(series.planes), settings.decimate, settings.keep_last)


def _no_decimation(series: Series, settings: OptimizerSettings) -> str:
    if settings.decimate == 1 or len(series.planes) == 1:
        return ""
    if not len(series.positions_mm):
        return "its images have no positions, so all were kept"
    if any(problem.kind is ProblemKind.DUPLICATE_POSITION for problem in series.problems):
        return "several of its images lie at one position, so all were kept"
    return ""


def _sample(series: Series, kept: Sequence[int]) -> list[Dataset]:
    chosen = sorted({kept[round(n)] for n in np.linspace(0, len(kept) - 1, min(SAMPLED_SLICES, len(kept)))})
    found, problem = [], None
    for k in chosen:
        try:
            found.append(read_dataset(series.planes[k].instance.path))
        except FileError as error:
            problem = error
    if not found and problem is not None:
        raise problem
    return found


def _untouchable(sample: Sequence[Dataset]) -> str:
    first = sample[0]
    kind = str(first.get("PhotometricInterpretation", ""))
    if int(first.get("SamplesPerPixel", 1) or 1) > 1 or kind not in ("MONOCHROME1", "MONOCHROME2"):
        return f"colour images ({kind}): pixels left as they are"
    if (
        "FloatPixelData" in first
        or "DoubleFloatPixelData" in first
        or int(first.get("BitsAllocated", 16)) not in (8, 16)
    ):
        return f"{first.get('BitsAllocated', '?')}-bit pixels of this kind are left as they are"
    return ""


def _treatment(plan: SeriesPlan, sample: Sequence[Dataset], settings: OptimizerSettings) -> Treatment:
    series = plan.series
    resize = resize_for(series.rows, series.columns, settings.resize)
    if settings.resize and resize is None:
        plan.reasons.append(f"not larger than {settings.resize} pixels, so not resized")
    grey = _grey(plan, sample, settings)
    step = settings.decimate if len(plan.kept) < len(series.planes) else 1
    return Treatment(
        description=_description(series, step, resize, grey, settings),
        step=step,
        slices=len(plan.kept),
        spacing_factor=_spacing_factor(series, plan.kept),
        resize=resize,
        grey=grey,
        compression=settings.compress,
        units=_units(sample[0]),
        legal_ct=settings.legal_ct and series.modality == "CT" and _is_ct_image(series),
    )


def _is_ct_image(series: Series) -> bool:
    return series.planes[0].instance.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"


def _units(first: Dataset) -> str:
    """RescaleType of the grey values; what is not Hounsfield units is "unspecified" there (PS3.3 C.11.1.1.2)."""
    return "HU" if first.get("Modality") == "CT" and first.get("RescaleType", "HU") == "HU" else "US"


def _grey(plan: SeriesPlan, sample: Sequence[Dataset], settings: OptimizerSettings) -> GreyMap | None:
    if not settings.eight_bit:
        return None
    first = sample[0]
    if int(first.get("BitsStored", 16)) <= _HAS_LEVELS:
        plan.reasons.append("has 8 bits or fewer already, so grey values were kept")
        return None
    is_localizer = "LOCALIZER" in [str(value) for value in first.get("ImageType", None) or ()]
    window = settings.window if _units(first) == "HU" and not is_localizer else _window_from_data(sample)
    return GreyMap(window, has_padding=any("PixelPaddingValue" in dataset for dataset in sample))


def _window_from_data(sample: Sequence[Dataset]) -> Window:
    values = []
    for dataset in sample:
        try:
            stored = decode_pixels(dataset)[0]
            valid = valid_pixels(dataset, stored)
            real = real_values(dataset, stored)[::SAMPLED_STEP, ::SAMPLED_STEP]
        except (FileError, *BROKEN):
            continue  # a slice that cannot be read is reported when its turn comes
        values.append(real.ravel() if valid is None else real[valid[::SAMPLED_STEP, ::SAMPLED_STEP]])
    return window_of(np.concatenate(values) if values else np.empty(0))


def _spacing_factor(series: Series, kept: Sequence[int]) -> float | None:
    if len(kept) == len(series.planes):
        return 1.0
    positions = series.positions_mm
    before, after = regular_spacing_mm(positions.tolist()), regular_spacing_mm(positions[list(kept)].tolist())
    return after / before if before and after else None


def _description(
    series: Series, step: int, resize: Resize | None, grey: GreyMap | None, settings: OptimizerSettings
) -> str:
    parts = [f"every {_ordinal(step)} slice kept"] if step > 1 else []
    if resize is not None:
        (rows, columns), (new_rows, new_columns) = resize.old, resize.new
        parts.append(f"resampled {columns}x{rows} to {new_columns}x{new_rows}, {FILTER_NAME}")
    if grey is not None:
        window = grey.window
        parts.append(
            f"reduced to {grey.levels + 1} grey values, window {window.level:g}/{window.width:g}, rounded once"
        )
    if settings.compress is not Compression.NONE:
        parts.append(f"{settings.compress.value.upper()} lossless")
    if settings.deidentify:
        parts.append("de-identified")
    return "DicomWorkbench: " + ("; ".join(parts) or "copied")


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
