"""From the numbers in a PET file to SUV, for every vendor and decay correction, or a reason why not.

SUVbw = C [Bq/ml] * W [g] / (D [Bq] * 2^(-dt / T)); dt is the time from injection to the moment the image's values are decay-corrected to.

    DecayCorrection START   that moment is the start of the scan: the series' time, unless the series was made later (post-processed);
                            then GE's own scan time, or else acquisition + mean-count time - FrameReferenceTime
    DecayCorrection ADMIN   it is the injection: dt = 0
    DecayCorrection NONE    it is each frame's own mean-count time, so the factor differs from slice to slice
    Units CNTS (Philips)    private factors: (7053,1000) to SUVbw, else (7053,1009) to Bq/ml
    Units GML, CM2ML        the file holds SUV already; SUVType says of which kind

References: QIBA vendor-neutral pseudo-code (FDG-PET/CT profile); DICOM PS3.3 C.8.9.1.1.3 (units, SUVType), C.8.9.4.1.5 (mean-count time);
James 1976 (lean body mass, factor 128); Janmahasatian 2005; Du Bois 1916 (body surface area); Sugawara 1999 (ideal body weight).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray

from SphereVOILib.settings import Unit
from SphereVOILib.suv_header import FrameTimes, PetHeader, UsedTag

LEAST_DOSE_BQ = 1e5  # no scan is made with less: smaller numbers are MBq
UNIT_NAMES = {Unit.SUVBW: "SUVbw", Unit.SUVLBM: "SUVlbm", Unit.SUVBSA: "SUVbsa"}
NATIVE_NAMES = {"BQML": "Bq/ml", "CNTS": "counts", "GML": "g/ml", "CM2ML": "cm2/ml", "PROPCPS": "proportional counts/s"}
MOST_DAYS = 30  # from injection to scan: longer means that dates were changed


class _Missing(Exception):
    """Why there is no SUV."""


@dataclass(frozen=True)
class SuvScaling:
    """How the file's values become what is shown.

    Attributes
    ----------
    unit : of the values after scaling: "SUVbw", "SUVlbm", "SUVbsa", "Bq/ml", ... or "unknown".
    factors : one factor per slice, shape (k,), or a single one, shape (1,).
    tags : every tag used, with its value.
    reason : why it is not the SUV asked for; empty if it is.
    notes : what was assumed, each a sentence.
    """

    unit: str
    factors: FloatArray = field(default_factory=lambda: np.ones(1))
    tags: tuple[UsedTag, ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = ()

    @property
    def factor(self) -> float:
        """The factor; where it differs between slices, that of the first."""
        return float(self.factors[0])


def suv_scaling(header: PetHeader, wanted: Unit = Unit.SUVBW) -> SuvScaling:
    """Return the factors from the file's values to the unit wanted; never a guess without a note."""
    native = NATIVE_NAMES.get(header.units, header.units.lower()) or "unknown"
    tags, notes = tuple(header.used), list[str]()
    if header.units == "GML":
        native = "g/ml" if _stored_kind(header) is None else UNIT_NAMES.get(_as_unit(header), "SUV " + header.suv_type)
    if header.without_slope:
        reason = (
            f"RescaleSlope (0028,1053) is missing in {header.without_slope} slices: the values are bare stored numbers"
        )
        return SuvScaling("stored values", tags=tags, reason=reason)
    if wanted is Unit.NATIVE:
        return SuvScaling(native, tags=tags, reason="shown as the file has it, as asked for")
    try:
        to_suvbw = _to_suvbw(header, notes)
        factors = to_suvbw * _from_suvbw(header, wanted)
    except _Missing as missing:
        return _in_activity(header, native, tags, str(missing), notes)
    return SuvScaling(UNIT_NAMES[wanted], factors, tags, "", tuple(notes))


def _in_activity(
    header: PetHeader, native: str, tags: tuple[UsedTag, ...], reason: str, notes: list[str]
) -> SuvScaling:
    if header.units == "CNTS" and header.philips_activity:
        return SuvScaling("Bq/ml", np.array([header.philips_activity]), tags, reason, tuple(notes))
    return SuvScaling(native, tags=tags, reason=reason, notes=tuple(notes))


