"""The table of samples, and the job that makes one of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from DicomWorkbenchLib.report import Report, relative_files
from DicomWorkbenchLib.settings import to_json
from DicomWorkbenchLib.workflows import load


@dataclass(frozen=True)
class Sample:
    """One row of the table.

    Attributes
    ----------
    name : what the command calls it.
    title, description : for people.
    thumbnail : file name under the hidden module's ``Resources/Icons``.
    function : ``module:attribute`` of ``make_...(folder, *, seed, progress, cancel, ...) -> truth``; imported when it is called.
    """

    name: str
    title: str
    description: str
    thumbnail: str
    function: str

    def make(self, folder: Path, **options: Any) -> dict[str, Any]:
        """Make the sample and return its truth; options are those of its function."""
        made: dict[str, Any] = load(self.function, "samples")(folder, **options)
        return made


SAMPLES: dict[str, Sample] = {
    sample.name: sample
    for sample in (
        Sample(
            "ct-rtstruct",
            "CT with RTSTRUCT, RTDOSE and SEG",
            "CT of an invented trunk (80 slices 512 x 512) with structures that are hard to keep true: tapered, with holes, on a single"
            " slice, points and open contours; RT Plan, RT Dose and a Segmentation.",
            "SampleCtRtstruct.png",
            "DicomWorkbenchLib.samples.ct_rtstruct:make_ct_rtstruct",
        ),
        Sample(
            "pet-phantom",
            "PET of the NEMA IEC body phantom",
            "PET of the IEC body phantom: six hot spheres 10 to 37 mm, lung insert, point spread of 6 mm, noise, all SUV attributes.",
            "SamplePetPhantom.png",
            "DicomWorkbenchLib.samples.pet_phantom:make_pet_phantom",
        ),
        Sample(
            "liver-cohort",
            "Liver cohort of 20 patients",
            "20 small CT scans with masks, zipped as public liver data sets are, 15 with liver tumours: several bodies in one mask,"
            " masses outside the liver, masks without positions or in reverse order, and other traps.",
            "SampleLiverCohort.png",
            "DicomWorkbenchLib.samples.liver_cohort:make_liver_cohort",
        ),
        Sample(
            "multiframe",
            "Multi-frame cine and enhanced CT",
            "Ultrasound-like colour cine (60 frames 640 x 480) as JPEG with every kind of offset table, two of them lying, and as RLE;"
            " an enhanced CT of 40 frames, plain and as HTJ2K.",
            "SampleMultiframe.png",
            "DicomWorkbenchLib.samples.multiframe:make_multiframe",
        ),
    )
}


@dataclass(frozen=True)
class SampleSettings:
    """Which sample, where to, and the seed of everything random in it."""

    name: str
    folder: Path
    seed: int = 1

    def __post_init__(self) -> None:
        if self.name not in SAMPLES:
            raise SettingsError(f"there is no sample {self.name!r}; there are {', '.join(SAMPLES)}")
        if self.seed < 0:
            raise SettingsError(f"the seed must not be negative, got {self.seed}")


@dataclass
class SampleReport(Report):
    """What was made; ``truth`` is what truth.json holds. No report.json is written: its times would differ from run to run."""

    truth: dict[str, Any] = field(default_factory=dict)


def run(
    settings: SampleSettings,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
    **options: Any,
) -> SampleReport:
    """Make a sample.

    Parameters
    ----------
    settings : which one and where to.
    options : further arguments of the sample's function, such as a smaller size for tests.

    Raises
    ------
    OutputError : the folder exists or cannot be written.
    Cancelled : the user asked; nothing was left.
    """
    start = time.perf_counter()
    truth = SAMPLES[settings.name].make(
        settings.folder, seed=settings.seed, progress=progress, cancel=cancel, **options
    )
    files = relative_files(settings.folder)
    size = sum((settings.folder / name).stat().st_size for name in files)
    return SampleReport(
        job="sample-data",
        settings=to_json(settings),
        outputs=files,
        measured={"files": len(files), "bytes": size},
        seconds=time.perf_counter() - start,
        truth=truth,
    )


def make(
    name: str,
    folder: Path | str,
    *,
    seed: int = 1,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
    **options: Any,
) -> SampleReport:
    """Make the sample ``name`` in ``folder`` (see `run`); ``make("ct-rtstruct", "ct", slices=20, size=64)``."""
    return run(SampleSettings(name, Path(folder), seed), progress, cancel, **options)
