"""Patients, lesions and results as MRML nodes; the only file of this room that knows Slicer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from TumorAnalysisLib.grid import Grid
from TumorAnalysisLib.masks import Mask, crop
from TumorAnalysisLib.session import SCENE_PATIENT

Entry = Mapping[str, Any]  # a patient or a lesion of report.json
DATA_SELECTED = "dataSelected(vtkStringArray*,vtkCollection*)"  # signal of qMRMLPlotView: ids of series, rows of each
LONGEST_COLOR, SHORT_COLOR = (1.0, 0.85, 0.18), (0.34, 0.71, 0.91)


@dataclass(frozen=True)
class ShownPatient:
    """The nodes of a patient in the scene; ``owned`` if they were loaded here and may be removed."""

    patient_id: str
    volume: Any
    segmentation: Any
    study_item: int
    owned: bool = True


def load_patient(folder: Path, entry: Entry) -> ShownPatient:
    """Load what the job wrote for a patient: CT and segmentation, under patient and study in the subject hierarchy.

    Parameters
    ----------
    folder : holds ``ct.nrrd`` and one ``.seg.nrrd``.
    entry : the patient's entry in the report.
    """
    name = str(entry["id"])
    volume = slicer.util.loadVolume(str(folder / "ct.nrrd"), {"name": f"{name} CT"})
    segmentation = slicer.util.loadSegmentation(str(next(folder.glob("*.seg.nrrd"))), {"name": f"{name} structures"})
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name)
    study = hierarchy.CreateStudyItem(patient, "CT")
    shown = ShownPatient(name, volume, segmentation, study)
    for node in (volume, segmentation):
        into_study(shown, node)
    volume.CreateDefaultDisplayNodes()
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return shown


def adopt(volume: Any, segmentation: Any) -> ShownPatient:
    """Take CT and segmentation of the user's scene as the patient shown."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    parent = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(volume))
    return ShownPatient(SCENE_PATIENT, volume, segmentation, parent, owned=False)


def into_study(shown: ShownPatient, node: Any) -> None:
    """Put a node under the patient's study."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, shown.study_item)


def show(shown: ShownPatient) -> None:
    """Show CT and segmentation in the slice views, and surfaces of what is visible in 3D."""
    slicer.util.setSliceViewerLayers(background=shown.volume, fit=True)
    shown.segmentation.CreateClosedSurfaceRepresentation()
    shown.segmentation.GetDisplayNode().SetVisibility3D(True)


def remove(shown: ShownPatient) -> None:
    """Take a patient and everything under it out of the scene, so that only one is in memory; the user's own nodes stay."""
    if not shown.owned:
        return
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    for node in (shown.segmentation, shown.volume):
        if slicer.mrmlScene.IsNodePresent(node):
            slicer.mrmlScene.RemoveNode(node)
    patient = hierarchy.GetItemParent(shown.study_item)
    hierarchy.RemoveItem(patient, True, True)


def set_window(shown: ShownPatient, level: float, width: float) -> None:
    """Set the window of the CT, HU."""
    display = shown.volume.GetScalarVolumeDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(width, level)


def set_opacity(shown: ShownPatient, opacity: float) -> None:
    """Set how strongly the structures cover the CT, 0 to 1."""
    shown.segmentation.GetDisplayNode().SetOpacity(opacity)


def segment_names(segmentation: Any) -> list[str]:
    """List the names of the segments in their order."""
    found = segmentation.GetSegmentation()
    return [found.GetNthSegment(n).GetName() for n in range(found.GetNumberOfSegments())]


def set_segment_visible(shown: ShownPatient, name: str, visible: bool) -> None:
    """Show or hide one structure."""
    segment = shown.segmentation.GetSegmentation().GetSegmentIdBySegmentName(name)
    if segment:
        shown.segmentation.GetDisplayNode().SetSegmentVisibility(segment, visible)


def jump_to(point_ras: Sequence[float]) -> None:
    """Centre all slice views on a point, RAS mm."""
    slicer.modules.markups.logic().JumpSlicesToLocation(*point_ras, True)


def slice_range(shown: ShownPatient) -> tuple[float, float, float]:
    """Return first and last position of the CT along the superior axis, and its slice spacing, mm."""
    bounds = [0.0] * 6
    shown.volume.GetRASBounds(bounds)
    return bounds[4], bounds[5], float(shown.volume.GetSpacing()[2])


