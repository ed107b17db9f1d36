"""Pixel coordinates in presentation states and structured reports, after the images they are drawn on were made smaller.

Both count from the outer corner of the first pixel (PS3.3 C.10.5.1.1 and C.18.6.1), so they scale without a shift.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from pydicom.dataset import Dataset

from DicomOptimizerLib.resampling import Resize


def scale_coordinates(dataset: Dataset, resized: Mapping[str, Resize]) -> int:
    """Scale every graphic drawn in pixels; returns how many were changed.

    Parameters
    ----------
    resized : SOP instance UID (of the input) -> change of size.
    """
    if not resized:
        return 0
    changed = _displayed_areas(dataset, resized)
    for annotation in dataset.get("GraphicAnnotationSequence", ()):
        resize = _resize_of(annotation, resized) or _resize_of_series(dataset, resized)
        if resize is not None:
            changed += _annotation(annotation, resize)
    return changed + _report(dataset, resized)


def _resize_of(item: Dataset, resized: Mapping[str, Resize]) -> Resize | None:
    for reference in (*item.get("ReferencedImageSequence", ()), *item.get("ReferencedSOPSequence", ())):
        found = resized.get(str(reference.get("ReferencedSOPInstanceUID", "")))
        if found is not None:
            return found
    return None


def _resize_of_series(dataset: Dataset, resized: Mapping[str, Resize]) -> Resize | None:
    found = (_resize_of(series, resized) for series in dataset.get("ReferencedSeriesSequence", ()))
    return next((resize for resize in found if resize is not None), None)


def _scaled(values: object, resize: Resize) -> list[float]:
    rows, columns = resize.factors
    pairs = np.asarray(values, dtype=float).reshape(-1, 2) / (columns, rows)
    return [float(value) for value in pairs.ravel()]


def _annotation(annotation: Dataset, resize: Resize) -> int:
    changed = 0
    for graphic in annotation.get("GraphicObjectSequence", ()):
        if graphic.get("GraphicAnnotationUnits") == "PIXEL" and "GraphicData" in graphic:
            graphic.GraphicData = _scaled(graphic.GraphicData, resize)
            changed += 1
    for text in annotation.get("TextObjectSequence", ()):
        for units, keywords in (
            ("BoundingBoxAnnotationUnits", ("BoundingBoxTopLeftHandCorner", "BoundingBoxBottomRightHandCorner")),
            ("AnchorPointAnnotationUnits", ("AnchorPoint",)),
        ):
            for keyword in keywords:
                if text.get(units) == "PIXEL" and keyword in text:
                    setattr(text, keyword, _scaled(text.get(keyword), resize))
                    changed += 1
    return changed


def _displayed_areas(dataset: Dataset, resized: Mapping[str, Resize]) -> int:
    """Whole pixels, counted from 1: the new area holds all of the old one."""
    changed = 0
    for area in dataset.get("DisplayedAreaSelectionSequence", ()):
        resize = _resize_of(area, resized) or _resize_of_series(dataset, resized)
        if resize is None or "DisplayedAreaTopLeftHandCorner" not in area:
            continue
        rows, columns = resize.factors
        left, top = (int(value) for value in area.DisplayedAreaTopLeftHandCorner)
        right, bottom = (int(value) for value in area.DisplayedAreaBottomRightHandCorner)
        area.DisplayedAreaTopLeftHandCorner = [math.floor((left - 1) / columns) + 1, math.floor((top - 1) / rows) + 1]
        area.DisplayedAreaBottomRightHandCorner = [math.ceil(right / columns), math.ceil(bottom / rows)]
        if "PresentationPixelSpacing" in area:
            old = area.PresentationPixelSpacing
            area.PresentationPixelSpacing = [f"{v:.10g}" for v in resize.spacing((float(old[0]), float(old[1])))]
        changed += 1
    return changed


def _report(dataset: Dataset, resized: Mapping[str, Resize]) -> int:
    """Coordinates of a report (SCOORD) are drawn on the image that is their child."""
    changed = 0
    for item in dataset.get("ContentSequence", ()):
        changed += _report(item, resized)
        if item.get("ValueType") != "SCOORD" or "GraphicData" not in item:
            continue
        children = (_resize_of(child, resized) for child in item.get("ContentSequence", ()))
        resize = next((found for found in children if found is not None), None)
        if resize is not None:
            item.GraphicData = _scaled(item.GraphicData, resize)
            changed += 1
    return changed
