"""The embedded engine: body, lungs and bone of a CT by thresholds and connected regions, in seconds, with nothing to install.

It is classical image processing: no organ is told from another, and what is as dense as bone (contrast medium, metal) is taken for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from DicomWorkbenchLib.errors import DependencyError, InputError, SettingsError
from DicomWorkbenchLib.progress import CancelToken, Progress
from numpy.typing import NDArray

from AutoSegmentQueueLib.engines.model import TISSUE, Code, EngineRequest, ImageVolume, Segmented, Structure

BODY_HU = -300.0  # between fat (-100) and air (-1000), high enough to pass by blankets and foam
AIR_HU = -400.0  # lung is below, also inflamed lung; soft tissue and fat are above
BONE_HU = 200.0  # trabecular bone begins about here
LEAST_BONE_ML = 1.0  # smaller pieces are calcifications, contrast medium and noise
LEAST_LUNG_ML = 20.0  # smaller pockets of air are bowel gas and airways
VERSION = "1"

_SOFT, _LUNG, _BONE = 1, 2, 3
STRUCTURES = (
    Structure(
        "body",
        (_SOFT, _LUNG, _BONE),
        (0.694, 0.478, 0.396),
        opacity=0.3,
        category=TISSUE,
        kind=Code("SCT", "123037004", "Anatomical Structure"),
    ),
    Structure("lungs", (_LUNG,), (0.773, 0.647, 0.569), kind=Code("SCT", "39607008", "Lung")),
    Structure("bone", (_BONE,), (0.945, 0.839, 0.569), category=TISSUE, kind=Code("SCT", "272673000", "Bone")),
)


class ThresholdEngine:
    """Body, lungs and bone by thresholds."""

    name = "threshold"
    title = "Threshold: body, lungs and bone of a CT (built in)"

    def available(self) -> str | None:
        """Return why it cannot be used here; None if it can."""
        from importlib.util import find_spec

        missing = [package for package in ("SimpleITK", "scipy") if find_spec(package) is None]
        return str(DependencyError(" and ".join(missing), extra="queue")) if missing else None

    def segment(self, request: EngineRequest, progress: Progress, cancel: CancelToken) -> Segmented:
        """Segment the scan; see `Engine.segment`."""
        options = request.options
        if options.device != "cpu":
            raise DependencyError(
                "a GPU version of the engine threshold", hint="it runs on the CPU only; choose device cpu"
            )
        structures = wanted(options.structures)
        _check_is_ct(request.volume)
        labelmap = _Regions(request.volume, progress, cancel).labelmap()
        warnings = ("Thresholds only: contrast medium and metal count as bone, and no organ is told from another.",)
        return Segmented(labelmap, structures, {"name": self.name, "version": VERSION, "kind": "thresholds"}, warnings)


def wanted(names: tuple[str, ...]) -> tuple[Structure, ...]:
    """Return the structures of these names, all for none.

    Raises
    ------
    SettingsError : one is not known.
    """
    known = {structure.name: structure for structure in STRUCTURES}
    if unknown := [name for name in names if name not in known]:
        raise SettingsError(f"the engine threshold knows {', '.join(known)}; not {', '.join(unknown)}")
    return tuple(known[name] for name in names) or STRUCTURES


def _check_is_ct(volume: ImageVolume) -> None:
    if volume.modality not in ("", "CT"):
        raise InputError(f"the engine threshold needs a CT in Hounsfield units; this is a {volume.modality} scan")
    low = float(volume.array.min())
    if low > -200:  # every CT shows some air
        raise InputError(
            f"the engine threshold needs a CT in Hounsfield units; the lowest value here is {low:.0f}, air would be -1000"
        )


class _Regions:
    """The steps of one segmentation, on SimpleITK images without spacing (regions do not depend on it)."""

    def __init__(self, volume: ImageVolume, progress: Progress, cancel: CancelToken) -> None:
        import SimpleITK as sitk

        self._sitk = sitk
        self._array = volume.array
        self._voxel_ml = volume.voxel_ml
        self._progress = progress
        self._cancel = cancel

    def labelmap(self) -> NDArray[np.uint16]:
        self._step(0, "finding the body")
        body = self._body()
        self._step(1, "finding lungs")
        lungs = self._pieces(body & (self._array < AIR_HU), LEAST_LUNG_ML)
        self._step(2, "finding bone")
        bone = self._pieces(body & (self._array >= BONE_HU), LEAST_BONE_ML)
        self._step(3, "finding bone")
        labels = np.zeros(self._array.shape, np.uint16)
        labels[body] = _SOFT
        labels[lungs] = _LUNG
        labels[bone] = _BONE
        return labels

    def _step(self, done: int, message: str) -> None:
        self._cancel.check()
        self._progress(done, 3, message)

    def _body(self) -> NDArray[np.bool_]:
        """Return the largest dense region with its holes filled, slice by slice: lungs open to the scan's ends are holes too."""
        sitk = self._sitk
        dense = self._largest(self._array >= BODY_HU)
        filled = np.zeros_like(dense)
        for k, one in enumerate(dense):
            self._cancel.check()
            if one.any():
                image = sitk.BinaryFillhole(sitk.GetImageFromArray(one.astype(np.uint8)))
                filled[k] = sitk.GetArrayViewFromImage(image) != 0
        return filled

    def _largest(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        regions = self._regions(mask)
        found: NDArray[np.bool_] = regions == 1  # relabelled by size
        if not found.any():
            raise InputError(f"there is no tissue in the scan: all values are below {BODY_HU:.0f} HU")
        return found

    def _pieces(self, mask: NDArray[np.bool_], least_ml: float) -> NDArray[np.bool_]:
        voxels = max(int(np.ceil(least_ml / self._voxel_ml)), 1)
        found: NDArray[np.bool_] = self._regions(mask, voxels) > 0
        return found

    def _regions(self, mask: NDArray[np.bool_], least_voxels: int = 0) -> NDArray[Any]:
        sitk = self._sitk
        image = sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8)))
        array: NDArray[Any] = sitk.GetArrayFromImage(sitk.RelabelComponent(image, least_voxels))
        return array
