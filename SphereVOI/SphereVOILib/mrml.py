"""Between MRML nodes and the workflow: volumes in; points, circles, segments, tables and plots out.

The only file here that knows Slicer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from DicomWorkbenchLib.errors import InputError
from DicomWorkbenchLib.geometry import Point3, lps_to_ras
from DicomWorkbenchLib.panel_job import PanelJob

from SphereVOILib.grid import Box, Grid
from SphereVOILib.model import blurred_sphere
from SphereVOILib.panel import Refiner, clicks_of, job_settings, scaling_of
from SphereVOILib.refine import Refined
from SphereVOILib.seg_nrrd import color_of
from SphereVOILib.settings import RefineSettings, SphereTarget, Unit

CLICKS = "Sphere clicks"
ROLE = "SphereVOI.role"  # attribute that tells our result nodes from the user's
FOLDER = "Sphere results"


def grid_of(volume: Any) -> Grid:
    """Return a volume node's voxels (not copied) and its matrix to LPS, parent transforms included.

    Raises
    ------
    InputError : the volume is empty, or a transform bends it.
    """
    if volume.GetImageData() is None:
        raise InputError(f"the volume {volume.GetName()} holds no voxels; load it again or choose another one")
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    parent = volume.GetParentTransformNode()
    if parent is not None:
        if not parent.IsTransformToWorldLinear():
            raise InputError(f"{volume.GetName()} is bent by a transform; harden the transform first")
        world = vtk.vtkMatrix4x4()
        parent.GetMatrixTransformToWorld(world)
        vtk.vtkMatrix4x4.Multiply4x4(world, matrix, matrix)
    return Grid(slicer.util.arrayFromVolume(volume), lps_to_ras(slicer.util.arrayFromVTKMatrix(matrix)))


def files_of(volume: Any) -> tuple[Path, ...]:
    """Return the DICOM files a volume node came from; empty if it did not, or they are gone or moved by a transform."""
    uids = (volume.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if not uids or database is None or volume.GetParentTransformNode() is not None:
        return ()
    files = [Path(database.fileForInstance(uid)) for uid in uids]
    return tuple(files) if all(f.is_file() for f in files) else ()


def units_of(volume: Any) -> str:
    """Return the units a volume node says its values are in; empty if it does not."""
    coded = volume.GetVoxelValueUnits()
    return volume.GetAttribute("DicomWorkbench.units") or (coded.GetCodeMeaning() if coded is not None else "") or ""


def hottest_slice_lps(grid: Grid) -> Point3:
    """Return the middle of the slice with the highest mean."""
    means = [float(np.nanmean(part)) for part in grid.array]
    i, j, _ = grid.size_ijk
    return _point(grid.point_of([(i - 1) / 2, (j - 1) / 2, float(int(np.nanargmax(means)))]))


def jump_to(point_lps: Sequence[float]) -> None:
    """Centre all slice views on a point."""
    r, a, s = (float(v) for v in lps_to_ras(np.asarray(point_lps)))
    slicer.modules.markups.logic().JumpSlicesToLocation(r, a, s, True)


def new_clicks(name: str) -> Any:
    """Make the point list that takes the user's clicks; deleting and moving points can be undone."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetUndoEnabled(True)
    display = node.GetDisplayNode()
    display.SetSelectedColor(0.2, 0.8, 0.2)
    display.SetGlyphScale(1.5)
    display.SetTextScale(2.5)
    return node


def points_lps(clicks: Any) -> list[Point3]:
    """Return the defined points of a point list, LPS mm, in their order."""
    if clicks is None:
        return []
    defined = [n for n in range(clicks.GetNumberOfControlPoints()) if is_defined(clicks, n)]
    return [_point(lps_to_ras(np.array(clicks.GetNthControlPointPositionWorld(n)))) for n in defined]


def is_defined(clicks: Any, number: int) -> bool:
    """True for a point that was placed, not only previewed under the mouse."""
    return bool(clicks.GetNthControlPointPositionStatus(number) == clicks.PositionDefined)


def set_points(clicks: Any, points: Sequence[tuple[str, Point3]]) -> None:
    """Replace all points by labelled ones, LPS mm."""
    with slicer.util.NodeModify(clicks):
        clicks.RemoveAllControlPoints()
        for label, point in points:
            clicks.AddControlPoint(vtk.vtkVector3d(*lps_to_ras(np.array(point))), label)


def label_points(clicks: Any, labels: Sequence[str]) -> None:
    """Give the points the labels of the table's rows."""
    for number in range(min(clicks.GetNumberOfControlPoints(), len(labels))):
        if clicks.GetNthControlPointLabel(number) != labels[number]:
            clicks.SetNthControlPointLabel(number, labels[number])


