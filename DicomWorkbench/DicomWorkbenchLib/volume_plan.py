"""What reading a volume needs to know of each slice before any pixel is read: format, rescale, and whether 16 bits will do."""

from __future__ import annotations

from dataclasses import dataclass

from DicomWorkbenchLib.errors import FileError, GeometryError, PixelDataError
from DicomWorkbenchLib.headers import Header, NotDicom, Tag, read_header
from DicomWorkbenchLib.pixels import PixelReader
from DicomWorkbenchLib.pixels_format import PixelFormat
from DicomWorkbenchLib.progress import CancelToken
from DicomWorkbenchLib.series_model import Instance, Plane, Series
from DicomWorkbenchLib.volume_rescale import (
    Rescale,
    padding_of_header,
    rescale_of_header,
    rescales_of_frames,
    units_of_header,
)


@dataclass(frozen=True, slots=True)
class SlicePlan:
    """One slice that is to be read."""

    plane: Plane
    rescale: Rescale
    is_whole: bool  # its real values are whole numbers
    surely_fits: bool  # ... that fit 16 bits, whatever the pixels are

    def open(self) -> PixelReader:
        """Open the image the slice is in."""
        return PixelReader(self.plane.instance.path, origin=self.plane.instance.origin)


@dataclass(frozen=True)
class VolumePlan:
    """All slices of a volume, their units and the values that mean nothing."""

    slices: list[SlicePlan]
    units: str
    padding: tuple[float, float] | None


def plan_slices(series: Series, cancel: CancelToken) -> VolumePlan:
    """Look at the headers of all planes.

    Raises
    ------
    FileError : a file is gone or changed since the scan.
    GeometryError : the images hold colours.
    """
    known: dict[Instance, _Image] = {}
    slices = []
    for plane in series.planes:
        cancel.check()
        image = known.get(plane.instance) or known.setdefault(plane.instance, _Image(plane.instance))
        slices.append(image.plan(plane))
    first = known[series.planes[0].instance]
    return VolumePlan(slices, first.units, padding_of_header(first.header, slices[0].rescale, first.form))


class _Image:
    """The header of one file, read once for all of its frames."""

    def __init__(self, instance: Instance) -> None:
        try:
            self.header: Header = read_header(instance.path)
        except NotDicom as error:
            raise FileError(f"{instance.origin} is not a DICOM file any more") from error
        try:
            self.form = PixelFormat.of_header(self.header)
        except PixelDataError as error:
            raise PixelDataError(f"{instance.origin}: {error}") from error
        if self.form.samples > 1:
            raise GeometryError(f"{instance.origin} holds colours; only images with one value per pixel are a volume")
        self.units = units_of_header(self.header)
        self._frames: list[Rescale] = []
        if Tag.PER_FRAME_GROUPS in self.header:
            self._frames, units = rescales_of_frames(instance)
            self.units = units or self.units
        self._rescale = rescale_of_header(self.header, instance)

    def plan(self, plane: Plane) -> SlicePlan:
        """Say how one plane of the image will be read."""
        rescale = self._frames[plane.frame] if plane.frame < len(self._frames) else self._rescale
        whole = rescale.is_whole and not self.form.float_bits and self.form.bits_allocated <= 16
        bits = self.form.bits_stored
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if self.form.signed else (0, (1 << bits) - 1)
        return SlicePlan(plane, rescale, whole, whole and rescale.fits_int16(low, high))
