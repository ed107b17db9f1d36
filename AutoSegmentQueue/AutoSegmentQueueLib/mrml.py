"""The scene of a job: scan, segmentation with codes and colours, surfaces, pictures. The same code in Slicer and on slicer-core.

Import it after ``DicomWorkbenchLib.headless.boot()``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.geometry import lps_to_ras
from DicomWorkbenchLib.progress import CancelToken
from numpy.typing import NDArray
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from AutoSegmentQueueLib.engines.model import Code, ImageVolume, Segmented, Structure
from AutoSegmentQueueLib.export_mesh import Mesh

LEAST_TRIANGLES = 400  # a small structure keeps its shape; it costs nothing
FILL_OPACITY = 0.6  # of slices, so that the scan shows through
_LABELMAP = "Binary labelmap"


def add_scan(volume: ImageVolume, name: str) -> Any:
    """Put the scan into the scene; returns its ``vtkMRMLScalarVolumeNode``."""
    matrix = np.ascontiguousarray(volume.matrix_ras)
    node = slicer.util.addVolumeFromArray(volume.array, matrix, name, "vtkMRMLScalarVolumeNode")
    node.CreateDefaultDisplayNodes()
    return node


def add_segmentation(scan: Any, volume: ImageVolume, segmented: Segmented, name: str) -> Any:
    """Put a segmentation into the scene: one segment per structure that has voxels, with colour and terminology.

    Structures of one label share a layer; those that include others have their own.
    """
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    present = np.bincount(segmented.labelmap.ravel(), minlength=1 << 16)
    single = [one.labels[0] for one in segmented.structures if len(one.labels) == 1]
    shared = _image(np.where(np.isin(segmented.labelmap, single), segmented.labelmap, 0), volume, (0, 0, 0))
    for structure in segmented.structures:
        image, label = (shared, structure.labels[0]) if len(structure.labels) == 1 else (None, 1)
        if image is None:
            image = _cropped(structure.mask(segmented.labelmap), volume)
        elif not present[label]:
            image = None
        if image is not None:
            _add_segment(node, structure, image, label)
    return node


def _cropped(mask: NDArray[np.bool_], volume: ImageVolume) -> Any:
    where = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if not len(where[0]):
        return None
    first = tuple(int(w[0]) for w in where)
    box = mask[tuple(slice(int(w[0]), int(w[-1]) + 1) for w in where)]
    return _image(box, volume, (first[2], first[1], first[0]))


def _image(array: NDArray[Any], volume: ImageVolume, first_ijk: tuple[int, int, int]) -> Any:
    """Return a ``vtkOrientedImageData`` of labels (k, j, i) whose first voxel is ``first_ijk`` of the scan."""
    labels = np.ascontiguousarray(array, np.uint8 if array.max(initial=0) < 256 else np.uint16)
    k, j, i = labels.shape
    image = slicer.vtkOrientedImageData()
    (x, y, z) = first_ijk
    image.SetExtent(x, x + i - 1, y, y + j - 1, z, z + k - 1)
    scalars = numpy_to_vtk(labels.ravel(), deep=True)
    image.GetPointData().SetScalars(scalars)
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(volume.matrix_ras.ravel().tolist())
    image.SetImageToWorldMatrix(matrix)
    return image


def _add_segment(node: Any, structure: Structure, image: Any, label: int) -> None:
    segment = slicer.vtkSegment()
    segment.SetName(structure.name)
    segment.SetColor(*structure.color)
    segment.SetLabelValue(label)
    segment.SetTag(segment.GetTerminologyEntryTagName(), terminology_text(structure))
    segment.AddRepresentation(_LABELMAP, image)
    node.GetSegmentation().AddSegment(segment, structure.name)
    display = node.GetDisplayNode()
    display.SetSegmentOpacity3D(structure.name, structure.opacity)
    display.SetSegmentOpacity2DFill(structure.name, FILL_OPACITY * structure.opacity)


def terminology_text(structure: Structure) -> str:
    """Return Slicer's text form of what a segment is: context, category, type, modifier, and no anatomic region."""

    def text(code: Code | None) -> str:
        return "^".join((code.scheme, code.value, code.meaning)) if code else "^^"

    what = (structure.category, structure.kind, structure.modifier)
    region = ("Anatomic codes - DICOM master list", "^^", "^^")
    return "~".join(("Segmentation category and type - DICOM master list", *map(text, what), *region))


