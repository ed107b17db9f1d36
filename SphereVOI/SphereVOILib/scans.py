"""The scans behind the inputs: PET and SPECT series of DICOM folders, files and archives, and NIfTI or NRRD volumes."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from DicomWorkbenchLib.errors import DependencyError, FileError, GeometryError, InputError
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress, part_of
from DicomWorkbenchLib.series import Scan, Series, scan
from DicomWorkbenchLib.volume import read_volume

from SphereVOILib.grid import Grid
from SphereVOILib.settings import Unit
from SphereVOILib.suv import SuvScaling, suv_scaling
from SphereVOILib.suv_header import read_pet_header

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
NUCLEAR = ("PT", "NM")


@dataclass(frozen=True)
class LoadedScan:
    """One volume, its values already in ``scaling.unit``.

    Attributes
    ----------
    name : short, free of patient data, fit for a folder.
    files : what it was read from, for the report's checksums: path on disk and the name the user knows.
    """

    name: str
    grid: Grid
    scaling: SuvScaling
    files: list[tuple[Path, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """A scan that can be loaded: a series, or a volume file."""

    name: str
    series: Series | None = None
    path: Path | None = None


class Sources:
    """All scans of some inputs. Use it as a context manager: it owns what was unpacked from archives.

    Attributes
    ----------
    sources : PET and SPECT series that are volumes, then volume files.
    warnings : what was left out and why.

    Raises
    ------
    NoDicomError : nothing usable.
    InputError : images, but no PET or SPECT.
    GeometryError : PET or SPECT that is no volume; says why.
    """

    def __init__(self, inputs: Sequence[Path], progress: Progress = no_progress, cancel: CancelToken = NEVER) -> None:
        volumes = [path for path in inputs if is_volume_file(path)]
        dicom = [path for path in inputs if path not in volumes]
        for path in inputs:
            if not path.exists():
                raise InputError(f"{path} does not exist; name a folder with PET DICOM, or a NIfTI or NRRD volume")
        self.warnings: list[str] = []
        self.sources = [Source(_volume_name(path), path=path) for path in volumes]
        self._scan: Scan | None = scan(dicom, progress=progress, cancel=cancel) if dicom else None
        if self._scan is not None:
            try:
                self.sources = [*self._series(self._scan), *self.sources]
            except BaseException:
                self.close()
                raise
        _number_doubles(self.sources)

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was unpacked from archives."""
        if self._scan is not None:
            self._scan.close()

    def _series(self, found: Scan) -> Iterator[Source]:
        found.require_images()
        nuclear = [one for one in found.series if one.modality in NUCLEAR]
        others = sorted({one.modality or "unnamed" for one in found.series if one.modality not in NUCLEAR})
        if not nuclear:
            raise InputError(
                f"only {', '.join(others)} images were found, no PET or SPECT: spheres are measured in activity images. "
                "Choose the PET series"
            )
        good = [one for one in nuclear if one.is_volume and len(one.planes) > 1]
        if not good:
            first = nuclear[0]
            reason = first.obstacle or "it has one slice; a sphere's centre cannot be found in it"
            raise GeometryError(f"{first.label} is no volume: {reason}. Choose the whole series")
        if others:
            self.warnings.append(
                f"{', '.join(others)} images in the folder were passed over; the spheres are measured in the PET"
            )
        left_out = [one for one in nuclear if one not in good]
        self.warnings += [f"{one.label} was left out: {one.obstacle or 'it has one slice'}" for one in left_out]
        if len(good) > 1:
            self.warnings.append(f"{len(good)} PET or SPECT series were found; each was measured by itself")
        for one in good:
            yield Source(_safe(one.label), series=one)


