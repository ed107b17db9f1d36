"""Open one module's panel: ``python -m SlicerHost SphereVOI/SphereVOI.py --picture panel.png --self-test``."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from pathlib import Path

from SlicerHost.panel import WIDTH, Panel, open_module


def main() -> int:
    """Do what the command line asks; 1 if the panel has problems."""
    options = _options()
    panel = open_module(options.module, main_window=options.main_window, dark=options.dark)
    if options.script:
        runpy.run_path(str(options.script), init_globals={"panel": panel})
    if options.self_test:
        print(f"{panel.run_self_test()} self tests passed")
    if options.picture:
        panel.resize(options.width)
        panel.outer.grab().save(str(options.picture))
        print(options.picture)
    return _finish(panel)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m SlicerHost", description=__doc__)
    parser.add_argument("module", help="module file, or the name of a module of this checkout")
    parser.add_argument("--picture", type=Path, help="write a picture of the panel (PNG)")
    parser.add_argument("--width", type=int, default=WIDTH, help="width of the panel in pixels")
    parser.add_argument("--self-test", action="store_true", help="run the module's test class")
    parser.add_argument("--script", type=Path, help="Python file to run with the name `panel` defined")
    parser.add_argument("--dark", action="store_true", help="dark palette")
    parser.add_argument("--main-window", action="store_true", help="with views instead of as with --no-main-window")
    return parser.parse_args()


def _finish(panel: Panel) -> int:
    panel.close()
    problems = panel.problems()
    for problem in problems:
        print(f"problem: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    code = main()
    from DicomWorkbenchLib.headless import shut_down

    shut_down()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # Qt and VTK objects end in no particular order otherwise, which can crash after all is done
