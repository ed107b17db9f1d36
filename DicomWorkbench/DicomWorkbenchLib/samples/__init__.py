"""Synthetic DICOM data that look real, are made in seconds, and whose truth is known.

`SAMPLES` is the table of what there is; `make` makes one. The same name, seed and options give the same bytes.
"""

from __future__ import annotations

from DicomWorkbenchLib.samples.catalog import SAMPLES, Sample, SampleReport, SampleSettings, make, run
from DicomWorkbenchLib.samples.truth import TRUTH_NAME, read_truth

__all__ = ["SAMPLES", "TRUTH_NAME", "Sample", "SampleReport", "SampleSettings", "make", "read_truth", "run"]
