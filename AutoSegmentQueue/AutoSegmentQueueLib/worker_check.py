"""Opens the results of a segmentation and prints what is wrong with them as a JSON list.

Run as ``python -m AutoSegmentQueueLib.worker_check FOLDER``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    """Check the folder named by the one argument."""
    from AutoSegmentQueueLib.validation import check_result

    sys.stdout.write(json.dumps(check_result(Path(sys.argv[1]))) + "\n")


if __name__ == "__main__":
    main()
