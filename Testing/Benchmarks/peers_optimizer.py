"""ROIs of an optimized case as other people's readers see them, against the untouched case on the same slices.

The readers live in an environment of their own (``peers.py``), because they pin old packages and
bring another OpenCV. This file is also the script that runs inside it: ``python peers_optimizer.py READER CASE OUT.npz``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = ("pydicom<3", "numpy<2", "rt-utils", "dcmrtstruct2nii", "platipy", "SimpleITK")
READERS = ("rt-utils", "dcmrtstruct2nii", "platipy")
ROIS = ("BODY", "Liver", "Kidney cortex L nested", "Spleen")


def masks(python: Path, reader: str, case: Path) -> dict[str, np.ndarray]:
    """Return the masks (k, j, i) of the ROIs by position from below, as one reader fills them."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "masks.npz")
        subprocess.run([str(python), __file__, reader, str(case), str(target)], check=True, capture_output=True)
        return dict(np.load(target))


def compare(python: Path, reader: str, before: Path, after: Path, step: int) -> dict[str, tuple[float, float]]:
    """Return per ROI (volume ratio, Dice) of the optimized case against the untouched one on the kept slices."""
    old, new = masks(python, reader, before), masks(python, reader, after)
    found = {}
    for name in old:
        kept = old[name][::step]
        mine = new.get(name)
        if mine is None or not kept.any():
            continue
        both = np.logical_and(kept, mine).sum()
        found[name] = (float(mine.sum() / kept.sum()), float(2 * both / (kept.sum() + mine.sum())))
    return found


def rows(python: Path, folder: Path) -> list[dict[str, Any]]:
    """Measure ROI fidelity of ``optimize --decimate 2`` on the phantom, and of stacking as the counter-example."""
    before, after, stacked = folder / "base", folder / "decimated", folder / "stacked"
    command = [sys.executable, "-m", "DicomWorkbenchLib", "optimize", str(before), "-o", str(after), "--decimate", "2"]
    subprocess.run(command, check=True, capture_output=True)
    _stack(before, after, stacked)
    found = []
    for reader in READERS:
        ours, theirs = compare(python, reader, before, after, 2), compare(python, reader, before, stacked, 2)
        worst = min(ours, key=lambda name: ours[name][1])
        found.append(
            {
                "name": f"ROI fidelity in {reader}: Dice on kept slices, ours / contours stacked",
                "ours": ours[worst][1],
                "peer": theirs.get(worst, (0.0, 0.0))[1],
                "ratio": ours[worst][1] / max(theirs.get(worst, (0.0, 1e-9))[1], 1e-9),
                "note": f"{len(ours)} ROIs; worst {worst}: volume {100 * ours[worst][0]:.1f} %; stacked volume "
                f"{100 * theirs.get(worst, (0.0, 0.0))[0]:.1f} %",
            }
        )
    return found


def _stack(before: Path, after: Path, target: Path) -> None:
    """Do what naive tools do: put every removed slice's contours onto the kept slice below."""
    import shutil

    import pydicom

    shutil.copytree(after, target)
    old, new = pydicom.dcmread(before / "RS.dcm"), pydicom.dcmread(target / "RS.dcm")
    places = sorted({float(d.ImagePositionPatient[2]) for d in map(_header, (target / "ct").iterdir())})
    for mine, theirs in zip(new.ROIContourSequence, old.ROIContourSequence, strict=True):
        by_place = {round(float(c.ContourData[2]), 2): c for c in mine.ContourSequence}
        for contour in theirs.ContourSequence:
            z = float(contour.ContourData[2])
            if contour.ContourGeometricType != "CLOSED_PLANAR" or min(abs(z - p) for p in places) < 0.01:
                continue
            below = max((p for p in places if p < z), default=places[0])
            points = np.asarray(contour.ContourData, float).reshape(-1, 3)
            points[:, 2] = below
            contour.ContourData = [f"{v:.3f}" for v in points.ravel()]
            host = by_place.get(round(below, 2))
            if host is not None:
                contour.ContourImageSequence = host.ContourImageSequence
                mine.ContourSequence.append(contour)
    new.save_as(target / "RS.dcm")


def _header(path: Path) -> Any:
    import pydicom

    return pydicom.dcmread(path, specific_tags=["ImagePositionPatient"])


# ---- inside the readers' environment -------------------------------------------------------------------------------------


def _rt_utils(case: Path) -> dict[str, np.ndarray]:
    from rt_utils import RTStructBuilder

    structures = RTStructBuilder.create_from(dicom_series_path=str(case / "ct"), rt_struct_path=str(case / "RS.dcm"))
    names = [name for name in structures.get_roi_names() if name in ROIS]
    return {name: np.moveaxis(structures.get_roi_mask_by_name(name), 2, 0) for name in names}


def _dcmrtstruct2nii(case: Path) -> dict[str, np.ndarray]:
    import SimpleITK
    from dcmrtstruct2nii import dcmrtstruct2nii

    with tempfile.TemporaryDirectory() as folder:
        dcmrtstruct2nii(
            str(case / "RS.dcm"), str(case / "ct"), folder, structures=list(ROIS), convert_original_dicom=False
        )
        files = {p.name.removeprefix("mask_").split(".nii")[0]: p for p in Path(folder).glob("mask_*.nii*")}
        found = {}
        for name in ROIS:
            path = files.get(name) or files.get(name.replace(" ", "-")) or files.get(name.replace(" ", "_"))
            if path is not None:
                found[name] = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))) > 0
        return found


def _platipy(case: Path) -> dict[str, np.ndarray]:
    import SimpleITK
    from platipy.dicom.io.rtstruct_to_nifti import (
        read_dicom_image,
        read_dicom_struct_file,
        transform_point_set_from_dicom_struct,
    )

    image = read_dicom_image(str(case / "ct"))
    structures = read_dicom_struct_file(str(case / "RS.dcm"))
    made, names = transform_point_set_from_dicom_struct(image, structures)
    return {
        name: SimpleITK.GetArrayFromImage(m) > 0
        for m, name in zip(made, names, strict=True)
        if name.replace("_", " ") in ROIS or name in ROIS
    }


if __name__ == "__main__":
    reader = {"rt-utils": _rt_utils, "dcmrtstruct2nii": _dcmrtstruct2nii, "platipy": _platipy}[sys.argv[1]]
    np.savez_compressed(sys.argv[3], **{k.replace("_", " "): v for k, v in reader(Path(sys.argv[2])).items()})
