"""A step of a chain: brings scan and segmentation into the layout a workflow reads, then runs it.

Run as ``python -m AutoSegmentQueueLib.chain_job VERB SETTINGS.json``; the inputs in the settings are the scan the chain began with and the
results of the step before. Same output and exit codes as `DicomWorkbenchLib.job`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from DicomWorkbenchLib import job
from DicomWorkbenchLib.errors import InputError, WorkbenchError

SEGMENTATION = "segmentation.seg.nrrd"


def prepare(verb: str, settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the settings with inputs the workflow can read; what has to be written for that goes into ``folder``.

    Raises
    ------
    InputError : what the step before left is not what this one needs.
    """
    scan, results = (Path(one) for one in settings.pop("chain"))
    if verb == "tumors":
        return {**settings, "dataset": str(dataset_for_tumors(scan, results, folder))}
    if verb == "optimize":
        return {**settings, "inputs": [str(one) for one in dicom_of(scan, results)]}
    return settings


def dataset_for_tumors(scan: Path, results: Path, folder: Path) -> Path:
    """Make the layout "ct.nrrd beside one .seg.nrrd" for one patient.

    Raises
    ------
    InputError : there is no segmentation in the results.
    """
    segmentation = results / SEGMENTATION
    if not segmentation.is_file():
        raise InputError(f"the step before left no {SEGMENTATION}; the tumours are measured on a segmentation")
    patient = folder / "dataset" / "scan"
    patient.mkdir(parents=True)
    _link(segmentation, patient / SEGMENTATION)
    if scan.is_file() and scan.name.lower().endswith(".nrrd"):
        _link(scan, patient / "ct.nrrd")
    else:
        _write_nrrd(scan, patient / "ct.nrrd")
    return patient.parent


def dicom_of(scan: Path, results: Path) -> list[Path]:
    """Return the DICOM of the chain: the scan, and what the steps made of it.

    Raises
    ------
    InputError : the scan is no DICOM.
    """
    if scan.is_file() and scan.name.lower().endswith((".nrrd", ".nii", ".nii.gz")):
        raise InputError("the chain began with a scan that is no DICOM; only DICOM series can be optimised")
    made = sorted(path for path in results.rglob("*.dcm") if path.is_file())
    return [scan, *made]


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def _write_nrrd(scan: Path, target: Path) -> None:
    import SimpleITK as sitk

    if scan.is_file() and scan.name.lower().endswith((".nii", ".nii.gz")):
        try:
            sitk.WriteImage(sitk.ReadImage(str(scan)), str(target))
        except RuntimeError as error:
            raise InputError(f"the scan of the chain cannot be read: {error}") from error
        return
    from DicomWorkbenchLib.series import scan as scan_dicom
    from DicomWorkbenchLib.volume import read_volume

    with scan_dicom([scan]) as found:
        volumes = found.volumes()
        if not volumes:
            raise InputError("the scan of the chain holds no volume")
        volume = read_volume(volumes[0])
        image = sitk.GetImageFromArray(volume.array)
        matrix, spacing = volume.matrix_lps, [float(one) for one in volume.spacing_mm]
        image.SetOrigin([float(one) for one in matrix[:3, 3]])
        image.SetSpacing(spacing)
        image.SetDirection([float(one) for one in (matrix[:3, :3] / spacing).ravel()])
        sitk.WriteImage(image, str(target))


def main() -> int:
    """Read the two arguments, prepare, and run the workflow."""
    verb, settings_file = sys.argv[1], Path(sys.argv[2])
    try:
        settings = json.loads(settings_file.read_text(encoding="utf-8"))
        prepared = prepare(verb, settings, settings_file.parent)
    except WorkbenchError as error:
        sys.stderr.write(f"error: {error}\n")
        return job.FAILED
    settings_file.write_text(json.dumps(prepared), encoding="utf-8")
    return job.run(verb, settings_file)


if __name__ == "__main__":
    sys.exit(main())
