"""``dicom-workbench demo``: every workflow on sample data, and a gallery of what came of it.

Each step is the command a user would type, run as a child; the page shows the command, its figures, its pictures and links to every file.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from DicomWorkbenchLib.cli import job_options, run_job
from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.pages import Page
from DicomWorkbenchLib.process import raise_if_failed, run_command, workbench_command
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress, part_of
from DicomWorkbenchLib.report import Report
from DicomWorkbenchLib.workflows import WORKFLOWS

_MARK = ".dicom-workbench-demo"  # says that a folder is ours and may be made anew
_PICTURES = 4
Facts = list[tuple[str, str]]


@dataclass(frozen=True)
class Step:
    """One command of the demo.

    Attributes
    ----------
    title : heading on the page.
    text : what the reader sees there.
    arguments : the command without ``dicom-workbench``; paths are relative to the demo folder.
    output : what it makes, relative to the demo folder.
    pictures : patterns of pictures to show, relative to the output.
    facts : takes the report and returns figures for the page.
    real : needs the real scans of ``WORKBENCH_DATA``.
    """

    title: str
    text: str
    arguments: tuple[str, ...]
    output: str
    pictures: tuple[str, ...] = ()
    facts: Callable[[dict[str, Any]], Facts] = field(default=lambda report: [])
    real: bool = False


def steps(data: Path | None) -> Iterator[Step]:
    """Yield the steps in order; ``data`` is the folder of real scans, if there is one."""
    for name in ("ct-rtstruct", "pet-phantom", "liver-cohort", "multiframe"):
        yield Step(f"Sample data: {name}", "", ("sample-data", name, f"data/{name}"), f"data/{name}")
    yield Step(
        "DicomOptimizer: small for the web",
        "Every second slice, 8 bit, 256 x 256, lossless compression; RTSTRUCT, SEG and RTDOSE follow.",
        (
            "optimize",
            "data/ct-rtstruct",
            "-o",
            "optimizer",
            "--decimate",
            "2",
            "--eight-bit",
            "--resize",
            "256",
            "--compress",
            "htj2k",
        ),
        "optimizer",
        facts=_optimizer_facts,
    )
    yield Step(
        "SphereVOI: the spheres of a PET phantom",
        "Found without clicks, fitted to a fraction of a voxel, judged by NEMA NU 2 and EARL.",
        ("spheres", "data/pet-phantom", "-o", "spheres", "--auto", "--nema", "--earl", "v2"),
        "spheres",
        ("output_images/*montage*.png", "*.png"),
        _sphere_facts,
    )
    if data is not None:
        yield Step(
            "SphereVOI: a real scan of the phantom",
            "Six spheres of a scanned NEMA IEC body phantom (MIT licence, gschramm/pynemaiqpet).",
            ("spheres", str(data / "nema_pet" / "recon_1"), "-o", "spheres-real", "--auto", "--nema"),
            "spheres-real",
            ("output_images/*montage*.png", "*.png"),
            _sphere_facts,
            real=True,
        )
    yield Step(
        "TumorAnalysis: a cohort of 20",
        "Twenty zipped patients: every lesion measured, one patient in memory at a time.",
        ("tumors", "data/liver-cohort", "-o", "tumors"),
        "tumors",
        ("patients/patient1/*.png", "patients/patient10/*.png"),
        _tumor_facts,
    )
    yield Step(
        "MultiframeStreamer: single frames of a cine",
        "The file is indexed, not loaded; these frames were read alone.",
        ("stream", "frames", "data/multiframe/us-empty-bot.dcm", "1,20,40,60", "-o", "frames", "--png"),
        "frames",
        ("*.png",),
    )


def run(folder: Path, progress: Progress = no_progress, cancel: CancelToken = NEVER) -> Report:
    """Run every step into ``folder`` and write ``index.html`` there; an earlier demo in it is replaced.

    Raises
    ------
    OutputError : the folder exists and is not one of ours.
    ProcessError : a step failed; what it made before stays to be looked at.
    """
    _prepare(folder)
    real = os.environ.get("WORKBENCH_DATA")
    chosen = [s for s in steps(Path(real) if real else None) if s.arguments[0] in WORKFLOWS]
    page = Page(
        "DicomWorkbench: the demo", "What the workflows make of the sample data. Synthetic phantoms, no patients."
    )
    for number, step in enumerate(chosen):
        share = part_of(progress, number * 100 // len(chosen), (number + 1) * 100 // len(chosen))
        report = _one(step, folder, share, cancel)
        _show(page, step, folder, report)
    page.write(folder / "index.html")
    return Report("demo", {"folder": str(folder)}, outputs=["index.html"])


def _prepare(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise OutputError(f"{folder} exists and holds something else; choose another folder for the demo")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / _MARK).touch()


def _one(step: Step, folder: Path, progress: Progress, cancel: CancelToken) -> dict[str, Any]:
    progress(0, 1, step.title)
    command = workbench_command(*step.arguments, "--progress", "json")
    result = run_command(
        command, progress=lambda done, total, _: progress(done, total, step.title), cancel=cancel, folder=folder
    )
    raise_if_failed(result, f"dicom-workbench {shlex.join(step.arguments)}")
    return result.report or {}


def _show(page: Page, step: Step, folder: Path, report: dict[str, Any]) -> None:
    page.section(step.title, step.text)
    shown = [
        argument if not step.real else argument.replace(os.environ["WORKBENCH_DATA"], "$WORKBENCH_DATA")
        for argument in step.arguments
    ]
    page.paragraph("$ dicom-workbench " + " ".join(shown), "command")
    facts = step.facts(report)
    if facts:
        page.facts(facts)
    if step.arguments[0] == "optimize":
        page.image(
            _before_and_after(folder / "data/ct-rtstruct", folder / step.output),
            "Before, 512 x 512, 16 bit; after, 256 x 256, 8 bit.",
        )
    pictures = list(_pictures(folder / step.output, step.pictures))[:_PICTURES]
    if pictures:
        page.images((picture.read_bytes(), picture.stem.replace("_", " ")) for picture in pictures)
    page.links(
        (path.relative_to(folder).as_posix(), path.relative_to(folder).as_posix())
        for path in _files(folder / step.output)
    )


def _pictures(output: Path, patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(output.glob(pattern))


def _files(output: Path) -> list[Path]:
    """Return what a reader would open first: reports, tables and truth, not the thousands of slices."""
    found = [p for p in output.rglob("*") if p.suffix in (".html", ".xlsx", ".csv", ".json") and p.is_file()]
    return sorted(found, key=lambda p: (len(p.parts), p.name))[:12]


def _before_and_after(before: Path, after: Path) -> bytes:
    from DicomWorkbenchLib.figures import new_figure, png_bytes
    from DicomWorkbenchLib.series import scan
    from DicomWorkbenchLib.volume import read_volume
    from DicomWorkbenchLib.windowing import PRESETS, apply_window

    figure, axes = new_figure(18, 8, 1, 2)
    for axis, source in zip(axes, (before, after), strict=True):
        with scan(source) as found:
            slices = read_volume(found.require_images().volumes()[0]).array
        axis.imshow(apply_window(slices[len(slices) // 2], PRESETS["abdomen"]), cmap="gray", vmin=0, vmax=255)
        axis.set_axis_off()
    return png_bytes(figure)


def _optimizer_facts(report: dict[str, Any]) -> Facts:
    measured = report.get("measured", {})
    names = {"bytes_before": "before", "bytes_after": "after"}
    return [(f"{measured[key] / 1e6:.1f} MB", label) for key, label in names.items() if key in measured]


def _sphere_facts(report: dict[str, Any]) -> Facts:
    spheres = report.get("spheres", [])
    found = sum(bool(sphere.get("found")) for sphere in spheres)
    return [(f"{found} of {len(spheres)}", "spheres found")] if spheres else []


def _tumor_facts(report: dict[str, Any]) -> Facts:
    patients = report.get("patients", [])
    lesions = sum(patient.get("tumor_count") or 0 for patient in patients)
    return [(str(len(patients)), "patients"), (str(lesions), "lesions")]


@click.command(name="demo")
@click.argument("folder", type=click.Path(path_type=Path), default="demo-output")
@job_options
def command(folder: Path, as_json: bool, progress_style: str) -> None:
    """Run the workflows on sample data into FOLDER and write a gallery, index.html, there."""
    run_job(
        lambda progress, cancel: run(folder.absolute(), progress, cancel),
        as_json=as_json,
        progress_style=progress_style,
        summary=lambda report: f"open {folder / 'index.html'}",
    )
