"""The hidden module offers the sample data in Slicer's Sample Data module, and each of them can be loaded there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.needs("module:slicer"), pytest.mark.needs("module:PySide6")]

OPEN = f"""
from pathlib import Path
from SlicerHost.boot import boot
from SlicerHost.panel import load_module
slicer = boot()
module = load_module(slicer, Path({str(ROOT)!r}, "DicomWorkbench", "DicomWorkbench.py"))
slicer.app.startupCompleted.emit()
import SampleData
from DicomWorkbenchLib.samples import SAMPLES
sources = slicer.modules.sampleDataSources["DicomWorkbench"]
"""


def on_host(code: str, folder: Path) -> None:
    """Run ``code`` in a process of its own that looks like Slicer and ends without taking Qt and VTK apart."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN + code + "\nimport os; os._exit(0)"],
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT / "Testing"),
            "QT_QPA_PLATFORM": "offscreen",
            "TMPDIR": str(folder),
            "TEMP": str(folder),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_module_is_hidden_and_registers_every_sample_with_a_picture(tmp_path: Path) -> None:
    on_host(
        """
assert module.parent.hidden and module.parent.title
assert [source.sampleName for source in sources] == [sample.title for sample in SAMPLES.values()]
for source in sources:
    assert Path(source.thumbnailFileName).is_file(), source.thumbnailFileName
    assert source.uris is None, "nothing may be downloaded"
""",
        tmp_path,
    )


def test_samples_are_made_once_and_load_as_volumes(tmp_path: Path) -> None:
    on_host(
        """
from DicomWorkbench import loadSample
small = {
    "ct-rtstruct": {"slices": 8, "size": 64},
    "pet-phantom": {"size": 64, "pixel_mm": 8.0, "slice_mm": 8.0},
    "liver-cohort": {"patients": (1,), "size": 48, "slices": 16},
    "multiframe": {"frames": 2, "rows": 48, "columns": 64, "ct_frames": 6, "ct_size": 32},
}
assert set(small) == set(SAMPLES), "give the new sample small options here"
for name, options in small.items():
    (node,) = loadSample(name, **options)
    assert node.GetName() == SAMPLES[name].title, name
    assert slicer.util.arrayFromVolume(node).std() > 0, name
folder = Path(slicer.app.temporaryPath, "DicomWorkbenchSamples", "ct-rtstruct")
made = (folder / "truth.json").stat().st_mtime_ns
(source,) = [source for source in sources if source.sampleName == SAMPLES["ct-rtstruct"].title]
SampleData.SampleDataLogic().downloadFromSource(source)  # as a click in Slicer does
assert (folder / "truth.json").stat().st_mtime_ns == made, "made again although it was there"
assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == len(small) + 1
""",
        tmp_path,
    )