def set_slice(position_mm: float) -> None:
    """Move the axial view; nothing happens without views."""
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        if node.GetOrientation() == "Axial":
            node.JumpSliceByOffsetting(0.0, 0.0, position_mm)


def show_diameters(shown: ShownPatient, lesion: Entry) -> list[Any]:
    """Show longest diameter and short axis of a lesion as line markups; those shown before go away."""
    remove_diameters()
    nodes = []
    for key, title, color in (
        ("longest_diameter_ends_lps_mm", "longest diameter", LONGEST_COLOR),
        ("short_axis_ends_lps_mm", "short axis", SHORT_COLOR),
    ):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", f"{lesion['name']} {title}")
        for left, posterior, superior in lesion[key]:
            node.AddControlPointWorld(vtk.vtkVector3d(-left, -posterior, superior))
        node.SetLocked(True)
        node.SetAttribute("TumorAnalysis.Diameter", lesion["name"])
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetSelectedColor(*color)
        into_study(shown, node)
        nodes.append(node)
    return nodes


def remove_diameters() -> None:
    """Remove the line markups that `show_diameters` made."""
    for node in slicer.util.getNodesByClass("vtkMRMLMarkupsLineNode"):
        if node.GetAttribute("TumorAnalysis.Diameter"):
            slicer.mrmlScene.RemoveNode(node)


