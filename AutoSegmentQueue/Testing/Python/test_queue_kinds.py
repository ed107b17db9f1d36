"""Other kinds of jobs and chains: the real workflows run from the queue, their results get a manifest and are published."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from AutoSegmentQueueLib.adding import Wanted, add_path
from AutoSegmentQueueLib.chain_job import dataset_for_tumors, dicom_of
from AutoSegmentQueueLib.publish import read_manifest, results_stand
from AutoSegmentQueueLib.retention import Retention
from AutoSegmentQueueLib.states import State
from AutoSegmentQueueLib.worker import Worker
from DicomWorkbenchLib.errors import InputError
from queue_testing import nifti, opened_home


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six axial slices with the header of pydicom's CT_small."""
    import pydicom
    from pydicom.data import get_testdata_file

    name = get_testdata_file("CT_small.dcm", download=False)
    assert isinstance(name, str)
    dataset = pydicom.dcmread(name)
    folder = tmp_path_factory.mktemp("dicom") / "series"
    folder.mkdir()
    for number in range(6):
        uid = f"1.2.826.0.1.3680043.8.498.7.{number + 1}"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
        dataset.ImagePositionPatient = [0, 0, 5 * number]
        dataset.save_as(folder / f"{number}.dcm")
        os.utime(folder / f"{number}.dcm", (1, 1))
    return folder


def work(home, settings, ledger) -> None:
    worker = Worker(home, settings, ledger)
    try:
        worker.run(drain=True)
    finally:
        worker.close()


def test_an_optimizer_job_runs_from_the_queue(series: Path, tmp_path: Path) -> None:
    with opened_home(tmp_path / "home") as (home, settings, ledger):
        wanted = Wanted(settings, kind="optimize", options={"decimate": 2})
        job = add_path(home, ledger, series, wanted)
        work(home, settings, ledger)
        done = ledger.job(job.id)
        assert done.state is State.DONE, (done.error, home.log_of(job.id).read_text())
        assert results_stand(done) and len(list(Path(done.output).rglob("*.dcm"))) == 3
        manifest = read_manifest(Path(done.output))
        assert manifest and manifest["engine"]["name"] == "optimize" and manifest["id"] == job.id


def test_a_workflow_that_refuses_its_input_fails_with_its_own_sentence(tmp_path: Path) -> None:
    scan = tmp_path / "scan.nii"
    scan.write_bytes(nifti())
    os.utime(scan, (1, 1))
    with opened_home(tmp_path / "home") as (home, settings, ledger):
        job = add_path(home, ledger, scan, Wanted(settings, kind="optimize", options={"decimate": 2}))
        work(home, settings, ledger)
        failed = ledger.job(job.id)
        assert failed.state is State.FAILED and failed.attempts == 1 and "DICOM" in (failed.error or "")


def test_a_chain_runs_on_and_its_input_leaves_only_at_its_end(series: Path, tmp_path: Path) -> None:
    with opened_home(tmp_path / "home") as (home, settings, ledger):
        folder = home.input_of(settings) / "study"
        shutil.copytree(series, folder)
        wanted = Wanted(settings, then=("optimize",), then_options={"optimize": {"decimate": 3}})
        first = add_path(home, ledger, folder, wanted)
        retention = Retention(home, settings, ledger)
        worker = Worker(home, settings, ledger)
        while ledger.job(first.id).state is not State.DONE:
            worker.round()
            worker.executor.wait(0.05)
        retention.sweep()
        assert folder.exists(), "the next step still reads it"
        worker.run(drain=True)
        worker.close()
        second = ledger.jobs()[-1]
        assert (second.kind, second.state) == ("optimize", State.DONE), second.error
        assert len(list(Path(second.output or "").rglob("*.dcm"))) == 2
        retention.sweep()
        assert not folder.exists() and len(list((home.archive / first.id).rglob("*.dcm"))) == 6


def segmentation(path: Path, size: int) -> None:
    """A Slicer segmentation: liver with a lesion of 2 x 2 x 2 voxels inside."""
    import numpy as np
    import SimpleITK as sitk

    labels = np.zeros((size, size, size), np.uint8)
    labels[2:-2, 2:-2, 2:-2] = 1
    labels[5:7, 5:7, 5:7] = 2
    image = sitk.GetImageFromArray(labels)
    for number, name in enumerate(("liver", "livertumor")):
        for key, value in (("Name", name), ("ID", name), ("LabelValue", str(number + 1)), ("Layer", "0")):
            image.SetMetaData(f"Segment{number}_{key}", value)
    sitk.WriteImage(image, str(path))


def test_tumours_are_measured_on_the_segmentation_of_the_step_before(tmp_path: Path) -> None:
    scan = tmp_path / "scan.nii"
    scan.write_bytes(nifti(size=12))
    os.utime(scan, (1, 1))
    with opened_home(tmp_path / "home") as (home, settings, ledger):
        options: dict[str, Any] = {"pictures": False}
        first = add_path(home, ledger, scan, Wanted(settings, then=("tumors",), then_options={"tumors": options}))
        worker = Worker(home, settings, ledger)
        worker.round()
        ledger.set_paused(True)  # the next step waits until its segmentation is there
        while ledger.job(first.id).state is not State.DONE:
            worker.round()
            worker.executor.wait(0.02)
        # the light job of the tests makes no segmentation; it is put beside its results
        segmentation(Path(ledger.job(first.id).output or "") / "segmentation.seg.nrrd", 12)
        ledger.set_paused(False)
        worker.run(drain=True)
        worker.close()
        second = ledger.jobs()[-1]
        assert second.state is State.DONE, (second.error, home.log_of(second.id).read_text())
        report = json.loads((Path(second.output or "") / "report.json").read_text())
        assert report["job"] == "tumors"


def test_a_chain_without_what_it_needs_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"left no segmentation\.seg\.nrrd"):
        dataset_for_tumors(tmp_path / "scan.nii", tmp_path, tmp_path / "work")
    (tmp_path / "scan.nii").write_bytes(nifti())
    with pytest.raises(InputError, match="no DICOM"):
        dicom_of(tmp_path / "scan.nii", tmp_path)
