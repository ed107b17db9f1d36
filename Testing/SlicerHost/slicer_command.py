"""The host started with the command line of Slicer: ``python -m SlicerHost.slicer_command --python-script FILE -- ARGUMENTS``.

It knows the options that a script of ours is started with and refuses others.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from pathlib import Path

from SlicerHost.boot import boot
from SlicerHost.panel import load_module


def main() -> int:
    """Load the modules, run the script and return the code that it gave ``slicer.util.exit``; 1 if the script raised."""
    options, arguments = _options()
    slicer = boot(main_window=not options.no_main_window)
    for folder in options.additional_module_paths:
        load_module(slicer, (folder / f"{folder.name}.py").resolve())
    slicer.app.startupCompleted.emit()
    sys.argv = [str(options.python_script), *arguments]
    runpy.run_path(str(options.python_script), run_name="__main__")
    return int(slicer.app._exit_status)


def _options() -> tuple[argparse.Namespace, list[str]]:
    given = sys.argv[1:]
    split = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(prog="Slicer", description=__doc__)
    for flag in ("--testing", "--no-splash", "--no-main-window", "--ignore-slicerrc"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--additional-module-paths", nargs="+", type=Path, default=[])
    parser.add_argument("--python-script", type=Path, required=True)
    return parser.parse_args(given[:split]), given[split + 1 :]


if __name__ == "__main__":
    try:
        code = main()
    except Exception as error:  # noqa: BLE001 - as Slicer does: said, and the exit code is 1
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        code = 1
    from DicomWorkbenchLib.headless import shut_down

    shut_down()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # Qt and VTK objects end in no particular order otherwise, which can crash after all is done
