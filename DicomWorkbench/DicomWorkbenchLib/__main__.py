"""``python -m DicomWorkbenchLib`` (in Slicer: ``PythonSlicer -m DicomWorkbenchLib``) is the command ``dicom-workbench``."""

from DicomWorkbenchLib.cli import main

if __name__ == "__main__":
    main()
