"""A sender's compressed slices: they stay as they were sent, and the queue reads them."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from AutoSegmentQueueLib.job_input import load
from DicomWorkbenchLib.pixels_encode import HTJ2K_LOSSLESS, JPEG_2000_LOSSLESS, JPEG_LOSSLESS, JPEG_LS, encode_frame
from DicomWorkbenchLib.progress import NEVER, no_progress
from pacs_testing import dataset_bytes, small_slices
from pacs_testing.node import Receiving, receiving
from pacs_testing.series import files_by_uid
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

pytestmark = pytest.mark.needs("storescu", "module:pynetdicom", "module:imagecodecs")

OURS = "WORKBENCH"
SLICES = 12
RLE = str(RLELossless)
STORESCU = {JPEG_LOSSLESS: "-xs", JPEG_LS: "-xt", JPEG_2000_LOSSLESS: "-xv", RLE: "-xr"}


def compressed(folder: Path, syntax: str) -> tuple[list[Path], np.ndarray]:
    """Write a series in a transfer syntax; returns its files in order, and its values."""
    paths = small_slices(folder, SLICES, size=64, key=syntax)
    values = []
    for path in paths:
        dataset = pydicom.dcmread(path)
        values.append(dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept))
        if syntax == RLE:
            dataset.compress(RLE, generate_instance_uid=False)
        else:
            dataset.PixelData = encapsulate([encode_frame(dataset.pixel_array, syntax)])
            dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
        dataset.save_as(path)
    return paths, np.array(values)


def send(ours: Receiving, paths: list[Path], syntax: str) -> None:
    """Send by DCMTK where it knows the syntax, by pynetdicom otherwise."""
    if syntax in STORESCU:
        command = ["storescu", STORESCU[syntax], "-aec", OURS, "127.0.0.1", str(ours.port), *map(str, paths)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        return
    from pynetdicom import AE

    first = pydicom.dcmread(paths[0], stop_before_pixels=True)
    entity = AE()
    entity.add_requested_context(first.SOPClassUID, syntax)
    link = entity.associate("127.0.0.1", ours.port, ae_title=OURS)
    assert link.is_established
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert [link.send_c_store(path).Status for path in paths] == [0] * len(paths)
    link.release()


@pytest.mark.parametrize("syntax", [JPEG_LOSSLESS, JPEG_LS, JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS, RLE])
def test_compressed_slices_stay_as_they_were_sent_and_are_queued_and_read(tmp_path: Path, syntax: str) -> None:
    paths, values = compressed(tmp_path / "ct", syntax)
    sent = files_by_uid(paths)
    with receiving(tmp_path / "home") as ours:
        send(ours, paths, syntax)
        arrived = files_by_uid(ours.files())
        assert set(arrived) == set(sent)
        for uid, path in arrived.items():
            assert pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID == syntax
            assert dataset_bytes(path) == dataset_bytes(sent[uid])
        (job,) = ours.after(31)
    volume = load([Path(job.inputs[0])], no_progress, NEVER).volume
    assert np.array_equal(volume.array, values)
