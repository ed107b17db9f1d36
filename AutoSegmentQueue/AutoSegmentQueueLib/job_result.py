"""The result folder of a job: every file on disk before the manifest, the manifest last and in one piece."""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.geometry import FloatArray
from DicomWorkbenchLib.outputs import sync, write_atomically
from DicomWorkbenchLib.report import InputFile, relative_files, sha256_of
from DicomWorkbenchLib.settings import to_json

from AutoSegmentQueueLib.engines.model import Segmented
from AutoSegmentQueueLib.job_model import MANIFEST, SegmentJob
from AutoSegmentQueueLib.statistics import StructureFigures


@dataclass(frozen=True, eq=False)
class Outcome:
    """What the manifest says about a job besides its files."""

    segmented: Segmented
    figures: list[StructureFigures]
    files: list[InputFile]
    warnings: list[str]
    shape_kji: tuple[int, ...]
    matrix_lps: FloatArray
    started: float  # seconds since 1970
    ended: float
    exporter: str
    models: list[str]  # structures that have a surface
    planes_lps: FloatArray | None = None  # (k, 3) of unevenly spaced slices

    def to_manifest(self, job: SegmentJob, outputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the manifest as JSON values."""
        return {
            "id": job.id,
            "attempt": job.attempt,
            "fence": job.fence,
            "engine": dict(self.segmented.version),
            "exporter": self.exporter,
            "options": job.options,
            "inputs": [asdict(file) for file in self.files],
            "outputs": outputs,
            "structures": [self._structure(one) for one in self.figures],
            "models": self.models,
            "grid": self._grid(),
            "seconds": round(self.ended - self.started, 3),
            "warnings": self.warnings,
            "started": _time(self.started),
            "ended": _time(self.ended),
        }

    def _grid(self) -> dict[str, Any]:
        grid = {"shape_kji": list(self.shape_kji), "matrix_lps": to_json(self.matrix_lps)}
        return grid if self.planes_lps is None else {**grid, "planes_lps": to_json(self.planes_lps)}

    def _structure(self, figures: StructureFigures) -> dict[str, Any]:
        structure = next(one for one in self.segmented.structures if one.name == figures.name)
        codes = {"category": structure.category, "type": structure.kind, "modifier": structure.modifier}
        return {
            **to_json(figures),
            "labels": list(structure.labels),
            "color": list(structure.color),
            "opacity": structure.opacity,
            "group": structure.group,
            "codes": {name: asdict(code) for name, code in codes.items() if code},
        }


def finish(job: SegmentJob, outcome: Outcome) -> Path:
    """Bring all results safely to disk, then write the manifest; returns its path."""
    outputs = [_described(job.result, name) for name in relative_files(job.result)]
    manifest = json.dumps(outcome.to_manifest(job, outputs), indent=2, allow_nan=False) + "\n"
    path = job.result / MANIFEST
    write_atomically(path, manifest.encode())
    return path


def _described(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    sync(path)
    sync(path.parent)
    return {"path": name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")
