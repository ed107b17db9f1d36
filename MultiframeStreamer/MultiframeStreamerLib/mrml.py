"""From frames to MRML nodes: the frame that is looked at, volumes and sequences of ranges.

The only file here that knows Slicer. Everything runs in the thread of the panel; decoding ahead happens behind `Frames`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from DicomWorkbenchLib.errors import GeometryError, WorkbenchError
from DicomWorkbenchLib.geometry import lps_to_ras

from .decode import real_values, rgb_of_palette, window_of
from .frames import Frames, open_frames
from .panel import MEGABYTE, choices_in, chosen
from .placement import Placement, even_step, placement_of

PREVIEW = "Frame"
_SCALAR, _VECTOR = "vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode"
_READ_AHEAD = 16  # frames decoded in the background while a range is loaded


def shown_array(frames: Frames, index: int) -> Any:
    """Return a frame as volume nodes hold it: real-world values (rows, columns) or RGB (rows, columns, 3).

    Raises
    ------
    PixelDataError : the frame is missing or damaged.
    """
    samples = frames[index]
    if samples.ndim == 3:
        return samples[..., :3]
    header = frames.metadata(index)
    if frames.pixels.photometric == "PALETTE COLOR":
        return rgb_of_palette(samples, header)
    values = real_values(samples, header)
    return values.astype(np.float32) if values.dtype == np.float64 else values


def volume_of(frames: Frames, index: int, node: Any = None, name: str = PREVIEW) -> Any:
    """Show one frame in a volume node of one slice; a node of the wrong kind is replaced."""
    array = shown_array(frames, index)
    kind = _VECTOR if array.ndim == 3 else _SCALAR
    if node is None or not node.IsA(kind) or (kind == _SCALAR and node.IsA(_VECTOR)):
        if node is not None:
            slicer.mrmlScene.RemoveNode(node)
        node = slicer.mrmlScene.AddNewNodeByClass(kind, slicer.mrmlScene.GenerateUniqueName(name))
        node.SetAttribute("MultiframeStreamer.role", "frame")
    fill(node, array[np.newaxis], frames.placement(index))
    if node.GetDisplayNode() is None:
        display(node, frames, index)
    return node


def fill(node: Any, array: Any, placement: Placement, step_lps_mm: Any = None) -> None:
    """Put an array (k, rows, columns[, 3]) and its geometry into a volume node."""
    with slicer.util.NodeModify(node):
        slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(array))
        set_geometry(node, placement, step_lps_mm)


def set_geometry(node: Any, placement: Placement, step_lps_mm: Any = None) -> None:
    """Give a volume node the place of a frame in the patient."""
    matrix = lps_to_ras(placement.matrix_lps(step_lps_mm))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))


def display(node: Any, frames: Frames, index: int) -> None:
    """Give a volume node a display node with the window of the file."""
    node.CreateDefaultDisplayNodes()
    window = window_of(frames.metadata(index)) if node.IsA(_SCALAR) and not node.IsA(_VECTOR) else None
    if window is not None:
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevel(window.width, window.level)


def show(node: Any, *, turn: bool = True) -> None:
    """Put a volume into the slice views and turn them to its plane; without views (no main window) nothing happens."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    slicer.util.setSliceViewerLayers(background=node, fit=turn)
    if turn:
        for name in manager.sliceViewNames():
            manager.sliceWidget(name).mrmlSliceNode().RotateToVolumePlane(node)
        slicer.util.resetSliceViews()


