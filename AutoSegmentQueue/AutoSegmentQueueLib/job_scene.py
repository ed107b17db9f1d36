"""From an engine's labels to the result files: scene, surfaces, models, table, page, provenance."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import InputError, OutputError
from DicomWorkbenchLib.headless import boot
from DicomWorkbenchLib.outputs import cannot_write
from DicomWorkbenchLib.progress import CancelToken, Progress
from DicomWorkbenchLib.report import Report, relative_files

from AutoSegmentQueueLib import export_gltf, preview, preview_volume, statistics
from AutoSegmentQueueLib.dicom_objects.write import Result, write_objects
from AutoSegmentQueueLib.engines.model import Segmented, Structure
from AutoSegmentQueueLib.export_mesh import Mesh, file_name, in_true_place, recentred, write_obj, write_stl
from AutoSegmentQueueLib.job_input import LoadedInput
from AutoSegmentQueueLib.job_model import SegmentJob
from AutoSegmentQueueLib.job_result import Outcome

OWN_EXPORTER, OPEN_ANATOMY = "DicomWorkbench", "OpenAnatomyExport"
_STEPS = 6
LEAST_VOLUME_SHARE = 0.7  # of the voxels; smoothing rounds off a compact structure by less, and takes away what is thin
MOST_DRIFT_VOXELS = 0.5  # of a surface's centre; see `export_mesh.recentred`


@dataclass
class SegmentReport(Report):
    """Provenance of one segmentation."""

    engine: dict[str, str] | None = None
    exporter: str = ""


def write_results(
    job: SegmentJob, loaded: LoadedInput, segmented: Segmented, started: float, progress: Progress, cancel: CancelToken
) -> Outcome:
    """Write every result but the manifest.

    Raises
    ------
    InputError : nothing was found in the scan.
    OutputError : a file cannot be written.
    """
    figures = statistics.measure(loaded.volume, segmented)
    if not figures:
        raise InputError(
            f"the engine {job.engine} found none of its structures in the scan; is it the right task for it?"
        )
    found = {one.name for one in figures}
    structures = tuple(one for one in segmented.structures if one.name in found)
    warnings = [*job.options.get("input_warnings", ()), *loaded.warnings, *segmented.warnings]
    if len(structures) < len(segmented.structures) and job.engine_options.structures:
        absent = sorted(one.name for one in segmented.structures if one.name not in found)
        warnings.append(f"not found in the scan: {', '.join(absent)}")
    segmented = replace(segmented, structures=structures)
    work = _Results(job, loaded, segmented, figures, warnings, started, progress, cancel)
    try:
        return work.write()
    except OSError as error:
        raise cannot_write(job.result, error) from error


class _Results:
    """The steps of writing, which share the scene."""

    def __init__(
        self,
        job: SegmentJob,
        loaded: LoadedInput,
        segmented: Segmented,
        figures: list[statistics.StructureFigures],
        warnings: list[str],
        started: float,
        progress: Progress,
        cancel: CancelToken,
    ) -> None:
        self._job, self._loaded, self._segmented = job, loaded, segmented
        self._figures, self._warnings = figures, warnings
        self._started, self._progress, self._cancel = started, progress, cancel
        self._folder = job.result
        self._exporter = OWN_EXPORTER
        self._modelled: list[str] = []
        self._meshes: list[Mesh] = []
        boot()
        from AutoSegmentQueueLib import mrml  # needs slicer.mrmlScene

        self._mrml = mrml

    def write(self) -> Outcome:
        self._folder.mkdir(parents=True)
        volume, job = self._loaded.volume, self._job
        self._step(0, "building the scene")
        scan = self._mrml.add_scan(volume, job.name)
        node = self._mrml.add_segmentation(scan, volume, self._segmented, job.name)
        self._mrml.write_segmentation(node, self._folder / "segmentation.seg.nrrd")
        self._step(1, "making surfaces")
        self._mrml.make_surfaces(node, self._cancel)
        self._step(2, "writing models")
        self._models(node)
        statistics.write_csv(self._folder / "statistics.csv", self._figures, volume.units)
        self._step(3, "writing DICOM objects")
        self._dicom_objects()
        self._step(4, "taking pictures")
        self._page(scan)
        self._slices()
        self._step(5, "writing the report")
        return self._report()

    def _step(self, done: int, message: str) -> None:
        self._cancel.check()
        self._progress(done, _STEPS, message)

    def _models(self, node: Any) -> None:
        formats = self._job.settings.formats
        meshes = self._surfaces(node)
        if not meshes:
            raise OutputError("no structure has a surface; the voxels that were found are too few")
        self._meshes, self._modelled = meshes, [mesh.name for mesh in meshes]
        self._note_without_surface()
        document, blob = self._open_anatomy(node, meshes) or export_gltf.build(meshes, self._job.name)
        for ending, pack in (("gltf", export_gltf.as_gltf), ("glb", export_gltf.as_glb)):
            if ending in formats:
                (self._folder / f"segmentation.{ending}").write_bytes(pack(document, blob))
        if "stl" in formats:
            self._each_as_stl(meshes)
        if "obj" in formats:
            write_obj(self._models_folder() / "segmentation.obj", meshes)

    def _surfaces(self, node: Any) -> list[Mesh]:
        """Return the surfaces in their true place; those that smoothing has taken pieces from are made without it."""
        structures, figures = list(self._segmented.structures), {one.name: one for one in self._figures}
        meshes = self._meshes_of(node, structures)
        torn = [one for one in structures if _is_torn(meshes.get(one.name), figures[one.name].volume_ml)]
        if torn:
            self._mrml.make_surfaces(node, self._cancel, smooth=False)
            meshes |= self._meshes_of(node, torn)
        most_mm = MOST_DRIFT_VOXELS * min(self._loaded.volume.spacing_mm)
        found = [meshes[one.name] for one in structures if one.name in meshes]
        return [recentred(mesh, figures[mesh.name].centroid_lps_mm, most_mm) for mesh in found]

    def _meshes_of(self, node: Any, structures: list[Structure]) -> dict[str, Mesh]:
        meshes = self._mrml.meshes_of(node, structures, self._job.settings.reduction, self._cancel)
        return {mesh.name: in_true_place(mesh, self._loaded.volume) for mesh in meshes}

    def _note_without_surface(self) -> None:
        bare = sorted({one.name for one in self._figures} - set(self._modelled))
        if bare:
            self._warnings.append(f"too small for a surface: {', '.join(bare)}")

    def _open_anatomy(self, node: Any, meshes: list[Mesh]) -> tuple[export_gltf.Document, bytes] | None:
        """Return the model of Slicer's OpenAnatomyExport, None where it does not exist or gave something else."""
        export: Callable[..., Path] | None = self._mrml.open_anatomy_exporter()
        if export is None or self._loaded.volume.planes_lps is not None:  # it knows the even grid of the scene only
            return None
        try:
            path = export(node, self._job.work / "open-anatomy", self._job.settings.reduction)
            document, blob = export_gltf.read(path)
        except (RuntimeError, TypeError, ValueError, OSError, InputError) as error:
            self._warnings.append(f"OpenAnatomyExport failed ({type(error).__name__}); our own exporter was used")
            return None
        if sorted(str(mesh.get("name")) for mesh in document.get("meshes", [])) != sorted(mesh.name for mesh in meshes):
            self._warnings.append("OpenAnatomyExport left structures out; our own exporter was used")
            return None
        self._exporter = OPEN_ANATOMY
        return document, blob

    def _models_folder(self) -> Path:
        folder = self._folder / "models"
        folder.mkdir(exist_ok=True)
        return folder

    def _each_as_stl(self, meshes: list[Mesh]) -> None:
        for mesh in meshes:
            write_stl(self._models_folder() / f"{file_name(mesh.name)}.stl", mesh)

    def _dicom_objects(self) -> None:
        if self._loaded.source is None:
            return
        job, volume = self._job, self._loaded.volume
        result = Result(volume, self._segmented, self._figures, self._meshes, job.options)
        self._warnings += write_objects(self._folder, self._loaded.source, result, job.settings.dicom, self._cancel)

    def _page(self, scan: Any) -> None:
        volume = self._loaded.volume
        pictures, missing = preview.take_pictures(scan, volume, self._figures, self._cancel)
        self._warnings.extend(missing)
        engine = " ".join(self._segmented.version.get(key, "") for key in ("name", "version")).strip()
        facts = [
            (str(len(self._figures)), "structures"),
            (engine, "engine"),
            (" × ".join(str(n) for n in reversed(volume.array.shape)), "voxels"),
            (" × ".join(f"{mm:.2f}" for mm in volume.spacing_mm) + " mm", "voxel size"),
        ]
        links = [(name, name) for name in relative_files(self._folder)]
        links.append(("report.json", "report.json: how this was made"))
        preview.write_page(
            self._folder / "preview.html",
            self._job.name,
            facts,
            pictures,
            self._figures,
            self._warnings,
            links,
            volume.units,
        )

    def _slices(self) -> None:
        """Leave what a browser needs to look at slices; the scan may be gone by then."""
        small = preview_volume.make(self._loaded.volume, self._segmented.labelmap)
        preview_volume.write(self._folder / preview_volume.NAME, small)

    def _report(self) -> Outcome:
        volume, ended = self._loaded.volume, time.time()
        SegmentReport(
            job="segment",
            settings={"engine": self._job.engine, **self._job.options},
            inputs=self._loaded.files,
            outputs=[*relative_files(self._folder), "report.json"],
            warnings=self._warnings,
            measured={
                "structures": len(self._figures),
                "volume_ml": {one.name: round(one.volume_ml, 3) for one in self._figures},
            },
            seconds=round(ended - self._started, 3),
            engine=dict(self._segmented.version),
            exporter=self._exporter,
        ).write(self._folder)
        return Outcome(
            self._segmented,
            self._figures,
            self._loaded.files,
            self._warnings,
            volume.array.shape,
            volume.matrix_lps,
            self._started,
            ended,
            self._exporter,
            self._modelled,
            volume.planes_lps,
        )


def _is_torn(mesh: Mesh | None, volume_ml: float) -> bool:
    return mesh is None or mesh.volume_ml < LEAST_VOLUME_SHARE * volume_ml
