"""Patients in the layout of 3D-IRCADb: PATIENT_DICOM and MASKS_DICOM/<structure>, as folders or zip archives, also doubled."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from DicomWorkbenchLib.archives import unpack
from DicomWorkbenchLib.errors import FileError, GeometryError, InputError
from DicomWorkbenchLib.headers import NotDicom, read_header
from DicomWorkbenchLib.pixels import PixelReader
from DicomWorkbenchLib.progress import CancelToken, Progress, part_of

from TumorAnalysisLib.audit import MaskSlice, ReferenceSlices, check_gaps, place
from TumorAnalysisLib.grid import BoolArray
from TumorAnalysisLib.masks import EMPTY, Mask, crop
from TumorAnalysisLib.names import natural_key
from TumorAnalysisLib.patient import PatientData, Structure
from TumorAnalysisLib.read_ct import read_ct

CT_NAME, MASKS_NAME = "patient_dicom", "masks_dicom"
_NOT_USED = {"labelled_dicom": "label images without a table of their labels", "meshes_vtk": "surface meshes"}
SliceReader = Callable[[Path], tuple[MaskSlice, Mask | None]]
ReadAll = Callable[[SliceReader, list[Path]], Iterable[tuple[MaskSlice, Mask | None]]]
_CLUTTER = {".ds_store", "thumbs.db", "desktop.ini"}


def part_name(entry: str) -> str:
    """Return "patient_dicom", "masks_dicom" or another part a file or folder name stands for, in lower case without ".zip"."""
    return entry.casefold().removesuffix(".zip")


def is_patient_folder(folder: Path) -> bool:
    """True if the folder holds a CT or masks of a patient in this layout, but is not itself inside such a part."""
    parts = {part_name(name) for name in _entries(folder)}
    return bool(parts & {CT_NAME, MASKS_NAME}) and part_name(folder.name) not in (CT_NAME, MASKS_NAME)


def read_patient(
    folder: Path, patient_id: str, scratch: Path, *, jobs: int, progress: Progress, cancel: CancelToken
) -> PatientData:
    """Read CT and all masks of one patient.

    Parameters
    ----------
    folder : holds PATIENT_DICOM and MASKS_DICOM, each a folder or a zip archive.
    scratch : an empty folder for what has to be unpacked; the caller removes it.

    Raises
    ------
    InputError : CT or masks are missing or broken; the message says which.
    """
    ct_folders = _part(folder, CT_NAME, scratch, cancel)
    mask_folders = _part(folder, MASKS_NAME, scratch, cancel)
    if not ct_folders or not mask_folders:
        missing = "MASKS_DICOM" if ct_folders else "PATIENT_DICOM"
        raise InputError(
            f"there is no {missing} folder or archive; expected PATIENT_DICOM and MASKS_DICOM side by side"
        )
    ct = read_ct(ct_folders, jobs=jobs, progress=part_of(progress, 0, 40), cancel=cancel)
    structures = read_structures(
        mask_folders, ct.reference, jobs=jobs, progress=part_of(progress, 40, 100), cancel=cancel
    )
    unused = [
        f"{name}: not used ({_NOT_USED[part_name(name)]})" for name in _entries(folder) if part_name(name) in _NOT_USED
    ]
    return PatientData(
        patient_id,
        ct.image,
        ct.grid,
        tuple(structures),
        ct.slice_thickness_mm,
        ct.metadata,
        ct.notes,
        tuple(unused),
        ct.files,
    )


def read_structures(
    roots: list[Path], reference: ReferenceSlices, *, jobs: int, progress: Progress, cancel: CancelToken
) -> list[Structure]:
    """Read every folder of mask slices below some folders; what cannot be used comes back with the reason."""
    found: list[Structure] = []
    ids: list[set[str]] = []
    folders = [one for root in roots for one in _structure_folders(root)]
    with ThreadPoolExecutor(jobs) as pool:
        read: ReadAll = pool.map if jobs > 1 else map  # handing single slices to a single thread only costs time
        for number, (name, files) in enumerate(folders):
            cancel.check()
            progress(number, len(folders), "reading masks")
            structure, patient_ids = _read_structure(name, files, reference, read)
            found.append(structure)
            ids.append(patient_ids)
    return _without_strangers(_unique_names(found), ids, reference.patient_id)


def _read_structure(
    name: str, files: list[Path], reference: ReferenceSlices, read_all: ReadAll
) -> tuple[Structure, set[str]]:
    if not files:
        return Structure(name, EMPTY, refused="its folder is empty"), set()
    try:
        read = list(read_all(_read_slice, files))
        slices = [head for head, _ in read]
        placement = place(slices, reference)
        by_k = {int(k): pixels for k, (_, pixels) in zip(placement.slices_k, read, strict=True)}
        filled = sorted(k for k, pixels in by_k.items() if pixels is not None)
        gaps = check_gaps(filled, placement.slices_k, reference.grid.shape_kji[0])
    except (FileError, GeometryError) as error:
        return Structure(name, EMPTY, refused=str(error)), set()
    mask = _stack({k: by_k[k] for k in filled})
    notes = (*placement.notes, *gaps) + (() if filled else ("the mask is empty",))
    return Structure(name, mask, notes=notes), {head.patient_id for head in slices}


def _read_slice(file: Path) -> tuple[MaskSlice, Mask | None]:
    # Only the box of what is inside is kept: a full mask of 260 slices would be 68 MB, and there are dozens.
    # Patients have thousands of these files; the common header reader takes a quarter of pydicom's time.
    try:
        header = read_header(file)
    except NotDicom as error:
        raise FileError(f"{file.name} is not a DICOM file") from error
    with PixelReader(file, origin=file.name, header=header) as reader:
        pixels = reader.frame(0)
    box = crop(pixels[None] if pixels.ndim == 2 else (pixels != 0).any(axis=-1, keepdims=True)[None, :, :, 0])
    return MaskSlice.of(file.name, header), None if box.empty else box


def _stack(slices: dict[int, Mask | None]) -> Mask:
    filled = [Mask((k, *mask.start_kji[1:]), mask.voxels) for k, mask in slices.items() if mask is not None]
    if not filled:
        return EMPTY
    low = np.min([mask.start_kji for mask in filled], axis=0)
    high = np.max([mask.stop_kji for mask in filled], axis=0)
    voxels: BoolArray = np.zeros(tuple(high - low), dtype=np.bool_)
    for mask in filled:
        at = np.array(mask.start_kji) - low
        k, j, i = mask.voxels.shape
        voxels[at[0] : at[0] + k, at[1] : at[1] + j, at[2] : at[2] + i] = mask.voxels
    return Mask((int(low[0]), int(low[1]), int(low[2])), voxels)


def _without_strangers(found: list[Structure], ids: list[set[str]], own: str) -> list[Structure]:
    # Some data sets give masks ids of their own, then all differ from the CT's and say nothing. One that differs while others agree
    # is the mask of another patient.
    agree = [bool(seen) and seen == {own} for seen in ids]
    if not own or not any(agree):
        return found
    said = "its PatientID differs from that of the CT and of the other masks: it is the mask of another patient"
    return [
        one if ok or one.refused or not any(seen) else Structure(one.name, EMPTY, refused=said)
        for one, ok, seen in zip(found, agree, ids, strict=True)
    ]


def _unique_names(found: list[Structure]) -> list[Structure]:
    counts: dict[str, int] = {}
    out = []
    for one in found:
        counts[one.name] = counts.get(one.name, 0) + 1
        again = counts[one.name]
        name = one.name if again == 1 else f"{one.name} ({again})"
        notes = one.notes if again == 1 else (*one.notes, f"a second folder is named {one.name}")
        out.append(Structure(name, one.mask, one.refused, notes, one.one_lesion))
    return out


def _structure_folders(root: Path) -> Iterator[tuple[str, list[Path]]]:
    # A folder with files is a structure; one with nothing at all is a structure whose slices are missing.
    for base, names, files in os.walk(root):
        names.sort(key=natural_key)
        usable = sorted((f for f in files if _is_usable(f)), key=natural_key)
        if (usable or not (names or files)) and Path(base) != root:
            yield Path(base).name.removesuffix(".zip"), [Path(base) / f for f in usable]


def _is_usable(name: str) -> bool:
    return name.casefold() not in _CLUTTER and not name.startswith("._") and not name.casefold().endswith(".zip")


def _part(folder: Path, name: str, scratch: Path, cancel: CancelToken) -> list[Path]:
    """Return the folders that hold one part, with what was packed in archives."""
    roots: list[Path] = []
    for number, found in enumerate(folder / entry for entry in _entries(folder) if part_name(entry) == name):
        into = scratch / f"{name}{number}"
        if not found.is_dir():
            unpack(found, into, cancel=cancel)
            roots.append(into)
            continue
        roots.append(found)
        archives = [path for path in found.rglob("*") if path.suffix.casefold() == ".zip" and path.is_file()]
        for archive in archives:
            unpack(archive, into / archive.relative_to(found).with_suffix(""), cancel=cancel)
        roots += [into] if archives else []
    return roots


def _entries(folder: Path) -> list[str]:
    try:
        return sorted((entry.name for entry in folder.iterdir()), key=natural_key)
    except OSError:
        return []
