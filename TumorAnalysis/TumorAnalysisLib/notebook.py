"""Looking at a patient in a Jupyter notebook: slice, window and opacity by sliders.

>>> from TumorAnalysisLib import notebook
>>> notebook.use_dataset("3Dircadb1.zip")
>>> notebook.dicom_interact("3Dircadb1.1", mask_organ="livertumor01")
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from DicomWorkbenchLib.errors import DependencyError, InputError
from DicomWorkbenchLib.windowing import PRESETS, Window, apply_window

from TumorAnalysisLib.dataset import Dataset
from TumorAnalysisLib.names import plain
from TumorAnalysisLib.patient import PatientData, Structure
from TumorAnalysisLib.settings import wanted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_dataset = Path()
_shown: dict[tuple[Path, str], PatientData] = {}  # the patient last shown, so that another mask of it appears at once


def use_dataset(path: Path | str) -> None:
    """Name the data set that `dicom_interact` takes patients from; without it, the working directory."""
    global _dataset
    _dataset = Path(path)


def dicom_interact(patient_id: str | int, mask_organ: str = "", dataset: Path | str | None = None) -> Any:
    """Show the slices of a patient with sliders for slice, window and mask opacity.

    Parameters
    ----------
    patient_id : id of a patient, or the number in it.
    mask_organ : structure to lay over the CT, such as "liver"; "" shows the CT alone.
    dataset : folder or archive; None takes what `use_dataset` named.

    Returns
    -------
    The ipywidgets widget; a notebook shows it.

    Raises
    ------
    DependencyError : ipywidgets is not installed.
    InputError : there is no such patient or structure.
    """
    widgets = _ipywidgets()
    data = _patient(Path(dataset) if dataset is not None else _dataset, str(patient_id))
    mask = _structure(data, mask_organ) if mask_organ else None
    first = _best_slice(data, mask)
    preset = PRESETS["liver"]
    return widgets.interactive(
        lambda slice_number, level, width, opacity: slice_figure(
            data, slice_number - 1, Window(level, width), mask, opacity
        ),
        slice_number=widgets.IntSlider(first + 1, 1, data.grid.shape_kji[0], description="slice"),
        level=widgets.IntSlider(int(preset.level), -1000, 1000, description="level HU"),
        width=widgets.IntSlider(int(preset.width), 1, 3000, description="width HU"),
        opacity=widgets.FloatSlider(0.4, min=0.0, max=1.0, step=0.05, description="mask"),
    )


def slice_figure(
    data: PatientData, k: int, window: Window, structure: Structure | None = None, opacity: float = 0.4
) -> Figure:
    """Draw one slice with a mask over it.

    Parameters
    ----------
    k : slice, from 0.
    """
    from DicomWorkbenchLib.figures import new_figure

    figure, axis = new_figure(13, 13)
    step_i, step_j, _ = data.grid.spacing_ijk_mm
    grey = apply_window(data.image[k], window)
    axis.imshow(grey, cmap="gray", vmin=0, vmax=255, aspect=step_j / step_i)
    if structure is not None:
        _, rows, columns = data.grid.shape_kji
        inside = structure.mask.within((k, 0, 0), (1, rows, columns))[0]
        axis.imshow(np.where(inside, 1.0, np.nan), cmap="autumn", vmin=0, vmax=1, alpha=opacity, aspect=step_j / step_i)
    name = f", {structure.name}" if structure is not None else ""
    axis.set_title(f"{data.id}{name}, slice {k + 1} of {data.grid.shape_kji[0]}")
    axis.axis("off")
    return figure


def _patient(dataset: Path, patient_id: str) -> PatientData:
    key = (dataset.absolute(), patient_id)
    if key not in _shown:
        with Dataset(dataset) as found:
            chosen = next((one for one in found.patients if one.id == patient_id), None)
            chosen = chosen or next((one for one in found.patients if wanted(patient_id).takes(one.id)), None)
            if chosen is None:
                known = ", ".join(one.id for one in found.patients[:20])
                raise InputError(f"there is no patient {patient_id}; the data set has {known}")
            with chosen.opened() as data:
                _shown.clear()
                _shown[key] = data
    return _shown[key]


def _structure(data: PatientData, name: str) -> Structure:
    found = next((one for one in data.structures if plain(one.name) == plain(name)), None)
    if found is None:
        known = ", ".join(one.name for one in data.structures)
        raise InputError(f"there is no structure {name}; the patient has {known}")
    if found.refused:
        raise InputError(f"the structure {name} cannot be used: {found.refused}")
    return found


def _best_slice(data: PatientData, structure: Structure | None) -> int:
    if structure is None or structure.mask.empty:
        return data.grid.shape_kji[0] // 2
    areas = structure.mask.voxels.sum(axis=(1, 2))
    return structure.mask.start_kji[0] + int(np.argmax(areas))


def _ipywidgets() -> Any:
    try:
        import ipywidgets
    except ModuleNotFoundError as error:
        raise DependencyError("the Python package ipywidgets", extra="notebook") from error
    return ipywidgets
