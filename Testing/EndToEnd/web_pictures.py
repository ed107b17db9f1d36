"""Take the pictures of docs/queue-web.md anew: ``python -m EndToEnd.web_pictures`` from Testing; look at them before they are committed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "pictures" / "queue-web"
MOST_BYTES = 150_000
# Picture of a proof -> (name in the manual, width in pixels, height that is kept)
CHOSEN = {
    "queue-light": ("queue", 1100, None),
    "upload-running": ("uploading", 1100, 700),
    "upload-server-lost": ("server-lost", 1100, 700),
    "upload-after-reload": ("after-reload", 1100, 700),
    "job-running-dark": ("running-dark", 1100, 430),
    "job-failed-light": ("failed", 1100, 640),
    "paused-full-light": ("paused-and-full", 1100, 640),
    "empty-light": ("empty", 1100, None),
    "login-light": ("login", 1100, 500),
    "session-ended-dark": ("session-ended-dark", 1100, 500),
    "viewer-light": ("viewer", 1100, 700),
    "delete-light": ("delete", 1100, None),
    "problem-404-light": ("not-found", 1100, 500),
    "result-light": ("result", 1100, 1560),
    "result-hidden": ("hidden", 1100, None),
    "slices": ("slices", 1100, None),
    "no-webgl": ("no-webgl", 1100, 620),
    "phone-queue": ("phone-queue", 390, None),
    "phone-result": ("phone-result", 390, None),
}


def shrink(source: Path, target: Path, width: int, height: int | None) -> int:
    """Write a picture smaller: narrower, cut off below, with a palette of as many colours as fit; returns its bytes."""
    with Image.open(source) as opened:
        picture = opened.convert("RGB")
    picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    if height is not None:
        picture = picture.crop((0, 0, width, min(height, picture.height)))
    # The palette keeps rare colours too: a small green word on a page of greys.
    for colors in (256, 128, 64, 40):
        picture.quantize(colors, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE).save(
            target, optimize=True
        )
        if target.stat().st_size <= MOST_BYTES:
            break
    return target.stat().st_size


def main(taken: Path | None = None) -> None:
    """Run the proofs that take pictures, and bring those of the manual there."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = taken or Path(temporary)
        if taken is None:
            tests = sorted(str(path) for path in Path(__file__).parent.glob("test_web_*.py"))
            subprocess.run(
                [sys.executable, "-m", "pytest", "-q", *tests],
                cwd=ROOT,
                check=True,
                env=os.environ | {"WORKBENCH_PICTURES": str(folder)},
            )
        TARGET.mkdir(parents=True, exist_ok=True)
        for name, (short, width, height) in CHOSEN.items():
            print(f"{short}: {shrink(folder / f'{name}.png', TARGET / f'{short}.png', width, height)} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
