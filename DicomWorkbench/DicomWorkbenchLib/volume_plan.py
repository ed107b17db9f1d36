"""What reading a volume needs to know of each slice before any pixel is read: format, rescale, and whether 16 bits will do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from DicomWorkbenchLib.errors import FileError, GeometryError, PixelDataError
from DicomWorkbenchLib.headers import Header, NotDicom, Tag, read_header
from DicomWorkbenchLib.pixels import PixelReader
from DicomWorkbenchLib.pixels_format import PixelFormat
from DicomWorkbenchLib.pixels_frames import Span
from DicomWorkbenchLib.pixels_native import PixelArray
from DicomWorkbenchLib.progress import CancelToken
from DicomWorkbenchLib.series_model import Instance, Plane, Series
from DicomWorkbenchLib.volume_rescale import (
    Rescale,
    padding_of_header,
    rescale_of_header,
    rescales_of_frames,
    units_of_header,
)


class SourceImage:
    """One file of a series, its header read once for all of its frames.

    Raises
    ------
    FileError : the file is gone, broken, or changed since the scan; names it.
    GeometryError : it holds colours.
    """

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        try:
            self.header: Header = read_header(instance.path)
            self.form = PixelFormat.of_header(self.header)
            self.form.check_length(self.header.parsed.pixel_length)
        except NotDicom as error:
            raise FileError(f"{instance.origin} is not a DICOM file any more") from error
        except PixelDataError as error:
            raise PixelDataError(f"{instance.origin}: {error}") from error
        form = self.form
        if (form.rows, form.columns, form.frames) != (instance.rows, instance.columns, instance.frames):
            raise FileError(f"{instance.origin} has changed since it was found; scan again")
        if form.samples > 1:
            raise GeometryError(f"{instance.origin} holds colours; only images with one value per pixel are a volume")
        self.units = units_of_header(self.header)
        self._frames: list[Rescale] = []
        if Tag.PER_FRAME_GROUPS in self.header:
            self._frames, units = rescales_of_frames(instance)
            self.units = units or self.units
        self._rescale = rescale_of_header(self.header, instance)
        self._spans: list[list[Span]] | None = None

    def rescale(self, frame: int) -> Rescale:
        """Return the rescale of one frame."""
        return self._frames[frame] if frame < len(self._frames) else self._rescale

    @property
    def padding(self) -> tuple[float, float] | None:
        """Range of real values that mean nothing."""
        return padding_of_header(self.header, self.rescale(0), self.form)

    def open(self) -> PixelReader:
        """Open the file for its pixels."""
        instance = self.instance
        return PixelReader(instance.path, origin=instance.origin, header=self.header, spans=self._spans)

    def frame(self, reader: PixelReader, index: int) -> PixelArray:
        """Decode one frame (rows, columns)."""
        values = reader.frame(index)
        self._spans = reader.spans  # the same for every reader of the file: found once, used by all
        if values.ndim != 2:
            raise GeometryError(
                f"{self.instance.origin} holds colours; only images with one value per pixel are a volume"
            )
        return values


@dataclass(frozen=True, slots=True)
class SlicePlan:
    """One slice that is to be read.

    Attributes
    ----------
    place : index k in the result.
    is_whole : its real values are whole numbers.
    surely_fits : and they fit 16 bits, whatever the pixels are.
    """

    place: int
    plane: Plane
    image: SourceImage
    rescale: Rescale
    is_whole: bool
    surely_fits: bool


def plan_slices(series: Series, cancel: CancelToken, on_error: Callable[[int, FileError], None]) -> list[SlicePlan]:
    """Look at the headers of all planes; those that cannot be used go to ``on_error`` with their index, and are left out."""
    images: dict[Instance, SourceImage] = {}
    plans = []
    for place, plane in enumerate(series.planes):
        cancel.check()
        try:
            if plane.instance not in images:
                images[plane.instance] = SourceImage(plane.instance)
        except FileError as error:
            on_error(place, error)
            continue
        plans.append(_plan(place, plane, images[plane.instance]))
    return plans


def _plan(place: int, plane: Plane, image: SourceImage) -> SlicePlan:
    form, rescale = image.form, image.rescale(plane.frame)
    whole = rescale.is_whole and not form.float_bits and form.bits_allocated <= 16
    half = 1 << form.bits_stored - 1
    low, high = (-half, half - 1) if form.signed else (0, 2 * half - 1)
    return SlicePlan(place, plane, image, rescale, whole, whole and rescale.fits_int16(low, high))