def load(
    source: Source, unit: Unit, value_unit: str = "", progress: Progress = no_progress, cancel: CancelToken = NEVER
) -> LoadedScan:
    """Read one scan and turn its values into the unit wanted, or say in its scaling why not."""
    if source.series is None:
        assert source.path is not None
        return _load_file(source.path, source.name, value_unit)
    volume = read_volume(source.series, progress=part_of(progress, 0, 80), cancel=cancel)
    progress(80, 100, "reading headers")
    if source.series.modality == "PT":
        scaling = suv_scaling(read_pet_header(source.series, cancel), unit)
    else:
        scaling = SuvScaling(volume.units or "unknown", reason="not a PET series: SUV is not defined by its header")
    array = volume.array if np.all(scaling.factors == 1.0) else scaled(volume.array, scaling)
    if volume.padding is not None:
        array = np.where(volume.is_padding(), np.float32(np.nan), array.astype(np.float32))
    files = [(instance.path, instance.origin) for instance in source.series.instances]
    return LoadedScan(source.name, Grid(array, volume.matrix_lps), scaling, files, list(volume.warnings))


def scaled(array: np.ndarray, scaling: SuvScaling) -> np.ndarray:
    """Multiply with the factors, one per slice or one for all; float32."""
    return np.asarray(array * scaling.factors.astype(np.float32)[:, None, None], dtype=np.float32)


def is_volume_file(path: Path) -> bool:
    """True for NIfTI, NRRD and MetaImage files."""
    return path.name.lower().endswith(VOLUME_SUFFIXES)


def _load_file(path: Path, name: str, value_unit: str) -> LoadedScan:
    try:
        import SimpleITK as sitk
    except ModuleNotFoundError as error:
        raise DependencyError("the Python package SimpleITK", extra="spheres") from error
    _require_spacing(path)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise FileError(f"{path.name} cannot be read as a volume; it is damaged or of another kind") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise GeometryError(
            f"{path.name} is no single 3D volume: it has {image.GetDimension()} axes; export one time point"
        )
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    reason = f"{path.name} carries no units: values are shown as they are; SUV needs the DICOM series"
    scaling = SuvScaling("unknown", reason=reason)
    if value_unit:
        scaling = SuvScaling(value_unit, notes=("the unit was given by the user; the file carries none",))
    return LoadedScan(name, Grid(sitk.GetArrayFromImage(image), matrix), scaling, [(path, path.name)])


def write_volume(path: Path, grid: Grid) -> Path:
    """Write a grid as a volume file (.nrrd, .nii.gz, ...) without compression, for a child process to read."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(grid.array))
    spacing = np.array(grid.spacing_mm)
    image.SetSpacing([float(v) for v in spacing])
    image.SetDirection((grid.matrix_lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(grid.matrix_lps[:3, 3].tolist())
    sitk.WriteImage(image, str(path), False)
    return path


def _require_spacing(path: Path) -> None:
    """Refuse a file whose header has no voxel size; readers would take 1 mm without a word."""
    lower = path.name.lower()
    opened = gzip.open if lower.endswith(".gz") else open
    try:
        with opened(path, "rb") as stream:
            head = stream.read(8192)
    except OSError as error:
        raise FileError(f"{path.name} cannot be read: {error.strerror or error}") from error
    if lower.endswith((".nrrd", ".nhdr")):
        known = b"space directions:" in head or b"spacings:" in head
    elif lower.endswith((".nii", ".nii.gz")) and len(head) >= 108:
        order = "<" if struct.unpack("<i", head[:4])[0] in (348, 540) else ">"
        at, form = (104, "3d") if struct.unpack(order + "i", head[:4])[0] == 540 else (80, "3f")
        known = all(size > 0 for size in struct.unpack_from(order + form, head, at))
    else:
        known = True
    if not known:
        raise GeometryError(
            f"{path.name} has no voxel size in its header; without millimetres no sphere can be measured"
        )


def _volume_name(path: Path) -> str:
    name = path.name
    for suffix in sorted(VOLUME_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return _safe(name[: -len(suffix)])
    return _safe(name)


def _safe(name: str) -> str:
    cleaned = "".join(c if c.isalnum() or c in "-_." else "_" for c in name.strip())
    return cleaned.strip("._")[:60] or "scan"


def _number_doubles(sources: list[Source]) -> None:
    seen: dict[str, int] = {}
    for position, source in enumerate(sources):
        count = seen[source.name] = seen.get(source.name, 0) + 1
        if count > 1:
            sources[position] = Source(f"{source.name}_{count}", source.series, source.path)
