"""A plugin of Slicer's own module Segment Statistics: the lesion measurements beside its volumes and intensities."""

from __future__ import annotations

from typing import Any

KEYS: dict[str, tuple[str, str, str]] = {
    "longest_diameter_mm": ("Longest axial diameter", "Longest diameter in a slice, as RECIST 1.1 means it", "mm"),
    "short_axis_mm": ("Short axis", "Longest extent perpendicular to the longest diameter in the same slice", "mm"),
    "who_product_mm2": ("WHO product", "Longest axial diameter times short axis", "mm2"),
    "feret_mm": ("3D Feret diameter", "Largest distance between two points of the surface", "mm"),
    "sphericity": ("Sphericity", "Surface of the sphere of equal volume over the surface", ""),
    "components_26": ("Pieces (26)", "Connected pieces across faces, edges and corners", ""),
    "components_6": ("Pieces (6)", "Connected pieces across faces", ""),
}


def measurements_of(mask: Any, grid: Any) -> dict[str, float]:
    """Return the value of each key for one mask."""
    from TumorAnalysisLib.lesions import Surroundings, measure
    from TumorAnalysisLib.masks import EMPTY
    from TumorAnalysisLib.rows import lesion_row

    found, _ = measure({"segment": mask}, grid, Surroundings(None, EMPTY, {}, grid.spacing_ijk_mm[2]))
    if not found:
        return {}
    row = lesion_row("", found[0])
    return {key: row[key] for key in KEYS}


def plugin_class() -> Any:
    """Make the plugin's class; only possible inside Slicer, whose base class it needs."""
    from SegmentStatisticsPlugins import SegmentStatisticsPluginBase

    from TumorAnalysisLib.mrml import mask_of_segment, plugin_nodes

    class LesionSegmentStatisticsPlugin(SegmentStatisticsPluginBase):  # type: ignore[misc]
        """Lesion measurements of a segment; its slices are those of the volume chosen in the module."""

        def __init__(self) -> None:
            super().__init__()
            self.name = "Lesion"
            self.title = "Lesion (Tumor Analysis)"
            self.keys = list(KEYS)
            self.defaultKeys = ["longest_diameter_mm", "short_axis_mm", "feret_mm", "sphericity"]

        def computeStatistics(self, segmentID: str) -> dict[str, float]:
            """Measure one segment."""
            requested = self.getRequestedKeys()
            segmentation, volume = plugin_nodes(self.getParameterNode())
            if not requested or segmentation is None or volume is None:
                return {}
            values = measurements_of(*mask_of_segment(segmentation, segmentID, volume))
            return {key: value for key, value in values.items() if key in requested}

        def getMeasurementInfo(self, key: str) -> Any:
            """Describe one measurement."""
            if key not in KEYS:
                return None
            title, description, units = KEYS[key]
            return self.createMeasurementInfo(name=title, title=title, description=description, units=units)

    return LesionSegmentStatisticsPlugin


def register() -> bool:
    """Tell Segment Statistics of the plugin; False where that module is not there."""
    try:
        from SegmentStatistics import SegmentStatisticsLogic
    except ImportError:
        return False
    SegmentStatisticsLogic.registerPlugin(plugin_class()())
    return True
