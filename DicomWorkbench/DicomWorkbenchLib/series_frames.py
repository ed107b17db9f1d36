"""Planes of enhanced multi-frame objects: position, orientation and spacing of each frame from the functional groups.

References
----------
DICOM PS3.3 C.7.6.16 (multi-frame functional groups)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from DicomWorkbenchLib.headers import read_dataset
from DicomWorkbenchLib.series_model import Instance, Plane

if TYPE_CHECKING:
    from pydicom import Dataset

ENHANCED_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
        "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR
        "1.2.840.10008.5.1.4.1.1.4.3",  # Enhanced MR Color
        "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR
        "1.2.840.10008.5.1.4.1.1.6.2",  # Enhanced US Volume
        "1.2.840.10008.5.1.4.1.1.13.1.1",  # X-Ray 3D Angiographic
        "1.2.840.10008.5.1.4.1.1.13.1.2",  # X-Ray 3D Craniofacial
        "1.2.840.10008.5.1.4.1.1.13.1.3",  # Breast Tomosynthesis
        "1.2.840.10008.5.1.4.1.1.128.1",  # Legacy Converted Enhanced PET
        "1.2.840.10008.5.1.4.1.1.130",  # Enhanced PET
        "1.2.840.10008.5.1.4.1.1.30",  # Parametric Map
    }
)
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


def frame_planes(instance: Instance) -> tuple[Plane, ...]:
    """Return one plane per frame of an enhanced instance, in the order of its frames.

    Raises
    ------
    FileError : the file cannot be read.
    """
    dataset = read_dataset(instance.path, pixels=False, tags=_GROUPS)
    shared = _first(dataset, "SharedFunctionalGroupsSequence")
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    return tuple(_plane(instance, number, frame, shared) for number, frame in enumerate(frames))


def _plane(instance: Instance, number: int, frame: Dataset, shared: Dataset | None) -> Plane:
    measures = group_item("PixelMeasuresSequence", frame, shared)
    position = _numbers(group_item("PlanePositionSequence", frame, shared), "ImagePositionPatient", 3)
    orientation = _numbers(group_item("PlaneOrientationSequence", frame, shared), "ImageOrientationPatient", 6)
    spacing = _numbers(measures, "PixelSpacing", 2)
    thickness = None if measures is None else measures.get("SpacingBetweenSlices") or measures.get("SliceThickness")
    return Plane(
        instance=instance,
        frame=number,
        position_lps=position,  # type: ignore[arg-type]
        orientation_lps=orientation,  # type: ignore[arg-type]
        pixel_spacing_mm=spacing,  # type: ignore[arg-type]
        thickness_mm=None if thickness is None else float(thickness),
        marks=_marks(frame, shared),
    )


def group_item(name: str, frame: Dataset, shared: Dataset | None) -> Dataset | None:
    """Return the item of a functional group: the frame's own one, else the shared one."""
    return _first(frame, name) or (_first(shared, name) if shared is not None else None)


def _first(dataset: Dataset, name: str) -> Dataset | None:
    sequence = dataset.get(name)
    return sequence[0] if sequence else None


def _numbers(item: Dataset | None, name: str, count: int) -> tuple[float, ...] | None:
    values = item.get(name) if item is not None else None
    if values is None or isinstance(values, str) or not hasattr(values, "__len__") or len(values) != count:
        return None
    return tuple(float(value) for value in values)


def _marks(frame: Dataset, shared: Dataset | None) -> tuple[object, ...]:
    """Collect what tells frames at one position apart, in the order of `series_stacks.MARK_NAMES`."""
    content = group_item("FrameContentSequence", frame, shared)
    echo = group_item("MREchoSequence", frame, shared)
    diffusion = group_item("MRDiffusionSequence", frame, shared)
    cardiac = group_item("CardiacSynchronizationSequence", frame, shared)
    kind = next((item for name in _FRAME_TYPES if (item := group_item(name, frame, shared)) is not None), None)
    return (
        _value(content, "TemporalPositionIndex"),
        _value(content, "FrameAcquisitionNumber"),
        None,
        _value(echo, "EffectiveEchoTime"),
        _value(diffusion, "DiffusionBValue"),
        _value(cardiac, "NominalCardiacTriggerDelayTime"),
        None,
        "" if kind is None else "\\".join(str(part) for part in kind.get("FrameType") or ()),
    )


_FRAME_TYPES = (
    "CTImageFrameTypeSequence",
    "MRImageFrameTypeSequence",
    "PETFrameTypeSequence",
    "XRay3DFrameTypeSequence",
    "ParametricMapFrameTypeSequence",
)


def _value(item: Dataset | None, name: str) -> object:
    value = None if item is None else item.get(name)
    return None if value is None else float(value)