def show_refined(refined: Sequence[Refined]) -> None:
    """Show refined centres as locked points and spheres as circles in all slice views; what was not found is taken away."""
    centers = _result_node("vtkMRMLMarkupsFiducialNode", "Sphere centres")
    if centers.GetDisplayNode() is None:
        centers.CreateDefaultDisplayNodes()
    centers.SetLocked(True)
    centers.GetDisplayNode().SetSelectedColor(1.0, 0.5, 0.0)
    centers.GetDisplayNode().SetGlyphScale(1.0)
    centers.GetDisplayNode().SetPointLabelsVisibility(False)
    found = [r for r in refined if r.center_lps_mm is not None]
    set_points(centers, [(r.target.label, _point(r.center_lps_mm)) for r in found])
    for number, one in enumerate(refined):
        _show_circle(number, one)
    for number in range(len(refined), len(refined) + 64):  # of a longer table before this one
        extra = _find("vtkMRMLModelNode", f"circle {number}")
        if extra is None:
            break
        slicer.mrmlScene.RemoveNode(extra)


def _show_circle(number: int, one: Refined) -> None:
    role = f"circle {number}"
    node = _find("vtkMRMLModelNode", role)
    if one.center_lps_mm is None:
        if node is not None:
            slicer.mrmlScene.RemoveNode(node)
        return
    source = vtk.vtkSphereSource()
    source.SetRadius(one.target.radius_mm)
    source.SetCenter(*lps_to_ras(one.center_lps_mm))
    source.SetThetaResolution(48)
    source.SetPhiResolution(48)
    source.Update()
    node = node or _result_node("vtkMRMLModelNode", one.target.label, role)
    node.SetName(one.target.label)
    node.SetAndObservePolyData(source.GetOutput())
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetColor(*color_of(number))
    display.SetOpacity(0.4)
    display.SetVisibility2D(True)
    display.SetSliceIntersectionThickness(2)


def show_report(report: Mapping[str, Any], folder: Path) -> None:
    """Put a job's results into the scene: tables, charts and the segmentation, in one folder of the subject hierarchy.

    Parameters
    ----------
    report : the job's report as a dictionary.
    folder : where its files are.
    """
    spheres = [s for s in report["spheres"] if s["found"]]
    columns = (
        "label",
        "diameter_mm",
        "mean",
        "max",
        "min",
        "sd",
        "median",
        "pixel_count",
        "effective_volume_ml",
        "suv_peak",
        "a50_mean",
    )
    show_table("Sphere statistics", columns, [[s[c] for c in columns] for s in spheres])
    if report.get("nema"):
        names = (
            "label",
            "diameter_mm",
            "contrast_recovery_percent",
            "background_variability_percent",
            "background_mean",
        )
        table = show_table("NEMA", names, [[s[n] for n in names] for s in report["nema"]["spheres"]])
        show_chart(
            "Contrast against variability",
            table,
            names[3],
            [names[2]],
            "background variability [%]",
            "contrast recovery [%]",
        )
    _show_recovery(report, spheres)
    for sphere in spheres:
        _show_profile(sphere, str(report["unit"]))
    segmentation = _find("vtkMRMLSegmentationNode", "segmentation")
    if segmentation is not None:
        slicer.mrmlScene.RemoveNode(segmentation)
    show_segmentation(folder / "spheres.seg.nrrd")
    file_results()


def _show_recovery(report: Mapping[str, Any], spheres: Sequence[Mapping[str, Any]]) -> None:
    if report.get("earl"):
        names: tuple[str, ...] = ("label", "diameter_mm", "rc_mean", "rc_max", "rc_peak", "verdict")
        rows = [[s[n] for n in names] for s in report["earl"]["spheres"]]
        quantities = list(names[2:5])
        if report["earl"].get("bands"):
            names = (*names, *report["earl"]["bands"])
            rows = [[*row, *(band[n] for band in report["earl"]["bands"].values())] for n, row in enumerate(rows)]
            quantities += list(report["earl"]["bands"])
        table = show_table("EARL", names, rows)
        show_chart("Recovery coefficients", table, "diameter_mm", quantities, "diameter [mm]", "recovery coefficient")
        return
    names = ("label", "diameter_mm", "contrast_recovery_3d_percent")
    table = show_table("Recovery", names, [[s["label"], s["diameter_mm"], s["details"][names[2]]] for s in spheres])
    show_chart("Contrast recovery", table, "diameter_mm", [names[2]], "diameter [mm]", "contrast recovery [%]")


def _show_profile(sphere: Mapping[str, Any], unit: str) -> None:
    profile = sphere["details"].get("profile")
    if not profile:
        return
    names = ("distance_mm", "mean", "fit")
    table = show_table(f"Profile {sphere['label']}", names, list(zip(*(profile[n] for n in names), strict=True)))
    show_chart(
        f"Profile {sphere['label']}", table, "distance_mm", ["mean", "fit"], "distance from the centre [mm]", unit
    )


