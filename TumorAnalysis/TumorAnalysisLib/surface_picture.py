"""A picture of liver and lesions in three dimensions, drawn without a graphics card.

Parallel rays are sent through smoothed masks; where a ray first crosses 0.5 lies the surface, shaded by its slope. The liver is drawn
see-through over its lesions. This works in every process on every computer, with the same bytes each time; inside Slicer the same
structures are shown by its own 3D view.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from TumorAnalysisLib.grid import FloatArray, Grid
from TumorAnalysisLib.masks import Mask, enclosing_box

Colour = tuple[float, float, float]
PIXELS = 320  # longer side of the picture
DEPTH_STEP = 3.0  # pixels between two samples of a ray; the surface is interpolated between them
SMOOTHING_MM = 1.5  # for display only, and at least so many voxels, or thick slices would show as steps
SMOOTHING_VOXELS = 0.8
LIGHT = np.array([-0.35, -0.8, -0.5])  # from the viewer's upper left
BACKGROUND = np.array([1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Body:
    """A mask to be drawn; opacity 1 hides what is behind it."""

    mask: Mask
    colour: Colour
    opacity: float = 1.0


def picture_of(bodies: Sequence[Body], grid: Grid, *, turn_deg: float = 25.0) -> bytes | None:
    """Draw bodies seen from the front (head up, the patient's right on the left), turned about the body's axis; PNG.

    Parameters
    ----------
    turn_deg : rotation of the patient towards the viewer's left.

    Returns
    -------
    None if there is nothing to draw.
    """
    shown = [body for body in bodies if not body.mask.empty]
    if not shown:
        return None
    camera = _Camera.around([body.mask for body in shown], grid, turn_deg)
    picture = np.ones((*camera.shape, 3)) * BACKGROUND
    drawn = [(body, *camera.surface(body.mask)) for body in shown]
    # Painter's order: solid bodies by depth buffer first, see-through ones over them.
    nearest = np.full(camera.shape, np.inf)
    for body, depth, shade in drawn:
        if body.opacity >= 1:
            front = depth < nearest
            picture[front] = np.outer(shade[front], body.colour)
            nearest = np.minimum(nearest, depth)
    for body, depth, shade in drawn:
        if body.opacity < 1:
            seen = np.isfinite(depth)
            alpha = np.where(depth[seen] < nearest[seen], body.opacity, 0.35 * body.opacity)[:, None]
            picture[seen] = (1 - alpha) * picture[seen] + alpha * np.outer(shade[seen], body.colour)
    return _png(picture)


@dataclass(frozen=True)
class _Camera:
    """A parallel projection: picture (row, column) and depth along the ray."""

    axes_lps: FloatArray  # (3, 3): down, right, away from the viewer
    corner_lps: FloatArray
    steps_mm: FloatArray  # along the three axes
    shape: tuple[int, int]
    depth: int
    grid: Grid

    @classmethod
    def around(cls, masks: list[Mask], grid: Grid, turn_deg: float) -> _Camera:
        angle = np.deg2rad(turn_deg)
        right = np.array([np.cos(angle), np.sin(angle), 0.0])  # the patient's left is on the viewer's right
        away = np.array([-np.sin(angle), np.cos(angle), 0.0])
        axes = np.stack([np.array([0.0, 0.0, -1.0]), right, away])
        start, shape = enclosing_box(masks)
        ends = np.array(
            [[i, j, k] for i in (0, shape[2]) for j in (0, shape[1]) for k in (0, shape[0])], dtype=np.float64
        )
        corners = grid.to_lps(ends + np.array(start[::-1])) @ axes.T
        low, high = corners.min(axis=0) - 4, corners.max(axis=0) + 4
        pixel = float(max(high[:2] - low[:2]) / PIXELS)
        steps = np.array([pixel, pixel, DEPTH_STEP * pixel])
        rows, columns, depth = (int(np.ceil(extent)) for extent in (high - low) / steps)
        return cls(axes, low @ axes, steps, (rows, columns), depth, grid)

    def surface(self, mask: Mask) -> tuple[FloatArray, FloatArray]:
        """Return depth in mm (infinite where the ray misses) and brightness 0 to 1 of a mask's surface."""
        field, box = self._resampled(mask)
        depth = np.full(self.shape, np.inf)
        shade = np.zeros(self.shape)
        inside = field >= 0.5
        hit = inside.any(axis=2)
        first = np.maximum(inside.argmax(axis=2), 1)
        rows, columns = np.indices(first.shape)
        here, before = field[rows, columns, first], field[rows, columns, first - 1]
        share = np.clip((here - 0.5) / np.maximum(here - before, 1e-6), 0, 1)
        where = np.where(hit, (box[2].start + first - share) * self.steps_mm[2], np.inf)
        gradients = _slopes(field, rows, columns, first) / self.steps_mm
        lengths = np.maximum(np.linalg.norm(gradients, axis=-1), 1e-6)
        brightness = np.clip((gradients / lengths[..., None]) @ -(LIGHT / np.linalg.norm(LIGHT)), 0, 1)
        depth[box[0], box[1]] = where
        shade[box[0], box[1]] = 0.35 + 0.65 * brightness
        return depth, shade

    def _resampled(self, mask: Mask) -> tuple[NDArray[np.float32], tuple[slice, slice, slice]]:
        from scipy import ndimage

        margin = 4
        smooth = ndimage.gaussian_filter(
            np.pad(mask.voxels, margin).astype(np.float32),
            [max(SMOOTHING_MM / s, SMOOTHING_VOXELS) for s in self.grid.spacing_ijk_mm[::-1]],
        )
        box = self._box(mask)
        # Output index (row, column, depth) -> LPS -> index (i, j, k) of the mask -> (k, j, i) of its padded crop.
        to_lps = self.axes_lps.T * self.steps_mm
        to_ijk = np.linalg.inv(self.grid.matrix_lps[:3, :3])
        start = np.array([slice_.start for slice_ in box], dtype=np.float64)
        origin = to_ijk @ (self.corner_lps + to_lps @ start - self.grid.matrix_lps[:3, 3])
        offset = origin[::-1] - np.array(mask.start_kji) + margin
        shape = (box[0].stop - box[0].start, box[1].stop - box[1].start, box[2].stop - box[2].start)
        return _interpolated(smooth, (to_ijk @ to_lps)[::-1], offset, shape), box

    def _box(self, mask: Mask) -> tuple[slice, slice, slice]:
        k, j, i = mask.voxels.shape
        ends = np.array([[a, b, c] for a in (-2, i + 1) for b in (-2, j + 1) for c in (-2, k + 1)], dtype=np.float64)
        points = (
            (self.grid.to_lps(ends + np.array(mask.start_kji[::-1])) - self.corner_lps)
            @ self.axes_lps.T
            / self.steps_mm
        )
        limits = (*self.shape, self.depth)
        low = [max(int(np.floor(v)) - 2, 0) for v in points.min(axis=0)]
        high = [min(int(np.ceil(v)) + 3, n) for v, n in zip(points.max(axis=0), limits, strict=True)]
        row, column, away = (slice(a, b) for a, b in zip(low, high, strict=True))
        return row, column, away


def _interpolated(
    values: NDArray[np.float32], matrix: FloatArray, offset: FloatArray, shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Sample an image linearly at ``matrix @ index + offset`` for every index of an image of another shape."""
    from scipy import ndimage

    upright = max(*np.abs(matrix[0, 1:]), *np.abs(matrix[1:, 0])) * max(shape) < 0.01
    if not upright:
        return np.asarray(ndimage.affine_transform(values, matrix, offset, output_shape=shape, order=1))
    # Slices across the axis about which the view turns: first within them, then between them; the same values in a third of the time.
    planes = np.stack(
        [
            ndimage.affine_transform(plane, matrix[1:, 1:], offset[1:], output_shape=shape[1:], order=1)
            for plane in values
        ]
    )
    at = matrix[0, 0] * np.arange(shape[0]) + offset[0]
    inside = (at >= 0) & (at <= len(planes) - 1)
    below = np.clip(np.floor(at).astype(np.int64), 0, len(planes) - 2)
    share = np.clip(at - below, 0, 1).astype(np.float32)[:, None, None]
    out = planes[below] * (1 - share)
    out += planes[below + 1] * share
    out[~inside] = 0
    return np.asarray(out)


def _slopes(
    field: NDArray[np.float32], rows: NDArray[np.int64], columns: NDArray[np.int64], depths: NDArray[np.int64]
) -> FloatArray:
    """Return the central differences of a field where rays meet the surface, (..., 3)."""
    at = [rows, columns, depths]
    found = []
    for axis, size in enumerate(field.shape):
        low, high = list(at), list(at)
        low[axis], high[axis] = np.maximum(at[axis] - 1, 0), np.minimum(at[axis] + 1, size - 1)
        found.append(field[tuple(high)] - field[tuple(low)])
    return np.stack(found, axis=-1).astype(np.float64)


def _png(picture: FloatArray) -> bytes:
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(
        buffer, (np.clip(picture, 0, 1) * 255).astype(np.uint8), format="png", metadata={"Software": "DicomWorkbench"}
    )
    return buffer.getvalue()
