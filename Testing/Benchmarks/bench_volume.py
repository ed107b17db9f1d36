"""A series of 300 slices to an array, against SimpleITK's ImageSeriesReader and a plain pydicom loop.

``main`` returns one row per measurement; ``python bench_volume.py`` prints them.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = dict[str, Any]
Peer = Callable[[list[str]], NDArray[Any]]

ROUNDS = 3  # each side is measured this often, in turns; the median counts
EXPLICIT_LE, JPEG_LS, HTJ2K = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.201"


def write_series(folder: Path, slices: int, size: int, syntax: str) -> None:
    """Write a noisy CT series of signed 12-bit values, every slice another one."""
    import imagecodecs
    import pydicom
    from pydicom.data import get_testdata_file
    from pydicom.encaps import encapsulate

    template = get_testdata_file("CT_small.dcm", download=False)
    assert isinstance(template, str)
    dataset = pydicom.dcmread(template)
    noise = np.random.default_rng(7).normal(1040, 25, (size, size)).astype(np.uint16)
    dataset.Rows = dataset.Columns = size
    dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = 0, 12, 11
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = syntax
    for number in range(slices):
        pixels = np.roll(noise, 17 * number)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = (
            f"1.2.826.0.1.3680043.8.498.2.{number + 1}"
        )
        dataset.ImagePositionPatient = [-150, -150, 1.25 * number]
        dataset.InstanceNumber = number + 1
        if syntax == EXPLICIT_LE:
            dataset.PixelData = pixels.tobytes()
        else:
            encode = imagecodecs.jpegls_encode if syntax == JPEG_LS else imagecodecs.htj2k_encode
            dataset.PixelData = encapsulate([encode(pixels)])
            dataset["PixelData"].VR = "OB"
        dataset.save_as(folder / f"{number:04d}.dcm")


def by_simpleitk(files: list[str]) -> NDArray[Any]:
    """Read as most scripts do with SimpleITK."""
    import SimpleITK as sitk  # noqa: N813 - everybody's name for it

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    return np.asarray(sitk.GetArrayFromImage(reader.Execute()))


def by_pydicom(files: list[str]) -> NDArray[Any]:
    """Read as most scripts do with pydicom."""
    import pydicom

    slices = []
    for file in files:
        dataset = pydicom.dcmread(file)
        stored = dataset.pixel_array.astype(np.int16)
        slices.append(stored * np.int16(dataset.RescaleSlope) + np.int16(dataset.RescaleIntercept))
    return np.stack(slices)


def by_imagecodecs(files: list[str]) -> NDArray[Any]:
    """Read compressed slices one after the other with the same decoder; pydicom and SimpleITK alone decode no HTJ2K."""
    import imagecodecs
    import pydicom
    from pydicom.encaps import generate_frames

    slices = []
    for file in files:
        dataset = pydicom.dcmread(file)
        stored = imagecodecs.htj2k_decode(next(generate_frames(dataset.PixelData, number_of_frames=1))).astype(np.int16)
        slices.append(stored * np.int16(dataset.RescaleSlope) + np.int16(dataset.RescaleIntercept))
    return np.stack(slices)


def compare(name: str, folder: Path, peers: dict[str, Peer]) -> list[Row]:
    """Measure our reading and that of the peers on the same files, in turns; all must give the same voxels."""
    from DicomWorkbenchLib.series import scan
    from DicomWorkbenchLib.volume import read_volume

    files = sorted(str(path) for path in folder.iterdir())
    ours: list[float] = []
    theirs: dict[str, list[float]] = {key: [] for key in peers}
    with scan(folder) as found:
        series = found.series[0]
        truth = read_volume(series).array
        for peer in peers.values():
            assert np.array_equal(truth, peer(files))
        del truth
        for _ in range(ROUNDS):
            ours.append(_seconds(lambda: read_volume(series)))
            for key, peer in peers.items():
                theirs[key].append(_seconds(partial(peer, files)))
    memory = working_memory_mb(folder)
    return [
        _row(name, statistics.median(ours), key, statistics.median(values), memory) for key, values in theirs.items()
    ]


_MEMORY_SCRIPT = """
import sys
from DicomWorkbenchLib.series import scan
from DicomWorkbenchLib.volume import read_volume
import imagecodecs._jpegls, imagecodecs._htj2k
def peak_mb():
    # The peak that getrusage reports is inherited from the parent; this one is the process's own (Linux).
    try:
        lines = open("/proc/self/status").read().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
with scan(sys.argv[1]) as found:
    before = peak_mb()
    array = read_volume(found.series[0]).array
    print(max(peak_mb() - before - array.nbytes / (1 << 20), 0))
"""


def working_memory_mb(folder: Path) -> float:
    """Measure what a process needs for reading beyond the array itself."""
    command = [sys.executable, "-c", _MEMORY_SCRIPT, str(folder)]
    run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    return float(run.stdout)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _row(name: str, ours: float, peer: str, theirs: float, memory: float) -> Row:
    return {
        "name": name,
        "ours_seconds": ours,
        "peer": peer,
        "peer_seconds": theirs,
        "ratio": theirs / ours,
        "memory_mb": memory,
    }


def main(quick: bool = False) -> list[Row]:
    """Run all measurements; ``quick`` takes a tenth of the slices. Memory is what reading needs beyond the array."""
    slices, size = (30 if quick else 300), 512
    peers: dict[str, Peer] = {"SimpleITK ImageSeriesReader": by_simpleitk, "plain pydicom loop": by_pydicom}
    cases = (
        ("uncompressed", EXPLICIT_LE, peers),
        ("JPEG-LS", JPEG_LS, peers),
        ("HTJ2K", HTJ2K, {"plain loop, pydicom and imagecodecs": by_imagecodecs}),
    )
    rows = []
    for name, syntax, against in cases:
        with tempfile.TemporaryDirectory() as folder:
            write_series(Path(folder), slices, size, syntax)
            rows += compare(f"{slices} x {size} x {size} {name} to array", Path(folder), against)
    return rows


def show(rows: list[Row]) -> None:
    """Print rows as a small table."""
    for row in rows:
        print(
            f"{row['name']:<44} {row['ours_seconds']:8.3f} s {row['peer_seconds']:8.3f} s {row['ratio']:6.2f} x "
            f"{row['memory_mb']:6.0f} MB  {row['peer']}"
        )


if __name__ == "__main__":
    show(main(quick="--quick" in sys.argv))
