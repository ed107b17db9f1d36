"""Truth: pydicom's own writer, which must give the same bytes."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest
from DicomOptimizerLib.reading import dataset_of, parse, read_file
from DicomOptimizerLib.writing import encode_file, save
from DicomWorkbenchLib.errors import FileError
from pydicom.data import get_testdata_file

FILES = (
    "CT_small.dcm",
    "MR_small.dcm",
    "rtplan.dcm",
    "rtstruct.dcm",
    "JPEG2000.dcm",
    "MR_small_RLE.dcm",
)  # explicit and implicit


def by_pydicom(dataset: pydicom.Dataset) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("built", [False, True])
def test_files_are_written_as_pydicom_writes_them(name: str, built: bool, tmp_path: Path) -> None:
    path = get_testdata_file(name)
    assert path is not None
    dataset, _, _ = read_file(Path(str(path)), name)
    save(dataset, tmp_path / "mine.dcm")  # gives the file meta its final form
    mine = pydicom.dcmread(tmp_path / "mine.dcm")
    if built:
        for _ in mine.iterall():
            pass
    for element in mine.iterall():
        element.is_undefined_length = element.tag == 0x7FE00010 and element.is_undefined_length
        for item in element.value if element.VR == "SQ" else ():
            item.is_undefined_length_sequence_item = False
    is_same = encode_file(mine) == by_pydicom(
        mine
    )  # not asserted directly: the difference of megabytes takes minutes to print
    assert is_same


def test_every_sample_object_is_written_as_pydicom_writes_it(scan_folder: Path) -> None:
    for path in (*scan_folder.glob("R?.dcm"), scan_folder / "SEG", next((scan_folder / "ct").iterdir())):
        dataset, _, _ = read_file(path, path.name)
        dataset.file_meta = pydicom.dcmread(path).file_meta
        is_same = encode_file(dataset) == by_pydicom(pydicom.dcmread(path))
        assert is_same, path


def test_text_in_other_alphabets_survives(scan_folder: Path, tmp_path: Path) -> None:
    dataset, _, _ = read_file(next((scan_folder / "ct").iterdir()), "ct")
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName, dataset.StudyDescription = "Ångström^Åsa=山田", "größe"
    inner = pydicom.Dataset()
    inner.CodeMeaning = "Schädel"
    dataset.ProcedureCodeSequence = [inner]
    save(dataset, tmp_path / "x.dcm")
    again, _, _ = read_file(tmp_path / "x.dcm", "x")
    assert again.ProcedureCodeSequence[0].CodeMeaning == "Schädel"
    assert again == pydicom.dcmread(tmp_path / "x.dcm")
    assert (str(again.PatientName), again.StudyDescription) == ("Ångström^Åsa=山田", "größe")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_files_are_read_as_pydicom_reads_them(scan_folder: Path) -> None:
    files = [Path(str(get_testdata_file(name))) for name in FILES]
    own = 0
    for path in (*files, *scan_folder.glob("R?.dcm"), scan_folder / "SEG", next((scan_folder / "ct").iterdir())):
        theirs, mine = pydicom.dcmread(path, force=True), read_file(path, path.name)[0]
        assert mine == theirs, path
        own += parse(path.read_bytes()) is not None
    assert own >= 5, "the usual kind of file is read here"


def test_what_is_cut_off_or_unusual_is_left_to_pydicom(scan_folder: Path) -> None:
    content = next((scan_folder / "ct").iterdir()).read_bytes()
    assert parse(content) is not None
    for odd in (content[:-10], content[132:], b"", content[:200], content.replace(b"CS", b"??", 1)):
        assert parse(odd) is None


def test_what_pydicom_says_of_a_broken_file_is_only_the_cause(scan_folder: Path) -> None:
    content = next((scan_folder / "ct").iterdir()).read_bytes()
    with pytest.raises(FileError) as caught:
        dataset_of(content.replace(b"CS", b"??", 1), "a.dcm")
    assert str(caught.value) == "a.dcm is a broken DICOM file: its elements cannot be told apart"
    assert str(caught.value.__cause__) not in str(caught.value)