def _to_suvbw(header: PetHeader, notes: list[str]) -> FloatArray:
    if header.is_enhanced:
        raise _Missing("SUV of Enhanced PET objects is not supported; export the series as classic PET images")
    if header.units in ("GML", "CM2ML"):
        return np.array([_stored_suv(header, notes)])
    if header.units not in ("BQML", "CNTS"):
        said = f"Units (0054,1001) is {header.units}" if header.units else "Units (0054,1001) is missing"
        raise _Missing(f"{said}; SUV needs Bq/ml, counts with a private factor, or stored SUV")
    _require_corrections(header)
    if header.units == "CNTS":
        if header.philips_suv:
            return np.array([header.philips_suv])
        if not header.philips_activity:
            raise _Missing(
                "Units is CNTS and Philips' private factors (7053,1000) and (7053,1009) are missing or empty"
            )
        return header.philips_activity * _bqml_to_suvbw(header, notes)
    return _bqml_to_suvbw(header, notes)


def _require_corrections(header: PetHeader) -> None:
    if "ATTN" not in header.corrections:
        raise _Missing("CorrectedImage (0028,0051) does not list ATTN: without attenuation correction there is no SUV")
    if header.decay in ("START", "ADMIN") and "DECY" not in header.corrections:
        raise _Missing(f"DecayCorrection is {header.decay} but CorrectedImage (0028,0051) does not list DECY")
    if header.decay not in ("START", "ADMIN", "NONE"):
        said = header.decay or "missing"
        raise _Missing(f"DecayCorrection (0054,1102) is {said}: it is not known to which moment the values belong")


def _bqml_to_suvbw(header: PetHeader, notes: list[str]) -> FloatArray:
    weight, dose = _need(header.weight_kg, "PatientWeight (0010,1030)"), _dose_bq(header, notes)
    if header.decay == "ADMIN":
        return np.array([weight * 1000 / dose])
    half_life = _need(header.half_life_s, "RadionuclideHalfLife (0018,1075)")
    moments = _reference_moments(header, half_life, notes)
    injection = _injection(header, min(moments), notes)
    elapsed = np.array([(moment - injection).total_seconds() for moment in moments])
    return np.asarray(weight * 1000 / (dose * 2.0 ** (-elapsed / half_life)))


def _dose_bq(header: PetHeader, notes: list[str]) -> float:
    dose = _need(header.dose_bq, "RadionuclideTotalDose (0018,1074)")
    if dose >= LEAST_DOSE_BQ:
        return dose
    notes.append(f"the dose {dose:g} was taken as MBq: as Bq it would be too little for any scan")
    return dose * 1e6


def _reference_moments(header: PetHeader, half_life: float, notes: list[str]) -> list[dt.datetime]:
    """Return the moments the values are decay-corrected to: one, or with NONE one per slice."""
    if header.decay == "NONE":
        notes.append("the image is not decay-corrected: every slice was corrected to its own mean-count time")
        return [_mean_count_moment(frame, half_life) for frame in header.frames]
    acquired = [frame.acquisition for frame in header.frames if frame.acquisition is not None]
    if header.series_start is not None and (not acquired or header.series_start <= min(acquired)):
        return [header.series_start]
    if header.ge_scan_start is not None:
        notes.append(
            "the series is younger than its acquisition: GE's scan time (0009,100d) was taken as the scan's start"
        )
        return [header.ge_scan_start]
    frame = next((f for f in header.frames if f.acquisition and f.duration_s and f.reference_s is not None), None)
    if frame is None:
        raise _Missing(
            "the start of the scan is not known: SeriesTime is missing or later than AcquisitionTime, and GE's scan time or "
            "AcquisitionTime with FrameReferenceTime (0054,1300) and ActualFrameDuration (0018,1242) are missing"
        )
    notes.append(
        "the scan's start is AcquisitionTime + mean-count time - FrameReferenceTime: SeriesTime cannot be used"
    )
    return [_mean_count_moment(frame, half_life) - dt.timedelta(seconds=frame.reference_s or 0.0)]


def _mean_count_moment(frame: FrameTimes, half_life: float) -> dt.datetime:
    if frame.acquisition is None or frame.duration_s is None:
        raise _Missing("AcquisitionTime (0008,0032) or ActualFrameDuration (0018,1242) is missing in a slice")
    rate = math.log(2) / half_life
    decay = rate * frame.duration_s
    mean = math.log(decay / -math.expm1(-decay)) / rate if decay > 1e-9 else frame.duration_s / 2
    return frame.acquisition + dt.timedelta(seconds=mean)


