"""Good files of every format, and damaged ones made from them."""

from __future__ import annotations

import gzip
import io
import random
import zipfile

from queue_testing import dicom, nifti, nrrd


def zipped(content: bytes, name: str = "a/1.dcm") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


GOOD = {
    "scan.nii": nifti(),
    "scan.nii.gz": gzip.compress(nifti(seed=3)),
    "raw.nrrd": nrrd(),
    "packed.nrrd": nrrd(encoding="gzip"),
    "slice.dcm": dicom(),
    "slice.dicom": dicom(syntax="encapsulated"),
    "noending": dicom(),
    "study.zip": zipped(dicom()),
}


def mutants(count: int, seed: int) -> list[tuple[str, bytes]]:
    """Good files with bytes changed, removed, doubled or cut; each has a fixed seed."""
    draw, made = random.Random(seed), []
    names = sorted(GOOD)
    for number in range(count):
        name = names[number % len(names)]
        series = f"1.2.{number + 4}"  # of their own: slices of one series would be one scan
        dicoms = {
            "slice.dcm": dicom(series=series),
            "slice.dicom": dicom("encapsulated", series=series),
            "noending": dicom(series=series),
        }
        content = bytearray(dicoms.get(name, GOOD[name]))
        for _ in range(draw.choice([1, 4, 40])):
            place = draw.randrange(len(content))
            action = draw.choice(["change", "remove", "double", "cut"])
            if action == "change":
                content[place] = draw.randrange(256)
            elif action == "remove":
                del content[place : place + draw.randrange(1, 30)]
            elif action == "double":
                content[place:place] = content[place : place + draw.randrange(1, 30)]
            else:
                del content[max(place, 1) :]
            content = content or bytearray(b"\0")
        made.append((name, bytes(content)))
    return made
