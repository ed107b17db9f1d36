"""How large a result will be, from a few slices that are made in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from DicomWorkbenchLib.errors import FileError
from DicomWorkbenchLib.pixels import decode_pixels
from DicomWorkbenchLib.series import LinkedObject

from DicomOptimizerLib.encoding import compressed
from DicomOptimizerLib.planning import SeriesPlan
from DicomOptimizerLib.reading import BROKEN, read_file
from DicomOptimizerLib.settings import Compression
from DicomOptimizerLib.slices import new_pixels

SAMPLES = 3  # slices of a series differ little in size; these are taken at 1/4, 1/2 and 3/4 of it


def bytes_before(plan: SeriesPlan) -> int:
    """Size of a series' files."""
    return sum(instance.path.stat().st_size for instance in plan.series.instances)


def expected_bytes(plan: SeriesPlan) -> int:
    """Size of a series' files in the output, within a few per cent."""
    if plan.treatment is None:
        kept = {plan.series.planes[k].instance for k in plan.kept}
        return sum(instance.path.stat().st_size for instance in kept)
    sizes = []
    for share in np.linspace(0, 1, SAMPLES + 2)[1:-1]:
        k = plan.kept[round(share * (len(plan.kept) - 1))]
        try:
            sizes.append(_size_of(plan, k))
        except (FileError, *BROKEN):
            continue  # the job itself will report it
    return round(float(np.mean(sizes)) * len(plan.kept)) if sizes else 0


def _size_of(plan: SeriesPlan, k: int) -> int:
    instance = plan.series.planes[k].instance
    treatment = plan.treatment
    assert treatment is not None
    dataset, _, size = read_file(instance.path, instance.origin)
    header = size - len(dataset.PixelData)
    image = new_pixels(dataset, decode_pixels(dataset, origin=instance.origin)[0], treatment)
    pixels = (
        image.nbytes if treatment.compression is Compression.NONE else len(compressed(image, treatment.compression))
    )
    return header + pixels


def expected_linked_bytes(linked: Sequence[LinkedObject], plans: Sequence[SeriesPlan]) -> int:
    """Size of the linked objects in the output: contours and frames shrink with their slices, the rest stays."""
    shares = {plan.series.series_instance_uid: len(plan.kept) / len(plan.series.planes) for plan in plans}
    total = 0.0
    for one in linked:
        share = min((shares.get(uid, 1.0) for uid in one.series_instance_uids), default=1.0)
        total += one.path.stat().st_size * (share if one.modality in ("RTSTRUCT", "SEG") else 1.0)
    return round(total)