def _injection(header: PetHeader, scan: dt.datetime, notes: list[str]) -> dt.datetime:
    """Return when the dose was measured; the start's date and time (0018,1078) goes before the time alone (0018,1072)."""
    full = header.injection
    if full is not None and dt.timedelta(0) <= scan - full <= dt.timedelta(days=MOST_DAYS):
        return full
    if header.injection_time is None:
        if full is not None:
            raise _Missing(
                "the injection (0018,1078) is later than the scan or weeks before it; dates were probably changed"
            )
        raise _Missing("the injection's time (0018,1078) or (0018,1072) is missing")
    if full is not None:
        notes.append("the injection's date (0018,1078) does not fit the scan's; its time (0018,1072) was taken")
    moment = dt.datetime.combine(scan.date(), header.injection_time)
    if moment > scan:
        notes.append("the injection's time is later than the scan's: it was taken as the evening before")
        moment -= dt.timedelta(days=1)
    return moment


def _stored_kind(header: PetHeader) -> str | None:
    """Name the kind of SUV the file holds; DICOM's default is body weight."""
    if header.units == "CM2ML":
        return "BSA"
    return header.suv_type or "BW" if header.units == "GML" else None


def _as_unit(header: PetHeader) -> Unit:
    kinds = {"BW": Unit.SUVBW, "LBMJAMES128": Unit.SUVLBM, "BSA": Unit.SUVBSA}
    return kinds.get(_stored_kind(header) or "", Unit.NATIVE)


def _stored_suv(header: PetHeader, notes: list[str]) -> float:
    kind = _stored_kind(header) or ""
    if kind == "BW":
        if not header.suv_type:
            notes.append(
                "the file holds SUV in g/ml without SUVType (0054,1006): body weight, DICOM's default, was taken"
            )
        return 1.0
    if kind not in _MEASURES:
        raise _Missing(f"SUVType (0054,1006) {kind} is not known")
    notes.append(f"the file holds SUV by {_MEASURES[kind][1]}; it was turned into SUVbw")
    return _need(header.weight_kg, "PatientWeight (0010,1030)") * 1000 / _MEASURES[kind][0](header)


def _from_suvbw(header: PetHeader, wanted: Unit) -> float:
    if wanted is Unit.SUVBW:
        return 1.0
    kind = {Unit.SUVLBM: "LBMJAMES128", Unit.SUVBSA: "BSA"}[wanted]
    return _MEASURES[kind][0](header) / (_need(header.weight_kg, "PatientWeight (0010,1030)") * 1000)


def _need(value: float | None, name: str) -> float:
    if value is None:
        raise _Missing(f"{name} is missing or zero")
    return value


def _body(header: PetHeader) -> tuple[float, float, bool]:
    weight, height = (
        _need(header.weight_kg, "PatientWeight (0010,1030)"),
        _need(header.height_m, "PatientSize (0010,1020)"),
    )
    return weight, height * 100, _is_male(header)


def _is_male(header: PetHeader) -> bool:
    if header.sex not in ("M", "F"):
        raise _Missing("PatientSex (0010,0040) is neither M nor F; lean and ideal body mass need it")
    return header.sex == "M"


def _lean_james(header: PetHeader) -> float:
    weight, height, male = _body(header)
    lean = 1.10 * weight - 128 * (weight / height) ** 2 if male else 1.07 * weight - 148 * (weight / height) ** 2
    if lean <= 0:
        raise _Missing(f"James' formula gives no lean mass for {weight:g} kg and {height:g} cm")
    return lean * 1000


def _lean_janmahasatian(header: PetHeader) -> float:
    weight, height, male = _body(header)
    index = weight / (height / 100) ** 2
    return 1000 * 9270 * weight / (6680 + 216 * index if male else 8780 + 244 * index)


def _ideal(header: PetHeader) -> float:
    _, height, male = _body(header)
    return 1000 * (48.0 + 1.06 * (height - 152) if male else 45.5 + 0.91 * (height - 152))


def _surface_cm2(header: PetHeader) -> float:
    weight = _need(header.weight_kg, "PatientWeight (0010,1030)")
    height = _need(header.height_m, "PatientSize (0010,1020)") * 100
    return float(71.84 * weight**0.425 * height**0.725)


_MEASURES: dict[str, tuple[Callable[[PetHeader], float], str]] = {
    "BSA": (_surface_cm2, "body surface area"),
    "LBM": (_lean_james, "lean body mass (James)"),
    "LBMJAMES128": (_lean_james, "lean body mass (James, 128)"),
    "LBMJANMA": (_lean_janmahasatian, "lean body mass (Janmahasatian)"),
    "IBW": (_ideal, "ideal body weight"),
}