def add_table(name: str, columns: Mapping[str, Sequence[Any]]) -> Any:
    """Put columns of numbers or text into a table node."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", name)
    table = node.GetTable()
    for title, values in columns.items():
        is_text = any(isinstance(value, str) for value in values)
        array = vtk.vtkStringArray() if is_text else vtk.vtkDoubleArray()
        array.SetName(title)
        for value in values:
            array.InsertNextValue(str(value) if is_text else float("nan") if value is None else float(value))
        table.AddColumn(array)
    node.SetUseColumnTitleAsColumnHeader(True)
    return node


def lesion_columns(lesions: Sequence[Entry]) -> dict[str, list[Any]]:
    """Return the columns of the lesion table."""
    keys = {
        "patient": "patient",
        "lesion": "name",
        "volume (ml)": "volume_ml",
        "longest diameter (mm)": "longest_diameter_mm",
        "short axis (mm)": "short_axis_mm",
        "Feret (mm)": "feret_mm",
        "sphericity": "sphericity",
        "distance to surface (mm)": "distance_to_surface_mm",
        "mean (HU)": "hu_mean",
        "contrast (HU)": "contrast_to_parenchyma_hu",
    }
    return {title: [lesion[key] for lesion in lesions] for title, key in keys.items()}


def patient_columns(patients: Sequence[Entry]) -> dict[str, list[Any]]:
    """Return the columns of the patient table; patients that could not be read are left out."""
    read = [patient for patient in patients if patient["status"] == "ok"]
    keys = {
        "patient": "id",
        "lesions": "tumor_count",
        "components": "tumor_count_components",
        "tumour (ml)": "tumor_volume_ml",
        "liver (ml)": "liver_volume_ml",
    }
    columns = {title: [patient[key] for patient in read] for title, key in keys.items()}
    burdens = [None if patient["burden"] is None else 100 * patient["burden"] for patient in read]
    return columns | {"burden (%)": burdens}


def add_plot(title: str, table: Any, x: str, y: str, labels: str) -> Any:
    """Make a scatter plot of two columns; a selected point is found again by its row."""
    series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", title)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName(x)
    series.SetYColumnName(y)
    series.SetLabelColumnName(labels)
    series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    series.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleNone)
    series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
    series.SetColor(0.0, 0.45, 0.7)
    chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", title)
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(title)
    chart.SetXAxisTitle(x)
    chart.SetYAxisTitle(y)
    chart.SetLegendVisibility(False)
    return chart


def save_for_analysis(volume: Any, segmentation: Any, folder: Path) -> Path:
    """Write a CT and a segmentation of the scene in the layout the job reads; returns the data set's folder.

    Raises
    ------
    ValueError : CT or segmentation are under a transform, which the files would not show.
    OSError : the files cannot be written.
    """
    for node, what in ((volume, "CT"), (segmentation, "segmentation")):
        if node.GetParentTransformNode() is not None:
            raise ValueError(
                f"The {what} {node.GetName()} is under the transform {node.GetParentTransformNode().GetName()}. Files are "
                "measured without it: harden the transform in the module Transforms, or take the node out of it."
            )
    patient = folder / SCENE_PATIENT
    patient.mkdir(parents=True)
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for node, name in ((volume, "ct.nrrd"), (segmentation, "structures.seg.nrrd")):
        before = node.GetStorageNode().GetFileName() if node.GetStorageNode() else None
        if not slicer.util.saveNode(node, str(patient / name)):
            raise OSError(f"{node.GetName()} could not be written to {patient}")
        if before:  # saving must not change where the user's node is stored
            node.GetStorageNode().SetFileName(before)
    return folder


def mask_of_segment(segmentation: Any, segment_id: str, volume: Any) -> tuple[Mask, Grid]:
    """Return a segment as a mask on the grid of a volume."""
    voxels = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    to_ras = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    k, j, i = (volume.GetImageData().GetDimensions()[axis] for axis in (2, 1, 0))
    grid = Grid((k, j, i), np.diag([-1.0, -1.0, 1.0, 1.0]) @ to_ras)
    return crop(np.zeros(grid.shape_kji, dtype=np.uint8) if voxels is None else voxels), grid


def plugin_nodes(parameter_node: Any) -> tuple[Any, Any]:
    """Return segmentation and volume that Slicer's Segment Statistics works on; None for what is not chosen.

    Without a volume the segmentation's own geometry would do, but its slices need not be those of a scan: no diameter then.
    """
    scene = slicer.mrmlScene
    segmentation = scene.GetNodeByID(parameter_node.GetParameter("Segmentation") or "")
    volume = scene.GetNodeByID(parameter_node.GetParameter("ScalarVolume") or "")
    return segmentation, volume


def show_plot(chart: Any) -> None:
    """Show a chart in the plot view; nothing happens without views."""
    if slicer.app.layoutManager() is None:
        return
    slicer.modules.plots.logic().ShowChartInLayout(chart)
    for node in slicer.util.getNodesByClass("vtkMRMLPlotViewNode"):
        if node.GetPlotChartNodeID() == chart.GetID():  # a click selects; at first it would move the chart
            node.SetInteractionMode(slicer.vtkMRMLPlotViewNode.InteractionModeSelectPoints)


class PlotSelection:
    """Tells which row of which table a point belongs to that was selected in a plot view.

    Parameters
    ----------
    on_point : called with the table node and the row of the first selected point.
    """

    def __init__(self, on_point: Callable[[Any, int], None]) -> None:
        self._on_point = on_point
        self._views: list[Any] = []

    def connect(self) -> None:
        """Listen to every plot view there is now; those known already are left alone."""
        manager = slicer.app.layoutManager()
        for number in range(manager.plotViewCount if manager is not None else 0):
            view = manager.plotWidget(number).plotView()
            if view not in self._views:
                view.connect(DATA_SELECTED, self._selected)
                self._views.append(view)

    def disconnect(self) -> None:
        """Listen no longer."""
        for view in self._views:
            view.disconnect(DATA_SELECTED, self._selected)
        self._views.clear()

    def _selected(self, series_ids: Any, selections: Any) -> None:
        # Series and selections go together: the n-th array holds the rows that are selected of the n-th series.
        for number in range(min(series_ids.GetNumberOfValues(), selections.GetNumberOfItems())):
            series = slicer.mrmlScene.GetNodeByID(series_ids.GetValue(number))
            rows = selections.GetItemAsObject(number)
            if series is not None and rows.GetNumberOfValues():
                self._on_point(series.GetTableNode(), int(rows.GetValue(0)))
                return


def example_scene() -> tuple[Any, Any]:
    """Make a CT with a ball of 20 mm, "livertumor", in one of 100 mm, "liver", for tests and demonstrations."""
    spacing = np.array([2.5, 1.0, 1.0])
    shape = (48, 120, 120)
    k, j, i = np.indices(shape)
    centre = np.array(shape) * spacing / 2
    radius = np.sqrt(sum((axis * step - at) ** 2 for axis, step, at in zip((k, j, i), spacing, centre, strict=True)))
    liver, tumor = radius <= 50, radius <= 10
    matrix = np.diag([-1.0, -1.0, 2.5, 1.0])
    matrix[:3, 3] = 60.0, 60.0, -60.0
    image = np.where(tumor, 60, np.where(liver, 110, -80)).astype(np.int16)
    volume = slicer.util.addVolumeFromArray(image, matrix, "Example CT")
    volume.CreateDefaultDisplayNodes()
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Example structures")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for name, mask in (("liver", liver), ("livertumor", tumor)):
        segment = segmentation.GetSegmentation().AddEmptySegment("", name)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), segmentation, segment, volume)
    return volume, segmentation