def make_surfaces(node: Any, cancel: CancelToken, *, smooth: bool = True) -> None:
    """Make the closed surface of every segment; those that are there already are made anew.

    Parameters
    ----------
    smooth : False keeps the voxels' edges, and with them what is as thin as a voxel.

    Raises
    ------
    OutputError : Slicer says it cannot.
    """
    cancel.check()
    if not smooth:
        node.RemoveClosedSurfaceRepresentation()
        node.GetSegmentation().SetConversionParameter("Smoothing factor", "0.0")
    if not node.CreateClosedSurfaceRepresentation():
        raise OutputError("the surfaces of the segmentation cannot be made")
    cancel.check()


def meshes_of(node: Any, structures: list[Structure], reduction: float, cancel: CancelToken) -> list[Mesh]:
    """Return the surfaces as arrays, with ``reduction`` (0 to 1) of their triangles removed."""
    meshes = []
    for structure in structures:
        cancel.check()
        surface = vtk.vtkPolyData()
        node.GetClosedSurfaceRepresentation(structure.name, surface)
        if surface.GetNumberOfCells():
            meshes.append(_mesh(structure, _reduced(surface, reduction)))
    return meshes


def _reduced(surface: Any, reduction: float) -> Any:
    triangles = vtk.vtkTriangleFilter()
    triangles.SetInputData(surface)
    triangles.Update()
    output = triangles.GetOutput()
    least = 1.0 - LEAST_TRIANGLES / max(output.GetNumberOfCells(), 1)
    if (target := min(reduction, least)) > 0:
        decimate = vtk.vtkDecimatePro()  # keeps holes and islands, and is many times faster than vtkQuadricDecimation
        decimate.SetInputData(output)
        decimate.SetTargetReduction(target)
        decimate.PreserveTopologyOn()
        decimate.Update()
        output = decimate.GetOutput()
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputData(output)
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.Update()
    return normals.GetOutput()


def _mesh(structure: Structure, surface: Any) -> Mesh:
    points = vtk_to_numpy(surface.GetPoints().GetData())
    normals = vtk_to_numpy(surface.GetPointData().GetNormals())
    triangles = vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    return Mesh(
        structure.name,
        structure.group,
        structure.color,
        structure.opacity,
        lps_to_ras(points).astype(np.float32),
        lps_to_ras(normals).astype(np.float32),
        triangles.astype(np.uint32),
    )


def write_segmentation(node: Any, path: Path) -> None:
    """Write the segmentation as ``.seg.nrrd``.

    Raises
    ------
    OutputError : it cannot be written.
    """
    if not slicer.util.saveNode(node, str(path)) or not path.is_file():
        raise OutputError(f"{path.name} cannot be written; see that the disk has space")


def open_anatomy_exporter() -> Callable[[Any, Path, float], Path] | None:
    """Return Slicer's OpenAnatomyExport as a function (segmentation node, folder, reduction) -> glTF file; None where it is not."""
    try:
        from OpenAnatomyExport import OpenAnatomyExportLogic
    except ImportError:
        return None

    def export(node: Any, folder: Path, reduction: float) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        item = hierarchy.GetItemByDataNode(node)
        OpenAnatomyExportLogic().exportModel(item, str(folder), reduction, "glTF")
        written = list(folder.glob("*.gltf"))  # it returns nothing and names the file after the node
        if len(written) != 1:
            raise RuntimeError(f"OpenAnatomyExport wrote {len(written)} models instead of one")
        return written[0]

    return export


def save_volume(node: Any, path: Path) -> bool:
    """Write a volume of the scene as an uncompressed NRRD file, in patient coordinates, the transforms above it applied."""
    copy = slicer.mrmlScene.AddNewNodeByClass(node.GetClassName(), node.GetName())
    try:
        copy.CopyContent(node)
        copy.SetAndObserveTransformNodeID(node.GetTransformNodeID())
        copy.HardenTransform()
        return bool(slicer.util.saveNode(copy, str(path), {"useCompression": 0}))
    finally:
        slicer.mrmlScene.RemoveNode(copy)


def load_result(folder: Path) -> Any:
    """Load the results of a job into the scene: the segmentation with surfaces, and the table.

    Returns
    -------
    The ``vtkMRMLSegmentationNode``.

    Raises
    ------
    RuntimeError : a file cannot be read.
    """
    node = slicer.util.loadSegmentation(str(folder / "segmentation.seg.nrrd"))
    node.SetName(folder.name)
    node.CreateClosedSurfaceRepresentation()
    table = slicer.util.loadTable(str(folder / "statistics.csv"))
    table.SetName(f"{folder.name} statistics")
    return node
