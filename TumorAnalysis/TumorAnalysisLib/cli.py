"""``dicom-workbench tumors``."""

from __future__ import annotations

from pathlib import Path

import click
from DicomWorkbenchLib.cli import job_options, run_job
from DicomWorkbenchLib.cli_parts import cluster_options
from DicomWorkbenchLib.parts import Cluster
from DicomWorkbenchLib.progress import CancelToken, Progress

from TumorAnalysisLib.components import Connectivity
from TumorAnalysisLib.report import TumorReport
from TumorAnalysisLib.settings import Override, TumorSettings


@click.command(name="tumors")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder to make; must not exist.")
@click.option("--organ", default="liver", show_default=True, help="Name of the organ's mask.")
@click.option(
    "--lesion", default="", metavar="PATTERN", help="Regular expression of lesion names [default: ORGANtumor(s)N]."
)
@click.option(
    "--connectivity",
    type=click.Choice(["26", "6"]),
    default="26",
    show_default=True,
    help="Neighbours that join a piece.",
)
@click.option("--patients", default="", metavar="LIST", help="Numbers, ranges and ids, such as 1,3-5.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Threads that read slices.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="[PATIENT/]STRUCTURE=ROLE",
    help="Override a role: organ, lesion, extra-hepatic or other.",
)
@click.option("--seg", is_flag=True, help="Also write a DICOM Segmentation of the lesions.")
@click.option(
    "--sr", is_flag=True, help="Also write a DICOM structured report (TID 1500), with the Segmentation it needs."
)
@click.option("--volumes", is_flag=True, help="Also write each CT as NRRD.")
@click.option("--no-pictures", is_flag=True, help="Leave out 3D pictures and lesion montages.")
@click.option(
    "--list", "list_only", is_flag=True, help="Only list patients and structures: segmentations and report.json."
)
@cluster_options
@job_options
def command(
    dataset: Path,
    output: Path,
    organ: str,
    lesion: str,
    connectivity: str,
    patients: str,
    jobs: int,
    roles: tuple[str, ...],
    seg: bool,
    sr: bool,
    volumes: bool,
    no_pictures: bool,
    list_only: bool,
    cluster: Cluster | None,
    as_json: bool,
    progress_style: str,
) -> None:
    """Measure the liver tumours of every patient in DATASET.

    DATASET is a folder or zip archive: patients in the layout of 3D-IRCADb (zipped or not), LiTS pairs, CT and .seg.nrrd, or DICOM
    with SEG or RTSTRUCT.
    """
    settings = TumorSettings(
        dataset=dataset,
        output=output,
        organ=organ,
        lesion=lesion,
        connectivity=Connectivity(int(connectivity)),
        patients=patients,
        jobs=jobs,
        overrides=tuple(Override.parse(text) for text in roles),
        dicom_seg=seg,
        dicom_sr=sr,
        pictures=not no_pictures,
        volumes=volumes,
        list_only=list_only,
        announce=progress_style == "json",
    )

    def job(progress: Progress, cancel: CancelToken) -> TumorReport:
        from TumorAnalysisLib.job import run

        return run(settings, progress=progress, cancel=cancel, cluster=cluster)

    run_job(job, as_json=as_json, progress_style=progress_style, summary=_summary)


def _summary(report: TumorReport) -> str:
    lines = []
    for entry in report.patients:
        if entry["status"] != "ok":
            lines.append(f"{entry['id']}: {entry['status']}: {entry['reason']}")
            continue
        burden = "no liver mask" if entry["burden"] is None else f"burden {100 * entry['burden']:.2f} %"
        counts = f"{entry['tumor_count']} lesions ({entry['tumor_count_components']} pieces)"
        lines.append(f"{entry['id']}: {counts}, {entry['tumor_volume_ml']:.2f} ml, {burden}")
    lines.append(
        f"{report.measured['patients_read']} of {report.measured['patients']} patients read, "
        f"{report.measured['patients_with_lesions']} with lesions, {report.measured['lesions']} lesions, "
        f"{report.measured['components']} pieces; {report.seconds:.1f} s"
    )
    return "\n".join(lines)
