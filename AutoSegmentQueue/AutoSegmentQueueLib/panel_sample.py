"""A small scan and a job for it, for the module's self-test: nothing is downloaded, and it takes a few seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from DicomWorkbenchLib.errors import ProcessError
from DicomWorkbenchLib.process import child_environment

SECONDS = 120


def write_sample_scan(path: Path) -> None:
    """Write a CT of a box-shaped body with two lungs and a spine."""
    import SimpleITK as sitk

    array = np.full((24, 50, 60), -1000, np.int16)
    array[:, 8:40, 6:54] = 40
    array[2:20, 12:30, 10:26] = -800
    array[4:18, 14:28, 34:48] = -800
    array[:, 32:38, 27:33] = 500
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((3.0, 3.0, 4.0))
    sitk.WriteImage(image, str(path))


def run_sample_job(folder: Path) -> Path:
    """Segment the sample with the engine threshold in a child process, as the queue does; returns the result folder.

    Raises
    ------
    ProcessError : there is no result; the message says what the job said.
    """
    import os

    write_sample_scan(folder / "scan.nrrd")
    work = folder / "work"
    work.mkdir()
    job = {"id": "sample", "inputs": [str(folder / "scan.nrrd")], "name": "sample", "engine": "threshold"}
    job |= {"work": str(work), "result": str(work / "result")}
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "AutoSegmentQueueLib.job", str(folder / "job.json")],
        env={**os.environ, **child_environment()},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if not (work / "result" / "manifest.json").exists():
        raise ProcessError(f"the sample job gave no result: {done.stderr.strip()[-500:]}")
    return work / "result"