def show_table(name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    """Put rows into a table node; a column of numbers stays numbers, an unknown one is NaN."""
    node = _result_node("vtkMRMLTableNode", name)
    node.RemoveAllColumns()
    for number, column in enumerate(columns):
        values = [row[number] for row in rows]
        numeric = any(isinstance(v, int | float) for v in values)
        array = vtk.vtkDoubleArray() if numeric else vtk.vtkStringArray()
        array.SetName(column)
        for value in values:
            array.InsertNextValue((float("nan") if value is None else float(value)) if numeric else str(value or ""))
        node.AddColumn(array)
    node.GetTable().SetNumberOfRows(len(rows))
    return node


def show_chart(name: str, table: Any, x: str, ys: Sequence[str], x_title: str, y_title: str) -> Any:
    """Plot columns of a table over another one, points joined by lines."""
    chart = _result_node("vtkMRMLPlotChartNode", name)
    chart.RemoveAllPlotSeriesNodeIDs()
    chart.SetTitle(name)
    chart.SetXAxisTitle(x_title)
    chart.SetYAxisTitle(y_title)
    for number, y in enumerate(ys):
        series = _result_node("vtkMRMLPlotSeriesNode", f"{name}: {y}")
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName(x)
        series.SetYColumnName(y)
        series.SetPlotType(series.PlotTypeScatter)
        series.SetMarkerStyle(series.MarkerStyleCircle)
        series.SetLineStyle(series.LineStyleDash if "band" in y else series.LineStyleSolid)
        series.SetColor(*color_of(number))
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    return chart


def show_segmentation(path: Path) -> Any:
    """Read a .seg.nrrd into a segmentation node.

    Raises
    ------
    InputError : Slicer cannot read it.
    """
    node = _result_node("vtkMRMLSegmentationNode", "Spheres", "segmentation")
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    if not storage.ReadData(node) or node.GetSegmentation().GetNumberOfSegments() == 0:
        slicer.mrmlScene.RemoveNode(storage)
        raise InputError(f"the segmentation {path.name} cannot be read")
    slicer.mrmlScene.RemoveNode(storage)  # the file is in a temporary folder; saving the scene writes a new one
    node.CreateDefaultDisplayNodes()
    return node


def chart_of(name: str) -> Any:
    """Return a chart of ours by name, or None."""
    return _find("vtkMRMLPlotChartNode", name)


def file_results() -> None:
    """Move our result nodes into one folder of the subject hierarchy."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is None:
        return
    folder = hierarchy.GetItemChildWithName(hierarchy.GetSceneItemID(), FOLDER)
    folder = folder or hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), FOLDER)
    for node in slicer.util.getNodesByClass("vtkMRMLNode"):
        item = hierarchy.GetItemByDataNode(node) if node.GetAttribute(ROLE) else 0
        if item:
            hierarchy.SetItemParent(item, folder)


def remove_results() -> None:
    """Take all result nodes out of the scene."""
    for node in slicer.util.getNodesByClass("vtkMRMLNode"):
        if node.GetAttribute(ROLE):
            slicer.mrmlScene.RemoveNode(node)


def with_clicks(targets: Sequence[SphereTarget], clicks: Any) -> tuple[SphereTarget, ...]:
    """Give the targets the points of a list, in order; surplus targets keep none."""
    points = points_lps(clicks)
    placed: list[Point3 | None] = [*points, *([None] * len(targets))]
    return tuple(SphereTarget(t.label, t.diameter_mm, p, t.polarity) for t, p in zip(targets, placed, strict=False))


def _result_node(kind: str, name: str, role: str = "") -> Any:
    """Return our node of that role, a new one if there is none yet."""
    node = _find(kind, role or name)
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass(kind, name)
        node.SetAttribute(ROLE, role or name)
    return node


def _find(kind: str, role: str) -> Any:
    return next((n for n in slicer.util.getNodesByClass(kind) if n.GetAttribute(ROLE) == role), None)


def _point(values: Any) -> Point3:
    x, y, z = (float(v) for v in values)
    return x, y, z


def units_text(volume: Any, wanted: Unit) -> str:
    """Return the line under a volume: what its values are in, and if it is no SUV, why."""
    if volume is None:
        return ""
    scaling = scaling_of(files_of(volume), units_of(volume), wanted)
    return f"Values in: {scaling.unit}" + (f" ({scaling.reason})" if scaling.reason else "")


def small_phantom(label: str) -> tuple[Any, Any, Point3]:
    """Add a volume with one blurred 37 mm sphere, 4 to 1, and a click 5 mm off, for the self-test; returns both and the centre (LPS mm)."""
    matrix = np.diag([-3.0, -3.0, 4.0, 1.0])
    grid = Grid(np.zeros((24, 32, 32), np.float32), lps_to_ras(matrix))
    center = _point(grid.point_of([15.3, 15.8, 11.6]))
    r = Box(grid, (0, 0, 0), grid.size_ijk).distances_mm(center)
    values = 1.0 + 4.0 * blurred_sphere(r, 18.5, 3.0).value - blurred_sphere(r, 19.5, 3.0).value
    clicks = new_clicks(CLICKS)
    set_points(clicks, [(label, (center[0] + 3.0, center[1] - 3.0, center[2] + 3.0))])
    return slicer.util.addVolumeFromArray(values, matrix, "Phantom"), clicks, center


def show_volume(volume: Any) -> None:
    """Show a volume in all slice views and jump to its slice with the highest mean."""
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    jump_to(hottest_slice_lps(grid_of(volume)))


def point_events() -> tuple[int, ...]:
    """Return the events of a point list after which clicks have to be looked at again."""
    node = slicer.vtkMRMLMarkupsNode
    return (
        node.PointPositionDefinedEvent,
        node.PointModifiedEvent,
        node.PointRemovedEvent,
        node.PointPositionUndefinedEvent,
    )


def undo_point(clicks: Any) -> None:
    """Take back the last point that was placed."""
    placed = [n for n in range(clicks.GetNumberOfControlPoints()) if is_defined(clicks, n)]
    if placed:
        clicks.RemoveNthControlPoint(placed[-1])


def charts() -> list[str]:
    """Return the names of our charts, in the order in which they were made."""
    return [c.GetAttribute(ROLE) for c in slicer.util.getNodesByClass("vtkMRMLPlotChartNode") if c.GetAttribute(ROLE)]


def show_in_plot_view(view: Any, name: str) -> None:
    """Show one of our charts in a plot view widget."""
    node = _find("vtkMRMLPlotViewNode", "panel")
    if node is None:
        node = slicer.vtkMRMLPlotViewNode()
        node.SetSingletonTag("SphereVOIPanel")
        node.SetLayoutLabel("SphereVOI")
        node = slicer.mrmlScene.AddNode(node)
        node.SetAttribute(ROLE, "panel")
    chart = chart_of(name)
    node.SetPlotChartNodeID(chart.GetID() if chart is not None else None)
    view.setMRMLPlotViewNode(node)


class Session:
    """What lives between the panel's actions: the refined clicks of one volume, and the last job with its folder.

    Nothing here is kept in the scene; the clicks are, and everything follows from them.
    """

    def __init__(self) -> None:
        self.job: PanelJob | None = None
        self.report: dict[str, Any] | None = None
        self._refiner: tuple[tuple[Any, ...], Refiner] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def busy(self) -> bool:
        """True while a job runs."""
        return self.job is not None and self.job.running

    @property
    def results(self) -> Path | None:
        """The folder with the last job's results, if there is one."""
        folder = Path(self._folder.name, "results") if self._folder is not None else None
        return folder if folder is not None and self.report is not None and folder.is_dir() else None

    def refine(self, volume: Any, targets: Sequence[SphereTarget], settings: RefineSettings) -> list[Refined]:
        """Refine and show the clicks; those that did not change cost nothing."""
        grid = grid_of(volume)
        # The place is compared itself: a parent transform that is edited changes no time of the volume.
        key = (volume.GetID(), volume.GetMTime(), volume.GetImageData().GetMTime(), grid.matrix_lps.tobytes())
        if self._refiner is None or self._refiner[0] != key:
            self._refiner = (key, Refiner(grid))
        refined = self._refiner[1].refined(targets, settings)
        show_refined(refined)
        return refined

    def start(
        self,
        volume: Any,
        targets: Sequence[SphereTarget],
        values: Mapping[str, Any],
        auto: bool,
        callbacks: tuple[Any, Any, Any],
    ) -> None:
        """Measure in a child process; ``callbacks`` are for progress, report and failure."""
        self.report = None
        self._folder = tempfile.TemporaryDirectory(prefix="SphereVOI-", ignore_cleanup_errors=True)
        folder, files = Path(self._folder.name), files_of(volume)
        settings = job_settings(values, grid_of(volume), files, folder, targets, units_of(volume), auto)
        self.job = PanelJob(slicer.util.launchConsoleProcess, *callbacks)
        self.job.start("spheres", settings)

    def take(self, report: dict[str, Any], clicks: Any) -> None:
        """Put a finished job's results into the scene, its clicks too."""
        self.report = report
        set_points(clicks, clicks_of(report))
        if self.results is not None:
            show_report(report, self.results)

    def forget(self) -> None:
        """End a running job and let go of everything."""
        if self.job is not None:
            self.job.cancel()
        self.report, self._refiner = None, None
