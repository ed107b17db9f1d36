# %% [markdown]
# # DicomWorkbench in a notebook
#
# A CT with contours is made, looked at, made small for the web, and compared. Nothing is downloaded.

# %%
from pathlib import Path

from DicomOptimizerLib import OptimizerSettings, optimize
from DicomWorkbenchLib.samples.ct_rtstruct import make_ct_rtstruct
from DicomWorkbenchLib.series import scan
from DicomWorkbenchLib.volume import read_volume

folder = Path("notebook-data")
make_ct_rtstruct(folder / "scan", slices=20, size=128)

# %% [markdown]
# What is in a folder: series, in the order of their position along the slice normal, never by file name.

# %%
with scan(folder / "scan") as found:
    stack = found.require_images().volumes()[0]
    volume = read_volume(stack)
print(volume.array.shape, "slices, rows, columns")

# %% [markdown]
# Every second slice, 8 bit, half the size. The report tells what became of every contour.

# %%
report = optimize(OptimizerSettings((folder / "scan",), output=folder / "web", decimate=2, eight_bit=True, resize=64))
print(report.measured)
for linked in report.linked:
    for roi in linked.rois[:3]:
        print(linked.modality, roi.name, "kept", roi.kept, "moved", roi.moved, "dropped", roi.dropped)

# %% [markdown]
# The same slice before and after.

# %%
from DicomWorkbenchLib.figures import new_figure, save_png  # noqa: E402 - where a reader needs it
from DicomWorkbenchLib.windowing import PRESETS, apply_window  # noqa: E402

with scan(folder / "web") as found:
    small = read_volume(found.require_images().volumes()[0])
figure, axes = new_figure(16, 8, 1, 2)
for axis, one in zip(axes, (volume, small), strict=True):
    middle = one.array[len(one.array) // 2]
    axis.imshow(apply_window(middle, PRESETS["abdomen"]), cmap="gray", vmin=0, vmax=255)
    axis.set_axis_off()
save_png(figure, folder / "before-after.png")
