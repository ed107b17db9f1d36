"""A scripted Slicer: takes the arguments the real one is given, checks them, and runs the job's script on slicer-core.

The extensions are stand-ins with the real ones' signatures (TotalSegmentator of Slicer 5.13 and of 5.8, OpenAnatomyExport). What it is to
do is in the variable ``FAKE_SLICER``; what it was given is written to the file named in ``FAKE_SLICER_SEEN``.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import time
import types
from pathlib import Path

MODE = os.environ.get("FAKE_SLICER", "ok")
FLAGS = {"--no-splash", "--no-main-window", "--ignore-slicerrc"}
NAMES = (
    "TOTALSEG_HOME_DIR",
    "TOTALSEG_WEIGHTS_PATH",
    "CUDA_VISIBLE_DEVICES",
    "PYTHONPATH",
    "PYTHONHOME",
    "DISPLAY",
)


class Logic:
    """What the extension's logic does, without its network: everything above 0 HU is one organ, the rest of the body another."""

    def __init__(self):
        self.logCallback = None
        self.totalSegmentatorWeightsPath = None

    def _segment(self, inputVolume, outputSegmentation, names):
        import slicer

        if MODE == "dialog":
            slicer.util.errorDisplay("Failed to compute results: no GPU driver")
        if MODE == "installs":
            slicer.util.pip_install("TotalSegmentator")
        self.logCallback("Predicting...")
        self.logCallback(" 50%|#####     | 1/2 [00:01<00:01]")
        if MODE == "empty":
            return
        array = slicer.util.arrayFromVolume(inputVolume)
        for name, mask in (("liver", array > 60), ("body", (array > -300) & (array <= 60))):
            if names and name not in names:
                continue
            outputSegmentation.GetSegmentation().AddEmptySegment(name, name.capitalize(), (0.9, 0.1, 0.2))
            slicer.util.updateSegmentBinaryLabelmapFromArray(
                mask.astype("uint8"), outputSegmentation, name, inputVolume
            )
            segment = outputSegmentation.GetSegmentation().GetSegment(name)
            text = "Segmentation category and type - Total Segmentator~SCT^123037004^Anatomical Structure~SCT^10200004^Liver~^^~~^^~^^"
            segment.SetTag(segment.GetTerminologyEntryTagName(), text)


class NewLogic(Logic):
    """As in Slicer 5.13."""

    def process(
        self,
        inputVolume,
        outputSegmentation,
        quality=None,
        cpu=False,
        task=None,
        subset=None,
        interactive=False,
        sequenceBrowserNode=None,
    ):
        assert quality in ("normal", "fast", "faster")
        assert cpu is True
        assert interactive is False
        self._segment(inputVolume, outputSegmentation, subset)


class OldLogic(Logic):
    """As in Slicer 5.8."""

    def process(
        self,
        inputVolume,
        outputSegmentation,
        fast=True,
        cpu=False,
        task=None,
        subset=None,
        interactive=False,
        sequenceBrowserNode=None,
    ):
        assert isinstance(fast, bool)
        self._segment(inputVolume, outputSegmentation, subset)


class OpenAnatomyExportLogic:
    """Writes a model as the extension does: named after the item, nothing returned."""

    def exportModel(self, inputItem, outputFolder=None, reductionFactor=None, outputFormat=None):
        import slicer
        from AutoSegmentQueueLib import export_gltf, mrml
        from AutoSegmentQueueLib.engines.model import Structure
        from DicomWorkbenchLib.progress import NEVER

        assert outputFormat == "glTF"
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        node = hierarchy.GetItemDataNode(inputItem)
        if MODE == "open-anatomy-fails":
            raise TypeError("'NoneType' object is not subscriptable")
        segmentation = node.GetSegmentation()
        ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
        structures = [Structure(name, (1,), (0.5, 0.5, 0.5)) for name in ids]
        meshes = mrml.meshes_of(node, structures, reductionFactor, NEVER)
        document, blob = export_gltf.build(meshes, node.GetName() + "_Models")
        Path(outputFolder, node.GetName() + ".gltf").write_bytes(export_gltf.as_gltf(document, blob))


def extensions() -> None:
    if MODE != "no-extension":
        module = types.ModuleType("TotalSegmentator")
        module.TotalSegmentatorLogic = OldLogic if MODE == "old" else NewLogic
        sys.modules["TotalSegmentator"] = module
    if MODE.startswith("open-anatomy"):
        module = types.ModuleType("OpenAnatomyExport")
        module.OpenAnatomyExportLogic = OpenAnatomyExportLogic
        sys.modules["OpenAnatomyExport"] = module


def main() -> None:
    arguments = sys.argv[1:]
    at = arguments.index("--python-script")
    script, separator, job = arguments[at + 1 : at + 4]
    seen = {"arguments": arguments, "environment": {name: os.environ.get(name) for name in NAMES}}
    seen["temporary"] = os.path.realpath(os.environ["TMPDIR"])
    Path(os.environ["FAKE_SLICER_SEEN"]).write_text(json.dumps(seen), encoding="utf-8")
    assert set(arguments[:at]) >= FLAGS, arguments
    assert separator == "--", arguments
    if MODE == "crash":
        os.abort()
    if MODE == "hang":
        subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"]
        )  # what is left over if only Slicer is ended
        time.sleep(600)
    from DicomWorkbenchLib.headless import boot

    boot()
    extensions()
    sys.argv = [script, "--", job]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
