"""One slice from file to file: read, hash, resample, reduce, describe, map UIDs, write.

The rules are applied to a data set element by element, which takes longer than its pixels do. So they make one slice of a series; further
ones take its header as a stencil (see `stencil`), once a second slice has come out the same both ways, byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from DicomWorkbenchLib.errors import FileError, PixelDataError
from DicomWorkbenchLib.pixels_format import PixelFormat
from DicomWorkbenchLib.pixels_native import native_frame
from DicomWorkbenchLib.uids import UidMap
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from DicomOptimizerLib.derivation import describe, state_sources
from DicomOptimizerLib.elements import has, tag_of
from DicomOptimizerLib.encoding import pixel_value, set_pixels
from DicomOptimizerLib.reading import dataset_of, read_content
from DicomOptimizerLib.references import rewire
from DicomOptimizerLib.settings import Compression
from DicomOptimizerLib.slices import FileResult, Job, SliceTask, new_pixels, stored_pixels
from DicomOptimizerLib.stencil import DECISIVE, Stencil
from DicomOptimizerLib.writing import encoded, pixel_element, store

MOST_MISFITS = 8  # slices in a row without anything in common, after which a series is left to the rules


@dataclass
class _Example:
    """A stencil with what belongs to it.

    Attributes
    ----------
    facts : elements of its slice that pixels depend on, as read.
    notes : warnings that came with its slice.
    misfits : how many stencils of this series were given up before it.
    is_proven : it made a slice like the rules.
    """

    stencil: Stencil
    facts: Dataset
    form: PixelFormat
    notes: tuple[str, ...]
    misfits: int = 0
    is_proven: bool = False


class SliceMaker:
    """Makes the slices of a job, in one process."""

    def __init__(self, job: Job, uids: UidMap) -> None:
        self._job = job
        self._uids = uids
        self._examples: dict[int, _Example | None] = {}  # by treatment; None: only the rules will do

    def make(self, task: SliceTask) -> FileResult:
        """Make one slice of the output.

        Raises
        ------
        PixelDataError : its pixels cannot be read.
        FileError : the file cannot be read at all.
        """
        content, digest = read_content(task.path, task.origin)
        example = self._examples.get(task.treatment)
        parts = self._by_example(example, content, task) if example is not None else None
        if example is not None and parts is not None and example.is_proven:
            return FileResult(digest, len(content), store(parts, task.target), example.notes)
        made, notes, facts = self._by_rules(content, task)
        if example is not None and parts is not None:
            example.is_proven = b"".join(parts) == made and example.notes == notes
            self._examples[task.treatment] = example if example.is_proven else None
        elif example is not None or task.treatment not in self._examples:
            misfits = example.misfits + 1 if example is not None else 0
            self._examples[task.treatment] = self._example(content, made, notes, facts, task, misfits)
        return FileResult(digest, len(content), store([made], task.target), notes)

    def _by_rules(self, content: bytes, task: SliceTask) -> tuple[bytes, tuple[str, ...], Dataset]:
        """Return the file of the output, warnings, and the elements that `Stencil` and the pixels depend on."""
        job, treatment = self._job, self._job.treatments[task.treatment]
        dataset = dataset_of(content, task.origin)
        facts = _facts(dataset)
        image = new_pixels(dataset, stored_pixels(dataset, task.origin), treatment)
        if not has(dataset, "SOPClassUID") or not has(dataset, "SOPInstanceUID"):
            raise FileError(f"{task.origin} does not say which image it is: SOPClassUID or SOPInstanceUID is missing")
        source = str(dataset.SOPClassUID), str(dataset.SOPInstanceUID)
        notes = job.deidentify.apply(dataset) if job.deidentify else []
        notes += describe(dataset, treatment, task.number)
        rewire(dataset, job.changes)
        self._uids.apply(dataset)
        state_sources(dataset, treatment, source if job.deidentify is None else None)
        set_pixels(dataset, image, treatment.compression)
        return encoded(dataset), tuple(notes), facts

    def _example(
        self, content: bytes, made: bytes, notes: tuple[str, ...], facts: Dataset, task: SliceTask, misfits: int
    ) -> _Example | None:
        treatment = self._job.treatments[task.treatment]
        if misfits > MOST_MISFITS:
            return None
        try:
            form = PixelFormat.of_dataset(facts)
            stencil = Stencil(content, made, facts, treatment, self._job.deidentify)
        except (ValueError, PixelDataError):
            return None
        is_simple = form.samples == form.frames == 1 and form.bits_allocated in (8, 16) and not form.float_bits
        return _Example(stencil, facts, form, notes, misfits) if is_simple else None

    def _by_example(self, example: _Example, content: bytes, task: SliceTask) -> list[bytes] | None:
        filled = example.stencil.fill(content, task.number, self._uids)
        if filled is None:
            return None
        treatment = self._job.treatments[task.treatment]
        image = new_pixels(example.facts, _stored(content, filled.pixels, example.form), treatment)
        value, vr = pixel_value(image, treatment.compression)
        encapsulated = treatment.compression is not Compression.NONE
        return [*filled.header, pixel_element(value, vr, encapsulated=encapsulated)]


def _facts(dataset: Dataset) -> Dataset:
    facts = Dataset({tag: dataset.get_item(tag) for tag in map(tag_of, DECISIVE) if tag in dataset})
    facts.file_meta = dataset.file_meta
    return facts


def _stored(content: bytes, first: int, form: PixelFormat) -> NDArray[Any]:
    if form.bits_allocated == form.bits_stored == 16:
        return np.frombuffer(content, form.dtype.newbyteorder("<"), form.rows * form.columns, first).reshape(
            form.rows, form.columns
        )
    return native_frame(content[first:], 0, form)