def file_under(nodes: Sequence[Any], folder: str) -> None:
    """Put nodes into a folder of the subject hierarchy."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    scene = hierarchy.GetSceneItemID()
    item = hierarchy.GetItemChildWithName(scene, folder) or hierarchy.CreateFolderItem(scene, folder)
    for node in nodes:
        child = hierarchy.GetItemByDataNode(node)
        if child:
            hierarchy.SetItemParent(child, item)


class RangeLoader:
    """Loads frames into the scene a little at a time; what is there is visible already.

    Parameters
    ----------
    as_sequence : a sequence with time values; otherwise one volume.
    name : of the nodes.

    Raises
    ------
    GeometryError : (while stepping) frames have positions that do not form an even stack, so that one volume would lie.
    """

    def __init__(self, frames: Frames, indexes: Sequence[int], *, as_sequence: bool, name: str) -> None:
        self.frames, self.indexes, self.as_sequence, self.name = frames, list(indexes), as_sequence, name
        self.broken: dict[int, str] = {}
        self.done = 0
        self.node: Any = None
        self.browser: Any = None
        self.notes: list[str] = []
        self._placements: list[Placement] = []
        self._order: list[int] = []

    @property
    def total(self) -> int:
        """Number of frames to load."""
        return len(self.indexes)

    @property
    def finished(self) -> bool:
        """True when every frame was loaded or found broken."""
        return self.done == self.total

    def step(self, seconds: float) -> None:
        """Work for about so long, but not on frames that are still being decoded."""
        end = time.monotonic() + seconds
        while not self.finished and time.monotonic() < end:
            if not self.as_sequence and len(self._placements) < self.total:
                self._placements.append(placement_of(self.frames.metadata(self.indexes[len(self._placements)])))
                continue
            if self.node is None:
                self._begin()
            number = self.indexes[self.done]
            if not self.frames.ready(number):
                self.frames.prefetch(self.indexes[self.done : self.done + _READ_AHEAD])
                if self.done or not self._is_cold(number):
                    return
            self._load(number)
            self.done += 1
        if self.node is not None:
            self._publish()

    def cancel(self) -> None:
        """Take away what was loaded so far."""
        for node in (self.browser, self.node):
            if node is not None and slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)
        self.node = self.browser = None
        self.done = self.total

    def _is_cold(self, number: int) -> bool:
        return self.node is None or not self.frames.ready(number)

    def _begin(self) -> None:
        if self.as_sequence:
            self._begin_sequence()
        else:
            self._begin_volume()

    def _begin_volume(self) -> None:
        step = self._stack()
        first = shown_array(self.frames, self._first_readable())
        kind = _VECTOR if first.ndim == 3 else _SCALAR
        self.node = slicer.mrmlScene.AddNewNodeByClass(kind, slicer.mrmlScene.GenerateUniqueName(self.name))
        fill(self.node, np.zeros((self.total, *first.shape), first.dtype), self._placements[0], step)
        display(self.node, self.frames, self.indexes[0])

    def _stack(self) -> Any:
        """Return the vector from slice to slice; frames are put in the order of their positions."""
        placements = self._placements
        if self.total == 1:
            return None
        if not all(p.in_patient for p in placements):
            self.notes.append("the frames have no positions; they are stacked one after the other")
            return None
        along = [float(np.dot(p.origin_lps_mm, placements[0].normal_lps)) for p in placements]
        order = sorted(range(self.total), key=along.__getitem__)
        step = even_step([placements[i] for i in order])
        if step is None:
            raise GeometryError(
                "these frames are not parallel and evenly spaced, so one volume would lie; load them as a sequence"
            )
        self.indexes = [self.indexes[i] for i in order]
        self._placements = [placements[i] for i in order]
        return step

    def _first_readable(self) -> int:
        for number in self.indexes:
            try:
                self.frames[number]
            except WorkbenchError as error:
                self.broken[number] = str(error)
                continue
            return number
        raise GeometryError(f"none of these frames can be read: {next(iter(self.broken.values()))}")

    def _begin_sequence(self) -> None:
        self.node = slicer.mrmlScene.AddNewNodeByClass(
            "vtkMRMLSequenceNode", slicer.mrmlScene.GenerateUniqueName(self.name)
        )
        timed = bool(self.frames.timing.times_ms)
        self.node.SetIndexName("time" if timed else "frame")
        self.node.SetIndexUnit("ms" if timed else "")
        self.node.SetIndexType(slicer.vtkMRMLSequenceNode.NumericIndex)
        self.browser = slicer.mrmlScene.AddNewNodeByClass(
            "vtkMRMLSequenceBrowserNode", f"{self.node.GetName()} browser"
        )
        self.browser.SetAndObserveMasterSequenceNodeID(self.node.GetID())
        self.browser.SetPlaybackRateFps(self.frames.timing.rate)

    def _load(self, number: int) -> None:
        try:
            array = shown_array(self.frames, number)
        except WorkbenchError as error:
            self.broken[number] = str(error)
            return
        if self.as_sequence:
            self._add_to_sequence(array, number)
        else:
            slicer.util.arrayFromVolume(self.node)[self.done] = array

    def _add_to_sequence(self, array: Any, number: int) -> None:
        kind = _VECTOR if array.ndim == 3 else _SCALAR
        one = slicer.mrmlScene.CreateNodeByClass(kind)
        one.UnRegister(None)
        one.SetName(self.name)
        fill(one, array[np.newaxis], self.frames.placement(number))
        timing = self.frames.timing
        value = f"{timing.times_ms[number]:g}" if timing.times_ms else str(number + 1)
        self.node.SetDataNodeAtValue(one, value)

    def _publish(self) -> None:
        """Make what is there visible."""
        if not self.as_sequence:
            slicer.util.arrayFromVolumeModified(self.node)
            return
        if self.node.GetNumberOfDataNodes() and self.browser.GetProxyNode(self.node) is None:
            self.browser.SetSelectedItemNumber(0)
            slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(self.browser)
            proxy = self.browser.GetProxyNode(self.node)
            if proxy is not None and proxy.GetDisplayNode() is None:
                display(proxy, self.frames, self.indexes[0])

    def shown_node(self) -> Any:
        """Return the volume node that shows what was loaded, None while there is none."""
        if not self.as_sequence or self.browser is None:
            return self.node
        return self.browser.GetProxyNode(self.node)

    def finish(self, folder: str) -> None:
        """File the nodes in the subject hierarchy."""
        nodes = [node for node in (self.node, self.browser, self.shown_node()) if node is not None]
        file_under(nodes, folder)
        if self.broken:
            self.notes.append(
                f"{len(self.broken)} frames are damaged and were left empty: {', '.join(str(n + 1) for n in list(self.broken)[:10])}"
            )


class Session:
    """What the panel has open: the frames, the one that is shown, and the range that is being loaded."""

    def __init__(self) -> None:
        self.frames: Frames | None = None
        self.loader: RangeLoader | None = None
        self.shown: int | None = None

    def open_source(self, source: Path | None, file: str, cache_mb: int) -> tuple[list[str], str]:
        """Open a file, or an object of a folder, instead of the one before.

        Returns
        -------
        Names of the objects to choose from, and why the chosen one cannot be opened ("" if it is open, or nothing was named).
        """
        self.close()
        if not source or str(source) in ("", ".") or not source.exists():
            return [], ""
        paths = choices_in(source)
        names = [str(path.relative_to(source)) if source.is_dir() else path.name for path in paths]
        if not names:
            return [], "There is no DICOM file in this folder."
        try:
            self.open(paths[names.index(chosen(names, file))], cache_mb)
        except WorkbenchError as error:
            return names, str(error)
        return names, ""

    def open(self, path: Path, cache_mb: int) -> None:
        """Open an object instead of the one before.

        Raises
        ------
        InputError : it cannot be opened; nothing is open then.
        """
        self.close()
        self.frames = open_frames(path, cache_bytes=cache_mb * MEGABYTE)

    def close(self) -> None:
        """Let go of files and background threads."""
        frames, self.frames, self.loader, self.shown = self.frames, None, None, None
        if frames is not None:
            frames.close()

    def show_frame(self, index: int, node: Any) -> tuple[Any, str]:
        """Put a frame into a volume node; returns the node and what is to be said of the frame."""
        assert self.frames is not None
        fresh, self.shown = self.shown is None, index
        try:
            node = volume_of(self.frames, index, node)
        except WorkbenchError as error:
            return node, str(error)
        if fresh:
            show(node)
        seconds = self.frames.timing.time_ms(index) / 1000
        return node, f"Frame {index + 1} of {len(self.frames)}, {seconds:.3f} s"

    def following(self, number: int, loop: bool) -> int:
        """Return the number (from 1) of the frame to play after ``number``: the same while that is not decoded, 0 at the end."""
        assert self.frames is not None
        count = len(self.frames)
        if number >= count and not loop:
            return 0
        index = number % count
        if self.frames.ready(index):
            return index + 1
        self.frames.prefetch([i % count for i in range(index, index + _READ_AHEAD)])
        return number

    def load(self, indexes: Sequence[int], as_sequence: bool, name: str) -> RangeLoader:
        """Begin to load a range; `load_step` goes on."""
        assert self.frames is not None
        self.loader = RangeLoader(self.frames, indexes, as_sequence=as_sequence, name=name)
        return self.loader

    def load_step(self, seconds: float) -> str:
        """Load for about so long; returns "" while there is more, else what came of it."""
        loader = self.loader
        assert loader is not None and self.frames is not None
        before = loader.shown_node()
        try:
            loader.step(seconds)
        except WorkbenchError as error:
            self.cancel_load()
            return str(error)
        if before is None and loader.shown_node() is not None:
            show(loader.shown_node())
        if not loader.finished:
            return ""
        loader.finish(Path(self.frames.objects[0].source.name).stem)
        self.loader = None
        return "; ".join([f"{loader.total - len(loader.broken)} frames loaded", *loader.notes])

    def cancel_load(self) -> None:
        """Take away what was loaded so far."""
        if self.loader is not None:
            self.loader.cancel()
        self.loader = None


def check_loading() -> list[str]:
    """Load a small stack as a volume and as a sequence; returns what is wrong (the module's self-test)."""
    from .corpus.sample import small_stack

    problems: list[str] = []
    session = Session()
    with tempfile.TemporaryDirectory() as folder:
        path, truth = small_stack(Path(folder))
        session.open(path, 64)
        assert session.frames is not None
        for as_sequence in (False, True):
            loader = session.load(range(len(session.frames)), as_sequence, "test")
            while not loader.finished:
                loader.step(0.05)
            problems += loader.broken.values()
            if not (slicer.util.arrayFromVolume(loader.shown_node())[0] == truth[0]).all():
                problems.append(f"wrong values, as_sequence={as_sequence}")
        session.close()
    return problems


def matrix_ras(node: Any) -> Any:
    """Return a volume node's index-to-RAS matrix, 4x4."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)
