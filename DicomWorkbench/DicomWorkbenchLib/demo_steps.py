"""What the demo runs: the commands in order, what each makes, and which figures and pictures of it are shown."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Facts = list[tuple[str, str]]  # value with its unit, what it is


@dataclass(frozen=True)
class Step:
    """One command of the demo.

    Attributes
    ----------
    chapter : "data", a workflow or "journey"; steps of one chapter stand together on the page.
    title, text : heading on the page, and what the reader sees there.
    arguments : the command without ``dicom-workbench``; paths are relative to the demo folder.
    output : what it makes, relative to the demo folder.
    pictures : patterns of pictures to show, relative to the output.
    facts : takes the report and returns figures for the page.
    how : "" runs the command to its end; "serve" keeps it as a server and fetches from it.
    reports : whether the command writes progress and a report as JSON lines.
    """

    chapter: str
    title: str
    text: str
    arguments: tuple[str, ...]
    output: str
    pictures: tuple[str, ...] = ()
    facts: Callable[[Mapping[str, Any]], Facts] = field(default=lambda report: [])
    how: str = ""
    reports: bool = True

    @property
    def verb(self) -> str:
        """The workflow's command."""
        return self.arguments[0]


@dataclass(frozen=True)
class Outcome:
    """A step that has run: its report and its seconds."""

    step: Step
    report: Mapping[str, Any]
    seconds: float


def shown_command(step: Step) -> str:
    """Return the command as a reader would type it."""
    real = os.environ.get("WORKBENCH_DATA")
    parts = [part.replace(real, "$WORKBENCH_DATA") if real else part for part in step.arguments]
    return "dicom-workbench " + " ".join(part if part.startswith("$") else shlex.quote(part) for part in parts)


def steps(real: Path | None) -> Iterator[Step]:
    """Yield the steps in order; ``real`` is the folder of real scans, if there is one."""
    yield from _sample_data()
    yield from _workflows()
    if real is not None:
        yield from _real_scans(real)
    yield from _journey()


def _sample_data() -> Iterator[Step]:
    for name, text in {
        "ct-rtstruct": "CT of a thorax and abdomen with RTSTRUCT, SEG, RTDOSE and RTPLAN",
        "pet-phantom": "PET of an IEC body phantom with six spheres",
        "liver-cohort": "Twenty zipped patients with liver lesions",
        "multiframe": "Compressed multi-frame objects, whole and broken",
    }.items():
        yield Step("data", name, text, ("sample-data", name, f"data/{name}"), f"data/{name}")


def _workflows() -> Iterator[Step]:
    yield Step(
        "optimizer",
        "DicomOptimizer: small for the web",
        "Every second slice, 8 bit, 256 x 256, lossless HTJ2K. RTSTRUCT, SEG and RTDOSE follow, every moved contour is in the report.",
        ("optimize", "data/ct-rtstruct", "-o", "optimizer", *_SMALL),
        "optimizer",
        facts=_optimizer_facts,
    )
    yield Step(
        "spheres",
        "SphereVOI: the spheres of a PET phantom",
        "Found without clicks, fitted to a fraction of a voxel, judged by NEMA NU 2 and EARL.",
        ("spheres", "data/pet-phantom", "-o", "spheres", "--auto", "--nema", "--earl", "v2"),
        "spheres",
        ("output_images/*montage*.png", "*.png"),
        _sphere_facts,
    )
    yield Step(
        "tumors",
        "TumorAnalysis: a cohort of twenty",
        "Every lesion measured, one patient in memory at a time; a workbook and a page for the cohort.",
        ("tumors", "data/liver-cohort", "-o", "tumors"),
        "tumors",
        ("patients/patient1/*.png", "patients/patient10/*.png"),
        _tumor_facts,
    )
    yield Step(
        "stream",
        "MultiframeStreamer: single frames of a cine",
        "The file is indexed, not loaded; these frames were read alone.",
        ("stream", "frames", "data/multiframe/us-empty-bot.dcm", "1,20,40,60", "-o", "frames", "--png"),
        "frames",
        ("*.png",),
    )


