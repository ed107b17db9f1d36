"""Sending to a PACS: images per second by C-STORE and STOW-RS into Orthanc, against DCMTK's storescu in the same run; and what a SEG costs.

The same slices go into the same Orthanc, which is emptied in between. Ours reads, sends and waits for each answer, as the outbox does.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SIZE = 512
CALLER = "BENCH"
Row = dict[str, Any]


def main(quick: bool = False) -> list[Row]:
    """Run all measurements; ``quick`` takes fewer slices."""
    for name in ("queue_testing", "pacs_testing"):
        _load_helper(name)
    with tempfile.TemporaryDirectory() as name:
        return [*_sending(Path(name), 40 if quick else 200, 1 if quick else 3), *_writing(Path(name), quick)]


def _load_helper(name: str) -> None:
    """Make a package of the tests importable, as pytest does by its configuration."""
    folder = ROOT / "Testing" / name
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec and spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def _sending(folder: Path, count: int, repeats: int) -> list[Row]:
    from pacs_testing import Peer, free_port, orthanc, small_slices

    paths = small_slices(folder / "ct", count, size=SIZE)
    with orthanc(folder / "pacs", peers={"bench": Peer(CALLER, free_port())}) as pacs:

        def rate(send: Callable[[], None]) -> float:
            return max(_timed(pacs, send, count) for _ in range(repeats))

        node = f"ORTHANC@127.0.0.1:{pacs.dicom_port}"
        dcmtk = ["storescu", "-aet", CALLER, "-aec", "ORTHANC", "+sd", "127.0.0.1", str(pacs.dicom_port)]
        theirs = rate(lambda: _run([*dcmtk, str(folder / "ct")]))
        ways = (
            ("C-STORE out, 1 association", node, 1),
            ("C-STORE out, 4 associations", node, 4),
            ("STOW-RS out", pacs.dicomweb, 1),
        )
        return [
            {
                "name": f"{name}, against storescu with 1",
                "ratio": round((ours := rate(_sender(paths, to, associations))) / theirs, 2),
                "images_per_s": round(ours, 1),
                "peer_images_per_s": round(theirs, 1),
            }
            for name, to, associations in ways
        ]


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _sender(paths: list[Path], to: str, associations: int) -> Callable[[], None]:
    from AutoSegmentQueueLib.pacs.destinations import destination_of
    from AutoSegmentQueueLib.pacs.send_objects import object_of
    from AutoSegmentQueueLib.pacs.send_settings import SendSettings

    settings = SendSettings(ae_title=CALLER, associations=associations)
    return lambda: destination_of(to, settings).store([object_of(path) for path in paths])


def _timed(pacs: Any, send: Callable[[], None], count: int) -> float:
    began = time.perf_counter()
    send()
    rate = count / (time.perf_counter() - began)
    assert pacs.ask("statistics")["CountInstances"] == count
    for patient in pacs.ask("patients"):
        pacs.ask(f"patients/{patient}", method="DELETE")
    return rate


def _writing(folder: Path, quick: bool) -> list[Row]:
    """Write the same label map as BINARY and as LABELMAP."""
    import numpy as np
    from AutoSegmentQueueLib import job_input
    from AutoSegmentQueueLib.dicom_objects.identity import Identity
    from AutoSegmentQueueLib.dicom_objects.rtstruct import write_structure_set
    from AutoSegmentQueueLib.dicom_objects.seg import write_segmentation
    from AutoSegmentQueueLib.engines.model import Segmented, Structure
    from DicomWorkbenchLib.progress import NEVER, no_progress
    from pacs_testing import small_slices

    slices = 20 if quick else 100
    small_slices(folder / "scan", slices, size=256)
    loaded = job_input.load([folder / "scan"], no_progress, NEVER)
    assert loaded.source is not None
    k, j, i = np.indices(loaded.volume.array.shape)
    near = (k % 25 - 12) ** 2 + (j % 50 - 25) ** 2 + (i % 50 - 25) ** 2 < 12**2
    labels = np.where(near, 1 + (j // 50) * 5 + i // 50, 0).astype(np.uint16)
    found = tuple(Structure(f"structure {n}", (n,), (1.0, 0.5, 0.0)) for n in np.unique(labels[labels > 0]).tolist())
    segmented = Segmented(labels, found, {"name": "bench", "version": "1"})
    identity, source = Identity.of(loaded.source, segmented, {}), loaded.source

    def measured(name: str, write: Callable[[Path], Any]) -> tuple[float, int]:
        path, best = folder / name, float("inf")
        for _ in range(2):
            began = time.perf_counter()
            write(path)
            best = min(best, time.perf_counter() - began)
        return best, path.stat().st_size

    binary = measured("b.dcm", lambda path: write_segmentation(path, source, segmented, identity))
    labelmap = measured("l.dcm", lambda path: write_segmentation(path, source, segmented, identity, labelmap=True))
    contours = measured("r.dcm", lambda path: write_structure_set(path, source, segmented, identity, NEVER))
    what = f"{len(found)} structures on {slices} x 256 x 256"
    return [
        {"name": f"{name} of {what}", "ratio": round(binary[0] / seconds, 2), "seconds": round(seconds, 2), "MB": round(size / 1e6, 2)}
        for name, (seconds, size) in (("SEG BINARY", binary), ("SEG LABELMAP", labelmap), ("RTSTRUCT", contours))
    ]  # fmt: skip
