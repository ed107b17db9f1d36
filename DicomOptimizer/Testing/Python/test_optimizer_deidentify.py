"""Truth: PS3.15 Table E.1-1, a data set with something identifying in every kind of place."""

from __future__ import annotations

from pathlib import Path

import pytest
from DicomOptimizerLib import confidentiality
from DicomOptimizerLib.deidentify import Deidentifier, burned_in, shifted
from DicomOptimizerLib.settings import Dates
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

SECRET = "Doe"


def telling() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = f"{SECRET}^Jane", "4711-Doe", "19610203"
    dataset.PatientSex, dataset.PatientAge, dataset.PatientWeight = "F", "061Y", "70"
    dataset.StudyDate, dataset.StudyTime, dataset.SeriesDate = "20240229", "101112", "20240229"
    dataset.AcquisitionDateTime = "20240229101112.5"
    dataset.InstitutionName, dataset.InstitutionAddress = f"{SECRET} Hospital", f"{SECRET} Street"
    dataset.StudyDescription, dataset.AccessionNumber, dataset.StudyID = f"CT of {SECRET}", f"{SECRET}1", f"{SECRET}2"
    dataset.ReferringPhysicianName, dataset.OperatorsName = f"Dr {SECRET}", f"Op {SECRET}"
    dataset.add_new(0x00091001, "LO", f"private {SECRET}")
    dataset.add_new(0x60003000, "OW", b"\0\0")
    inner = Dataset()
    inner.PatientName, inner.ResponsiblePerson, inner.StudyDate = f"{SECRET}^Jane", SECRET, "20240229"
    inner.add_new(0x00091002, "LO", SECRET)
    dataset.ReferencedSeriesSequence = Sequence([inner])
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = 4
    return dataset


def test_nothing_identifying_is_left_at_any_depth() -> None:
    dataset = telling()
    Deidentifier("salt").apply(dataset)
    text = str(dataset)
    assert SECRET not in text
    assert "4711" not in text
    assert "2024" not in text
    assert "1961" not in text
    assert not any(element.tag.is_private for element in dataset.iterall())


def test_the_profile_is_declared_with_its_codes() -> None:
    dataset = telling()
    Deidentifier("salt").apply(dataset)
    assert dataset.PatientIdentityRemoved == "YES"
    assert [c.CodeValue for c in dataset.DeidentificationMethodCodeSequence] == ["113100"]
    assert dataset.LongitudinalTemporalInformationModified == "REMOVED"

    dataset = telling()
    Deidentifier("salt", Dates.SHIFT, keep_characteristics=True).apply(dataset)
    assert [c.CodeValue for c in dataset.DeidentificationMethodCodeSequence] == ["113100", "113107", "113108"]
    assert dataset.LongitudinalTemporalInformationModified == "MODIFIED"
    assert (dataset.PatientSex, dataset.PatientAge) == ("F", "061Y")


def test_dates_of_one_patient_shift_by_the_same_days_and_times_stay() -> None:
    one, other = telling(), telling()
    other.StudyDate = "20240310"
    for dataset in (one, other):
        Deidentifier("salt", Dates.SHIFT).apply(dataset)
    import datetime

    dates = [datetime.datetime.strptime(d.StudyDate, "%Y%m%d") for d in (one, other)]
    assert (dates[1] - dates[0]).days == 10
    assert one.StudyTime == "101112"
    assert one.StudyDate == one.SeriesDate != "20240229"
    assert one.AcquisitionDateTime[8:] == "101112.5"
    assert one.PatientBirthDate == ""


def test_a_patient_keeps_one_pseudonym_and_two_patients_get_two() -> None:
    names = []
    for patient in ("A", "A", "B"):
        dataset = telling()
        dataset.PatientID = patient
        Deidentifier("salt").apply(dataset)
        names.append(str(dataset.PatientID))
    assert names[0] == names[1] != names[2]


def test_roi_names_and_labels_of_structure_sets_go() -> None:
    dataset = telling()
    roi = Dataset()
    roi.ROINumber, roi.ROIName = 3, f"GTV {SECRET}"
    dataset.StructureSetROISequence = Sequence([roi])
    dataset.StructureSetLabel = SECRET
    Deidentifier("salt").apply(dataset)
    assert dataset.StructureSetROISequence[0].ROIName == "ROI 3"
    assert SECRET not in str(dataset)


@pytest.mark.parametrize(
    ("flag", "kind", "warned"), [("YES", "2", True), ("NO", "7", False), ("", "7", True), ("", "2", False)]
)
def test_burned_in_text_is_warned_of(flag: str, kind: str, warned: bool) -> None:
    dataset = telling()
    dataset.BurnedInAnnotation, dataset.SOPClassUID = flag, f"1.2.840.10008.5.1.4.1.1.{kind}"
    assert bool(burned_in(dataset)) is warned


def test_dates_that_cannot_be_read_become_the_dummy_date() -> None:
    assert shifted("garbage", 10) == "19000101"
    assert shifted("20240301", 1) == "20240229"


def test_every_word_of_the_table_is_an_attribute_and_stands_in_one_list() -> None:
    lists = [confidentiality.REMOVE, confidentiality.EMPTY, confidentiality.DUMMY]
    words = [word for one in lists for word in one]
    assert [word for word in words if tag_for_keyword(word) is None] == []
    assert len(words) == len(set(words))


def test_a_deidentified_output_names_nobody_in_files_folders_or_report(scan_folder: Path, optimize, images) -> None:  # type: ignore[no-untyped-def]
    target, report = optimize(scan_folder, deidentify=True)
    written = (target / "report.json").read_text()
    assert str(scan_folder) not in written
    assert str(target.parent) not in written
    assert "PHANTOM-CT" not in written
    for path in target.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"Trunk^Phantom" not in content
            assert b"PHANTOM-CT" not in content
    assert sorted(p.name for p in target.iterdir()) == ["Study_1", "report.json"]
    assert any("pixels were not searched" in warning for warning in report.warnings)
    assert "SourceImageSequence" not in images(target)[0]
