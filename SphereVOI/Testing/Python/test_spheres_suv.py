"""SUV for every vendor and decay case, against hand-made factors and the digital reference objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from SphereVOILib.settings import Unit
from SphereVOILib.suv import suv_scaling
from SphereVOILib.suv_header import pet_header

HALF_LIFE = 6586.2
DOSE, WEIGHT = 368.08e6, 70.0
LEFT = 2.0 ** (-3600 / HALF_LIFE)  # of the dose, an hour after injection
FACTOR = WEIGHT * 1000 / (DOSE * LEFT)


def slice_header(**changes: Any) -> Dataset:
    """Make the header of a PET slice: injected at 10:00, scan at 11:00; ``changes`` replace or, as None, remove fields."""
    isotope = Dataset()
    isotope.RadiopharmaceuticalStartDateTime = "20250101100000.000000"
    isotope.RadiopharmaceuticalStartTime = "100000.000000"
    isotope.RadionuclideTotalDose = str(DOSE)
    isotope.RadionuclideHalfLife = str(HALF_LIFE)
    fields: dict[str, Any] = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.128",
        "Modality": "PT",
        "RescaleSlope": "1",
        "Units": "BQML",
        "CorrectedImage": ["NORM", "DTIM", "ATTN", "SCAT", "DECY", "RAN"],
        "DecayCorrection": "START",
        "SeriesDate": "20250101",
        "SeriesTime": "110000.000000",
        "AcquisitionDate": "20250101",
        "AcquisitionTime": "110000.000000",
        "FrameReferenceTime": "150000.0",
        "ActualFrameDuration": "300000",
        "PatientWeight": "70.0",
        "PatientSize": "1.75",
        "PatientSex": "M",
    }
    dataset = Dataset()
    inner = {key: changes.pop(key) for key in list(changes) if key.startswith("Radio")}
    for key, value in inner.items():
        setattr(isotope, key, value) if value is not None else delattr(isotope, key)
    for key, value in {**fields, **changes}.items():
        if value is not None:
            setattr(dataset, key, value)
    dataset.RadiopharmaceuticalInformationSequence = [isotope]
    return dataset


def factor(*datasets: Dataset, unit: Unit = Unit.SUVBW) -> float:
    scaling = suv_scaling(pet_header(list(datasets)), unit)
    assert not scaling.reason, scaling.reason
    return scaling.factor


def reason(**changes: Any) -> str:
    scaling = suv_scaling(pet_header([slice_header(**changes)]))
    assert scaling.unit != "SUVbw"
    return scaling.reason


def test_the_plain_case_is_weight_over_the_dose_left() -> None:
    assert factor(slice_header()) == pytest.approx(FACTOR, rel=1e-9)


def test_with_admin_the_dose_does_not_decay() -> None:
    assert factor(slice_header(DecayCorrection="ADMIN")) == pytest.approx(WEIGHT * 1000 / DOSE, rel=1e-9)


def test_without_decay_correction_every_slice_has_its_own_factor() -> None:
    slices = [slice_header(DecayCorrection="NONE", AcquisitionTime=t) for t in ("110000", "111000")]
    scaling = suv_scaling(pet_header(slices))
    rate = np.log(2) / HALF_LIFE
    mean = np.log(rate * 300 / (1 - np.exp(-rate * 300))) / rate
    expected = [WEIGHT * 1000 / (DOSE * 2 ** (-(3600 + start + mean) / HALF_LIFE)) for start in (0, 600)]
    assert scaling.factors == pytest.approx(expected, rel=1e-9)
    assert any("not decay-corrected" in note for note in scaling.notes)


def test_a_series_younger_than_its_acquisition_uses_ges_scan_time() -> None:
    dataset = slice_header(SeriesTime="130000")
    block = dataset.private_block(0x0009, "GEMS_PETD_01", create=True)
    block.add_new(0x0D, "DT", "20250101110000.00")
    assert factor(dataset) == pytest.approx(FACTOR, rel=1e-9)


def test_a_series_younger_than_its_acquisition_uses_the_frame_reference_time_elsewhere() -> None:
    # Acquisition 11:02:30, mean-count time about 300 s into a frame of 600 s, reference 450 s: the scan began at 11:00:00.
    dataset = slice_header(
        SeriesTime="130000", AcquisitionTime="110230", FrameReferenceTime="450000", ActualFrameDuration="600000"
    )
    assert factor(dataset) == pytest.approx(FACTOR, rel=5e-4)


def test_philips_counts_become_suv_by_the_private_factor() -> None:
    dataset = slice_header(Units="CNTS")
    dataset.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x00, "DS", "0.00042")
    assert factor(dataset) == pytest.approx(0.00042)


def test_philips_counts_become_bqml_by_the_other_private_factor_and_then_suv() -> None:
    dataset = slice_header(Units="CNTS")
    dataset.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x09, "DS", "1.7")
    assert factor(dataset) == pytest.approx(1.7 * FACTOR)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (None, 1.0),
        ("BW", 1.0),
        ("LBMJAMES128", 70 / (1.10 * 70 - 128 * (70 / 175) ** 2)),
        ("LBMJANMA", (6680 + 216 * 70 / 1.75**2) / 9270),
        ("IBW", 70 / (48.0 + 1.06 * (175 - 152))),
    ],
)
def test_suv_that_the_file_holds_already_is_turned_into_suvbw(kind: str | None, expected: float) -> None:
    assert factor(slice_header(Units="GML", SUVType=kind)) == pytest.approx(expected)


def test_suv_by_body_surface_is_turned_into_suvbw() -> None:
    surface = 71.84 * 70**0.425 * 175**0.725
    assert factor(slice_header(Units="CM2ML")) == pytest.approx(70_000 / surface)
    assert factor(slice_header(), unit=Unit.SUVBSA) == pytest.approx(FACTOR * surface / 70_000)


def test_suvlbm_takes_the_lean_mass() -> None:
    lean = 1.07 * 70 - 148 * (70 / 175) ** 2
    assert factor(slice_header(PatientSex="F"), unit=Unit.SUVLBM) == pytest.approx(FACTOR * lean / 70)


def test_a_dose_in_mbq_is_understood_and_said() -> None:
    scaling = suv_scaling(pet_header([slice_header(RadionuclideTotalDose="368.08")]))
    assert scaling.factor == pytest.approx(FACTOR, rel=1e-9)
    assert any("MBq" in note for note in scaling.notes)


def test_the_date_and_time_goes_before_the_time_alone() -> None:
    assert factor(slice_header(RadiopharmaceuticalStartTime=None)) == pytest.approx(FACTOR)
    assert factor(slice_header(RadiopharmaceuticalStartTime="090000")) == pytest.approx(FACTOR)
    assert factor(slice_header(RadiopharmaceuticalStartDateTime=None)) == pytest.approx(FACTOR)


def test_an_injection_before_midnight_is_the_evening_before() -> None:
    dataset = slice_header(
        RadiopharmaceuticalStartDateTime=None,
        RadiopharmaceuticalStartTime="233000",
        SeriesTime="003000",
        AcquisitionTime="003000",
    )
    assert factor(dataset) == pytest.approx(FACTOR)


def test_an_injection_days_before_decays_for_days() -> None:
    dataset = slice_header(RadiopharmaceuticalStartDateTime="20241228110000", RadionuclideHalfLife="282240")
    assert factor(dataset) == pytest.approx(WEIGHT * 1000 / (DOSE * 2 ** (-4 * 86400 / 282240)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"PatientWeight": None}, "PatientWeight (0010,1030) is missing"),
        ({"Units": None}, "Units (0054,1001) is missing"),
        ({"Units": "CNTS"}, "(7053,1000)"),
        ({"CorrectedImage": ["DECY"]}, "ATTN"),
        ({"CorrectedImage": ["ATTN"]}, "DECY"),
        ({"DecayCorrection": None}, "DecayCorrection (0054,1102) is missing"),
        ({"RadionuclideTotalDose": "0"}, "RadionuclideTotalDose (0018,1074)"),
        ({"RadionuclideHalfLife": None}, "RadionuclideHalfLife (0018,1075)"),
        ({"RadiopharmaceuticalStartDateTime": None, "RadiopharmaceuticalStartTime": None}, "injection's time"),
        ({"SeriesTime": None, "FrameReferenceTime": None}, "start of the scan is not known"),
        ({"RescaleSlope": None}, "RescaleSlope (0028,1053) is missing"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.130"}, "Enhanced PET"),
        ({"Units": "GML", "SUVType": "XYZ"}, "SUVType (0054,1006) XYZ"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_guessed(changes: dict[str, Any], said: str) -> None:
    assert said in reason(**changes)


def test_every_tag_used_is_listed_with_its_value() -> None:
    tags = {t.tag: t.value for t in suv_scaling(pet_header([slice_header()])).tags}
    assert tags["(0054,1001)"] == "BQML"
    assert tags["(0010,1030)"] == "70.0"
    assert tags["(0018,1074)"].startswith("368080000")
    assert tags["(0054,1006)"] == ""


@pytest.mark.needs("data")
@pytest.mark.parametrize("name", ["DRO_0_0", "DRO_1_0", "DRO_2_1", "DRO_3_0", "DRO_4_0"])
def test_the_reference_objects_show_4_and_1(workbench_data: Path, name: str) -> None:
    from SphereVOILib.scans import Sources, load

    with Sources([workbench_data / "suv" / name / "PT"]) as sources:
        loaded = load(sources.sources[0], Unit.SUVBW)
    assert loaded.scaling.unit == "SUVbw"
    values = np.asarray(loaded.grid.array)
    assert values.max() == pytest.approx(4.00, rel=0.005)
    body = values[(values > 0.5) & (values < 2)]
    assert body.mean() == pytest.approx(1.00, rel=0.005)
