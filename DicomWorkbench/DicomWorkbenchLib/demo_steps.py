"""What the demo runs: the commands in order, what each makes, and which figures and pictures of it are shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from DicomWorkbenchLib.demo_facts import optimizer_facts, served_facts, sphere_facts, sphere_table, tumor_facts
from DicomWorkbenchLib.demo_real import real_scans
from DicomWorkbenchLib.demo_step import Step

DROPPED = "data/ct-rtstruct/ct"  # what the journey begins with
QUEUE, INBOX = "journey/queue", "journey/inbox"
_SMALL = ("--decimate", "2", "--eight-bit", "--resize", "256", "--compress", "htj2k", "--uid-salt", "demo")


def steps(real: Path | None) -> Iterator[Step]:
    """Yield the steps in order; ``real`` is the folder of real scans, if there is one."""
    yield from _sample_data()
    yield from _workflows()
    if real is not None:
        yield from real_scans(real)
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
        facts=optimizer_facts,
    )
    yield Step(
        "spheres",
        "SphereVOI: the spheres of a PET phantom",
        "Found without clicks, fitted to a fraction of a voxel, judged by NEMA NU 2 and EARL.",
        ("spheres", "data/pet-phantom", "-o", "spheres", "--auto", "--nema", "--earl", "v2"),
        "spheres",
        {"output_images/slice_0029.png": "One slice with the spheres that were found."},
        sphere_facts,
        table=sphere_table,
    )
    yield Step(
        "tumors",
        "TumorAnalysis: a cohort of twenty",
        "Every lesion measured, one patient in memory at a time; a workbook and a page for the cohort.",
        ("tumors", "data/liver-cohort", "-o", "tumors"),
        "tumors",
        {
            "patients/patient1/*3d.png": "Liver and lesions of patient 1.",
            "patients/patient1/*lesions.png": "Its lesions, each on its largest slice.",
            "patients/patient10/*3d.png": "Liver and lesions of patient 10.",
            "patients/patient10/*lesions.png": "Its lesions, each on its largest slice.",
        },
        tumor_facts,
    )
    yield Step(
        "stream",
        "MultiframeStreamer: single frames of a cine",
        "The file is indexed, not loaded; these frames were read alone.",
        ("stream", "frames", "data/multiframe/us-empty-bot.dcm", "1,20,40,60", "-o", "frames", "--png"),
        "frames",
        {"*.png": ""},
    )


def _journey() -> Iterator[Step]:
    yield Step(
        "journey",
        "1. A scan is dropped into the queue",
        f"The queue watches the folder {INBOX}. {DROPPED} was copied into it while it ran; one second without a change later it was taken "
        "up and segmented, the results were checked, and only then the scan went from the input folder into the archive. "
        "The embedded engine finds body, lungs and bone by thresholds; TotalSegmentator takes its place once it is set up. "
        "A 3D model, DICOM SEG and RTSTRUCT, statistics and a preview page came out.",
        ("queue", "serve", "--home", QUEUE, "--input", INBOX, "--output", "journey/models", "--stable-seconds", "1"),
        "journey/models",
        how="drop",
    )
    yield Step(
        "journey",
        "2. Its lesion is measured",
        "These masks are not the queue's: thresholds find neither liver nor tumour. The liver comes from the RTSTRUCT and the lesion "
        "from the SEG of the sample study, as if a radiologist had drawn them.",
        ("tumors", "data/ct-rtstruct", "-o", "journey/lesions", "--organ", "Liver", "--lesion", "^Lesion$"),
        "journey/lesions",
        {
            "patients/*/*3d.png": "Liver and lesion.",
            "patients/*/*lesions.png": "The lesion on its largest slice, with its diameters.",
        },
        tumor_facts,
    )
    yield Step(
        "journey",
        "3. It is made small for the web",
        "Scan and linked objects together.",
        ("optimize", "data/ct-rtstruct", "-o", "journey/web", *_SMALL),
        "journey/web",
        facts=optimizer_facts,
    )
    yield Step(
        "journey",
        "4. It is served and shown",
        "A DICOMweb server on this machine; the picture is what a viewer gets: one frame, rendered by the server.",
        ("stream", "serve", "journey/web", "--port", "0"),
        "journey/served",
        {"rendered.png": "The middle slice, as a viewer gets it."},
        served_facts,
        how="serve",
    )
