"""Planes of multi-frame objects: position, orientation and spacing of each frame.

References
----------
DICOM PS3.3 C.7.6.16 (multi-frame functional groups), C.8.4.15 (NM reconstruction)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from DicomWorkbenchLib.geometry import Point3, slice_normal
from DicomWorkbenchLib.headers import quiet_pydicom, read_dataset
from DicomWorkbenchLib.series_model import Instance, Orientation, Plane, orientation_of, point_of, spacing_pair

if TYPE_CHECKING:
    from pydicom import Dataset

NM_CLASS = "1.2.840.10008.5.1.4.1.1.20"
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
FUNCTIONAL_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_SLICE_VECTOR = 0x00540080
_FRAME_TYPES = (
    "CTImageFrameTypeSequence",
    "MRImageFrameTypeSequence",
    "PETFrameTypeSequence",
    "XRay3DFrameTypeSequence",
    "ParametricMapFrameTypeSequence",
)


def enhanced_planes(instance: Instance) -> tuple[Plane, ...]:
    """Return one plane per frame of an enhanced instance, in the order of its frames.

    Raises
    ------
    FileError : the file cannot be read, or its functional groups are broken.
    """
    dataset = read_dataset(instance.path, pixels=False, tags=FUNCTIONAL_GROUPS)
    with quiet_pydicom(f"{instance.path} has broken functional groups"):
        shared = first_item(dataset, "SharedFunctionalGroupsSequence")
        frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
        return tuple(_plane(instance, number, frame, shared) for number, frame in enumerate(frames))


def nm_planes(instance: Instance) -> tuple[Plane, ...]:
    """Return one plane per frame of a reconstructed NM volume; empty if the frames are something else.

    Raises
    ------
    FileError : the file cannot be read, or its description of the slices is broken.
    """
    names = (
        "DetectorInformationSequence",
        "FrameIncrementPointer",
        "SliceVector",
        "SpacingBetweenSlices",
        "PixelSpacing",
    )
    dataset = read_dataset(instance.path, pixels=False, tags=names)
    with quiet_pydicom(f"{instance.path} has a broken description of its slices"):
        return _nm_planes(instance, dataset)


def _nm_planes(instance: Instance, dataset: Dataset) -> tuple[Plane, ...]:
    detector = first_item(dataset, "DetectorInformationSequence")
    position = point_of(_numbers(detector, "ImagePositionPatient"))
    orientation = orientation_of(_numbers(detector, "ImageOrientationPatient"))
    spacing = spacing_pair(_numbers(dataset, "PixelSpacing"))
    distance = float(dataset.get("SpacingBetweenSlices") or 0)
    slices = [int(number) for number in dataset.get("SliceVector") or ()]
    pointer = dataset.get("FrameIncrementPointer")
    if position is None or orientation is None or not distance or len(slices) != instance.frames:
        return ()
    if pointer not in (_SLICE_VECTOR, [_SLICE_VECTOR]):  # frames of several detectors, phases or rotations
        return ()
    step = slice_normal(orientation) * distance
    places: list[Any] = [(np.asarray(position) + step * (number - 1)).tolist() for number in slices]
    return tuple(
        Plane(instance, frame, point_of(tuple(place)), orientation, spacing, abs(distance), ())
        for frame, place in enumerate(places)
    )


def _plane(instance: Instance, number: int, frame: Dataset, shared: Dataset | None) -> Plane:
    measures = group_item("PixelMeasuresSequence", frame, shared)
    thickness = None if measures is None else measures.get("SpacingBetweenSlices") or measures.get("SliceThickness")
    position: Point3 | None = point_of(
        _numbers(group_item("PlanePositionSequence", frame, shared), "ImagePositionPatient")
    )
    orientation: Orientation | None = orientation_of(
        _numbers(group_item("PlaneOrientationSequence", frame, shared), "ImageOrientationPatient")
    )
    return Plane(
        instance=instance,
        frame=number,
        position_lps=position,
        orientation_lps=orientation,
        pixel_spacing_mm=spacing_pair(_numbers(measures, "PixelSpacing")),
        thickness_mm=abs(float(thickness or 0)) or None,
        marks=_marks(frame, shared),
    )


def group_item(name: str, frame: Dataset, shared: Dataset | None) -> Dataset | None:
    """Return the item of a functional group: the frame's own one, else the shared one."""
    own = first_item(frame, name)
    return own if own is not None else first_item(shared, name)


def first_item(dataset: Dataset | None, name: str) -> Dataset | None:
    """Return the first item of a sequence; None if there is none."""
    sequence = None if dataset is None else dataset.get(name)
    return sequence[0] if sequence else None


def _numbers(item: Dataset | None, name: str) -> tuple[float, ...]:
    values = None if item is None else item.get(name)
    return tuple(float(value) for value in values) if values is not None and hasattr(values, "__iter__") else ()


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


def _value(item: Dataset | None, name: str) -> float | None:
    value = None if item is None else item.get(name)
    return None if value is None else float(value)
