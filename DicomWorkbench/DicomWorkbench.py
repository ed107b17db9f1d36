"""The hidden module: it hosts the shared package DicomWorkbenchLib and offers its sample data.

Slicer puts this folder on the import path, and so every other module of the extension can import the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleTest

CATEGORY = "DicomWorkbench"


class DicomWorkbench(ScriptedLoadableModule):
    """What Slicer asks about the module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("DICOM Workbench")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Utilities")]
        parent.contributors = ["DicomWorkbench contributors"]
        parent.helpText = _("Shared parts of the DicomWorkbench modules.")
        parent.hidden = True
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData() -> None:
    """Offer the samples in the Sample Data module; they are made on this computer, nothing is downloaded."""
    import SampleData
    from DicomWorkbenchLib.samples import SAMPLES

    logic = SampleData.SampleDataLogic
    if hasattr(logic, "registerCustomSampleDataCategory"):  # new in Slicer 5.12
        logic.registerCustomSampleDataCategory(CATEGORY, title=_("DICOM Workbench"))
    icons = Path(__file__).parent / "Resources" / "Icons"
    for sample in SAMPLES.values():
        logic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=sample.title,
            thumbnailFileName=str(icons / sample.thumbnail),
            customDownloader=lambda _source, name=sample.name: loadSample(name),
        )


def loadSample(name: str, **options: Any) -> list[Any]:
    """Make a sample where Slicer keeps temporary files, unless it is there, and load its first volume.

    ``options`` are those of the sample's function, such as a smaller size.
    """
    from DicomWorkbenchLib.mrml import load_first_volume
    from DicomWorkbenchLib.samples import SAMPLES

    folder = Path(slicer.app.temporaryPath, "DicomWorkbenchSamples", name)
    if not folder.exists():  # it appears complete or not at all
        folder.parent.mkdir(parents=True, exist_ok=True)
        SAMPLES[name].make(folder, **options)
    return [load_first_volume(folder, SAMPLES[name].title)]


class DicomWorkbenchTest(ScriptedLoadableModuleTest):
    """Self-test: a sample made here is a volume in the scene."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def test_sampleOfAPhantomIsLoaded(self) -> None:
        (node,) = loadSample("pet-phantom")
        self.assertEqual(node.GetAttribute("DicomWorkbench.units"), "Bq/ml")
        self.assertGreater(slicer.util.arrayFromVolume(node).max(), 0)
