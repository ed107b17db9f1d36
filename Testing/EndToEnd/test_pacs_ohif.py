"""OHIF in Chromium, in front of Orthanc, opens our SEG and RTSTRUCT: every structure is where its voxels are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from AutoSegmentQueueLib import job_input
from AutoSegmentQueueLib.dicom_objects.write import Result, write_objects
from AutoSegmentQueueLib.job_input import LoadedInput
from AutoSegmentQueueLib.statistics import measure
from DicomWorkbenchLib.polygons import area_and_centroid
from DicomWorkbenchLib.progress import NEVER, no_progress
from EndToEnd import ohif_viewer
from numpy.typing import NDArray
from pacs_testing import Orthanc, orthanc
from queue_testing.dicom_cases import Geometry, structures, write_slices

pytestmark = [pytest.mark.needs("Orthanc", "module:highdicom"), pytest.mark.timeout(900)]
SEGMENTED = replace(structures(), structures=structures().structures[:4])
HU = np.array(
    [-150, 50, 150, 250, 350], np.int16
)  # each structure shows in the CT, so that the picture can be judged by eye
MOST_OFF_MM = 0.1


@pytest.fixture(scope="module", params=["axial", pytest.param("oblique", marks=pytest.mark.prove)])
def study(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Orthanc, LoadedInput]]:
    """An Orthanc with a CT and its objects."""
    try:
        ohif_viewer.viewer_folder()
    except ohif_viewer.NotAvailableError as reason:
        pytest.skip(str(reason))
    folder = tmp_path_factory.mktemp("ohif")
    scan = write_slices(folder / "scan", Geometry(request.param), HU[SEGMENTED.labelmap])
    loaded = job_input.load([scan], no_progress, NEVER)
    assert loaded.source is not None
    result = Result(loaded.volume, SEGMENTED, measure(loaded.volume, SEGMENTED), [], {})
    (folder / "objects").mkdir()
    assert write_objects(folder / "objects", loaded.source, result, ("seg", "rtstruct"), NEVER) == []
    with orthanc(folder / "pacs") as pacs:
        for name in ("scan", "objects"):
            pacs.upload(folder / name)
        yield pacs, loaded


def test_ohif_has_every_segment_with_its_voxels_in_its_place(
    study: tuple[Orthanc, LoadedInput], tmp_path: Path
) -> None:
    pacs, loaded = study
    with ohif_viewer.hosted(pacs.dicomweb, proxied=True) as address:
        seen = ohif_viewer.objects(address, study_uid(loaded), "SEG", tmp_path / "seg.png", slice_index=12)
    assert seen.get("failure") is None and not seen["errors"], seen
    for truth in measure(loaded.volume, SEGMENTED):
        one = seen["structures"][truth.name]
        assert one["weight"] == truth.voxels
        assert one["center"] == pytest.approx(truth.centroid_lps_mm, abs=MOST_OFF_MM)


def test_ohif_has_every_contour_in_its_place(study: tuple[Orthanc, LoadedInput], tmp_path: Path) -> None:
    """Truth: centre and volume of the voxels; the viewer's own points are weighed by the areas they enclose."""
    pacs, loaded = study
    with ohif_viewer.hosted(pacs.dicomweb, proxied=True) as address:
        seen = ohif_viewer.objects(address, study_uid(loaded), "RTSTRUCT", tmp_path / "rtstruct.png", slice_index=12)
    assert seen.get("failure") is None and not seen["errors"], seen
    matrix = loaded.volume.matrix_lps
    axes = matrix[:3, :2] / np.linalg.norm(matrix[:3, :2], axis=0)
    for truth in measure(loaded.volume, SEGMENTED):
        polylines = [np.asarray(points) for points in seen["structures"][truth.name]["polylines"]]
        areas, centers = zip(*(_placed(points, axes) for points in polylines), strict=True)
        assert np.average(centers, axis=0, weights=areas) == pytest.approx(truth.centroid_lps_mm, abs=MOST_OFF_MM)
        assert sum(areas) * loaded.volume.spacing_mm[2] / 1000 == pytest.approx(truth.volume_ml, rel=0.001)


def _placed(points: NDArray[np.float64], axes: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    area, center = area_and_centroid((points - points[0]) @ axes)
    return area, points[0] + axes @ center


def study_uid(loaded: LoadedInput) -> str:
    assert loaded.source is not None
    return str(loaded.source.headers[0].StudyInstanceUID)
