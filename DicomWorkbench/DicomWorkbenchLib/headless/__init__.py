"""A Slicer-like scene without Slicer: ``boot()`` once, then ``slicer.mrmlScene`` and ``slicer.util`` work.

Inside Slicer ``boot()`` does nothing, so that one source runs in both. Needs ``pip install "dicom-workbench[headless]"``.
"""

from DicomWorkbenchLib.headless.pictures import picture_of_3d, picture_of_segmentation, picture_of_slice
from DicomWorkbenchLib.headless.session import boot, shut_down

__all__ = ["boot", "picture_of_3d", "picture_of_segmentation", "picture_of_slice", "shut_down"]