def _real_scans(real: Path) -> Iterator[Step]:
    yield Step(
        "spheres",
        "SphereVOI: a real scan of the phantom",
        "Six spheres of a scanned NEMA IEC body phantom (MIT licence, gschramm/pynemaiqpet).",
        ("spheres", str(real / "nema_pet" / "recon_1"), "-o", "spheres-real", "--auto", "--nema"),
        "spheres-real",
        ("output_images/*montage*.png", "*.png"),
        _sphere_facts,
    )


def _journey() -> Iterator[Step]:
    scan = "data/ct-rtstruct/ct"
    yield Step(
        "journey",
        "1. A scan is queued",
        "The queue takes a DICOM folder; dropped into its input folder it would be taken up by itself.",
        ("queue", "add", scan, "--home", "journey/queue"),
        "journey/queue",
        reports=False,
    )
    yield Step(
        "journey",
        "2. It is segmented",
        "The embedded engine finds body, lungs and bone by thresholds; TotalSegmentator takes its place once it is set up. "
        "A 3D model, DICOM SEG and RTSTRUCT, statistics and a preview page come out.",
        ("queue", "work", "--home", "journey/queue", "--output", "journey/models"),
        "journey/models",
        reports=False,
    )
    yield Step(
        "journey",
        "3. Its lesion is measured",
        "Thresholds find no tumour: the liver and its lesion come from the segmentation that is part of the study.",
        ("tumors", "data/ct-rtstruct", "-o", "journey/lesions", "--organ", "Liver", "--lesion", "Lesion"),
        "journey/lesions",
        ("patients/*/*.png",),
        _tumor_facts,
    )
    yield Step(
        "journey",
        "4. It is made small for the web",
        "Scan and linked objects together.",
        ("optimize", "data/ct-rtstruct", "-o", "journey/web", *_SMALL),
        "journey/web",
        facts=_optimizer_facts,
    )
    yield Step(
        "journey",
        "5. It is served and shown",
        "A DICOMweb server on this machine; the picture is what a viewer gets: one frame, rendered by the server.",
        ("stream", "serve", "journey/web", "--port", "0"),
        "journey/served",
        ("rendered.png",),
        _served_facts,
        how="serve",
    )


_SMALL = ("--decimate", "2", "--eight-bit", "--resize", "256", "--compress", "htj2k", "--uid-salt", "demo")


def _optimizer_facts(report: Mapping[str, Any]) -> Facts:
    m = report.get("measured", {})
    if not m:
        return []
    return [
        (f"{m['bytes_before'] / 1e6:.1f} MB", "before"),
        (f"{m['bytes_after'] / 1e6:.1f} MB", "after"),
        (f"{m['slices_before']} → {m['slices_after']}", "slices"),
        (f"{m['farthest_move_mm']:.1f} mm", "farthest move of a contour"),
    ]


def _sphere_facts(report: Mapping[str, Any]) -> Facts:
    spheres = report.get("spheres", [])
    found = sum(bool(sphere.get("found")) for sphere in spheres)
    return [(f"{found} of {len(spheres)}", "spheres found")] if spheres else []


def _tumor_facts(report: Mapping[str, Any]) -> Facts:
    patients = report.get("patients", [])
    lesions = sum(patient.get("tumor_count") or 0 for patient in patients)
    facts = [_counted(len(patients), "patient"), _counted(lesions, "lesion")]
    if len(patients) == 1 and patients[0].get("burden") is not None:
        facts.append((f"{100 * patients[0]['burden']:.2f} %", "of the liver is tumour"))
    return facts


def _counted(number: int, what: str) -> tuple[str, str]:
    return str(number), what if number == 1 else f"{what}s"


def _served_facts(report: Mapping[str, Any]) -> Facts:
    return [
        (str(report["studies"]), "study found by QIDO-RS"),
        (str(report["instances"]), "instances in the series"),
        (f"{report['bytes'] / 1e3:.0f} kB", "rendered frame, PNG"),
    ]
