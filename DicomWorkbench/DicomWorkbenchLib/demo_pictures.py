"""Pictures that the demo draws itself: before and after of an optimised series, and the 3D model of a segmented scan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from DicomWorkbenchLib.demo_step import Step

_FOLDER = "pictures"


def drawn(step: Step, folder: Path) -> Iterator[tuple[Path, str]]:
    """Draw what belongs to a step; yield path and caption."""
    target = folder / _FOLDER / f"{step.output.replace('/', '-')}.png"
    target.parent.mkdir(exist_ok=True)
    if step.verb == "optimize":
        before_and_after(folder / "data/ct-rtstruct", folder / step.output, target)
        yield target, "Left as scanned, 16 bit; right for the web, 8 bit, a quarter of the pixels."
    elif step.how == "drop":
        for result in sorted((folder / step.output).glob("*/segmentation.seg.nrrd")):
            if draw_model(result, target):
                yield target, "Body, lungs and bone as 3D model."


def before_and_after(before: Path, after: Path, target: Path) -> None:
    """Draw the middle slice of two series side by side."""
    from DicomWorkbenchLib.figures import new_figure, save_png
    from DicomWorkbenchLib.series import scan
    from DicomWorkbenchLib.volume import read_volume
    from DicomWorkbenchLib.windowing import PRESETS, apply_window

    figure, axes = new_figure(18, 8, 1, 2)
    for axis, source in zip(axes, (before, after), strict=True):
        with scan(source) as found:
            slices = read_volume(found.require_images().volumes()[0]).array
        axis.imshow(apply_window(slices[len(slices) // 2], PRESETS["abdomen"]), cmap="gray", vmin=0, vmax=255)
        axis.set_axis_off()
    save_png(figure, target)


def draw_model(segmentation: Path, target: Path) -> bool:
    """Draw the surfaces of a segmentation; False where Slicer's libraries or OpenGL are missing."""
    from DicomWorkbenchLib.errors import DependencyError

    try:
        from DicomWorkbenchLib.headless import picture_of_segmentation

        picture_of_segmentation(segmentation, target)
    except DependencyError:
        return False
    return True
