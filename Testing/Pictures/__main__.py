"""Photograph every panel in its states on the stand-in host: ``make pictures`` writes ``docs/pictures``.

Each panel opens in a process of its own, as it would in Slicer; what is not installed leaves the other panels' pictures alone.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PANELS = ("optimizer", "tumors", "spheres", "queue", "stream")
NAMES = ("DicomOptimizer", "TumorAnalysis", "SphereVOI", "AutoSegmentQueue", "MultiframeStreamer")
SCREENSHOT = ROOT / "Resources" / "Screenshots" / "DicomWorkbench.png"
HEIGHT = 760  # pixels of the panels side by side
COLORS = 96  # of a picture's palette: a panel is grey, black and a few colours
LARGEST = 150_000  # bytes of a picture in docs


def main() -> int:
    """Photograph the panels named, or all; 1 if one of them had problems."""
    parser = argparse.ArgumentParser(prog="make pictures", description=__doc__)
    parser.add_argument("panels", nargs="*", choices=[*PANELS, []], help="which panels; all by default")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "pictures")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        _photograph(options.one, options.output)
    with tempfile.TemporaryDirectory() as folder:
        failed = [name for name in options.panels or PANELS if not _in_a_process(name, Path(folder))]
        options.output.mkdir(parents=True, exist_ok=True)
        for path in sorted(Path(folder).glob("*.png")):
            shrink(path, options.output / path.name)
        if not options.panels:
            side_by_side([Path(folder, f"{name}-done.png") for name in NAMES], SCREENSHOT)
    for name in failed:
        print(f"{name}: the pictures are not complete, see above", file=sys.stderr)
    return 1 if failed else 0


def _in_a_process(name: str, folder: Path) -> bool:
    print(f"{name} ...", flush=True)
    command = [sys.executable, "-m", "Pictures", "--one", name, "-o", str(folder)]
    return subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": str(ROOT / "Testing")}).returncode == 0


def _photograph(name: str, output: Path) -> None:
    from SlicerHost.panel import open_module

    os.environ["WORKBENCH_PICTURES"] = str(output)
    steps = importlib.import_module(f"Pictures.panel_{name}")
    scans = Path(tempfile.gettempdir(), "scans")  # stands in the panels' fields: short, and nobody's home
    shutil.rmtree(scans, ignore_errors=True)
    scans.mkdir()
    code = 1
    try:
        code = _taken(open_module(steps.MODULE), steps, scans)
    except Exception:  # noqa: BLE001 - whatever a panel does wrong is shown, and the process ends as below
        traceback.print_exc()
    finally:
        shutil.rmtree(scans, ignore_errors=True)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # Qt and VTK objects end in no particular order otherwise, which can crash after all is done


def _taken(panel: Any, steps: Any, scans: Path) -> int:
    steps.photograph(panel, scans)
    panel.close()
    for problem in panel.problems():
        print(f"problem: {problem}", flush=True)
    return 1 if panel.problems() else 0


def side_by_side(sources: list[Path], target: Path) -> None:
    """Write panels beside each other, all of one height, their lower parts cut off where one is longer."""
    from PIL import Image

    panels = [Image.open(path).convert("RGB") for path in sources if path.is_file()]
    cut = [panel.crop((0, 0, panel.width, min(panel.height, 1100))) for panel in panels]
    scaled = [panel.resize((round(panel.width * HEIGHT / 1100), round(panel.height * HEIGHT / 1100))) for panel in cut]
    sheet = Image.new("RGB", (sum(panel.width for panel in scaled), HEIGHT), scaled[0].getpixel((1, 1)))
    left = 0
    for panel in scaled:
        sheet.paste(panel, (left, 0))
        left += panel.width
    small = sheet.quantize(COLORS, dither=Image.Dither.NONE)
    small.save(target, optimize=True)


def shrink(source: Path, target: Path) -> None:
    """Write a picture with a palette; RuntimeError if it is larger than a page should carry."""
    from PIL import Image

    with Image.open(source) as picture:
        small = picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    small.save(target, optimize=True)
    if target.stat().st_size > LARGEST:
        raise RuntimeError(f"{target.name} has {target.stat().st_size} bytes, more than {LARGEST}")


if __name__ == "__main__":
    sys.exit(main())
