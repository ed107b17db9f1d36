"""Given to Slicer as ``--python-script``; the job's file is the last argument."""

import sys
from pathlib import Path

from AutoSegmentQueueLib.job_slicer import main_inside

if __name__ == "__main__":  # Slicer runs scripts in its main module
    main_inside(Path(sys.argv[-1]))
