"""Stored pixel values of any DICOM image, frame by frame.

Native and compressed data sets of every still-image transfer syntax. imagecodecs decodes; where it is missing, pydicom's plugins are asked.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from DicomWorkbenchLib.errors import DependencyError, FileError, PixelDataError
from DicomWorkbenchLib.headers import Header, inflated, quiet_pydicom, read_dataset, read_header
from DicomWorkbenchLib.headers_parse import UNDEFINED, NotDicom
from DicomWorkbenchLib.pixels_codecs import BY_ZLIB, decode_frame
from DicomWorkbenchLib.pixels_format import PixelFormat
from DicomWorkbenchLib.pixels_frames import Span, Stream, encapsulated_spans, joined, native_frame_bytes
from DicomWorkbenchLib.pixels_native import PixelArray, native_frame

if TYPE_CHECKING:
    from pydicom import Dataset

_VALUE_NAMES = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


class PixelReader:
    """Gives single frames of one image; the file stays open meanwhile. Use it as a context manager.

    Parameters
    ----------
    image : a file, or a pydicom data set with its pixel data.
    origin : how messages name the image; None takes the file's path.
    header : of the file, if it was read already.
    spans : where the fragments of its frames lie, if another reader of the same file found them (`PixelReader.spans`).

    Raises
    ------
    PixelDataError : the image has no pixels, or they cannot be what its header says; the message names it.
    FileError : the file cannot be read.
    """

    def __init__(
        self,
        image: Path | Dataset,
        *,
        origin: str | None = None,
        header: Header | None = None,
        spans: list[list[Span]] | None = None,
    ) -> None:
        self._image = image
        self.origin = origin or (str(image) if isinstance(image, Path) else "the image")
        self.spans = spans
        try:
            self._open(image, header)
        except PixelDataError as error:
            raise self._named(error) from error

    def _open(self, image: Path | Dataset, header: Header | None) -> None:
        if isinstance(image, Path):
            header = header or _header(image, self.origin)
            parsed = header.parsed
            self.form = PixelFormat.of_header(header)
            if not parsed.pixel_tag:
                raise PixelDataError("it has no pixel data")
            self._start, self._length = parsed.pixel_offset, parsed.pixel_length
            self._stream: Stream = _stream(image, header, self.form)
        else:
            value = next((image[name].value for name in _VALUE_NAMES if name in image), None)
            if not value:
                raise PixelDataError("it has no pixel data")
            self.form = PixelFormat.of_dataset(image)
            self._stream, self._start, self._length = io.BytesIO(value), 0, len(value)

    def __enter__(self) -> PixelReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def frame(self, index: int) -> PixelArray:
        """Return frame ``index`` (from 0): (rows, columns), or (rows, columns, 3) as RGB.

        Raises
        ------
        PixelDataError : the frame is missing, cut off or broken; the message names the image.
        DependencyError : the frame is compressed and no decoder for it is installed.
        """
        if not 0 <= index < self.form.frames:
            raise PixelDataError(f"{self.origin} has {self.form.frames} frames; number {index} does not exist")
        try:
            if self.form.is_native:
                data, bit = native_frame_bytes(self._stream, self._start, self._native_length(), self.form, index)
                return native_frame(data, bit, self.form)
            return self._decoded(index)
        except PixelDataError as error:
            raise self._named(error) from error

    def read_into(self, out: PixelArray) -> bool:
        """Read the one frame of a native image straight into ``out``; False if its bytes are not those in the file."""
        form = self.form
        if not form.is_native or form.big_endian_pixels or form.frames != 1 or form.frame_bits != out.nbytes * 8:
            return False
        try:
            if self._native_length() * 8 < form.frame_bits:
                native_frame_bytes(self._stream, self._start, self._native_length(), form, 0)
            self._stream.seek(self._start)
            if self._stream.readinto(out.reshape(-1).view(np.uint8).data) < out.nbytes:
                raise PixelDataError("the file ends before its pixel data do")
        except PixelDataError as error:
            raise self._named(error) from error
        return True

    def _native_length(self) -> int:
        if self._length == UNDEFINED:
            raise PixelDataError("the pixel data are encapsulated, the transfer syntax says they are not")
        return self._length

    def _decoded(self, index: int) -> PixelArray:
        if self.form.transfer_syntax_uid not in BY_ZLIB and not have_imagecodecs():
            return self._decoded_by_pydicom(index)
        if self.spans is None:
            if isinstance(self._image, Path) and self._length != UNDEFINED:
                raise PixelDataError("the transfer syntax says that the pixel data are compressed, and they are not")
            self.spans = encapsulated_spans(self._stream, self._start, self.form.frames)
        return decode_frame(joined(self._stream, self.spans[index]), self.form)

    def _decoded_by_pydicom(self, index: int) -> PixelArray:
        dataset = read_dataset(self._image) if isinstance(self._image, Path) else self._image
        return pydicom_frame(dataset, index)

    def _named(self, error: PixelDataError) -> PixelDataError:
        return PixelDataError(f"{self.origin}: {error}")


def decode_pixels(
    image: Path | Dataset, *, frames: Sequence[int] | None = None, origin: str | None = None
) -> PixelArray:
    """Return the stored values of an image, before any rescale.

    Parameters
    ----------
    image : a file, or a pydicom data set with its pixel data.
    frames : which frames, from 0; None takes all.
    origin : how messages name the image; None takes the file's path.

    Returns
    -------
    (frames, rows, columns) array, or (frames, rows, columns, 3) with colours as RGB; indices into the palette where there is one.

    Raises
    ------
    PixelDataError : the pixels are missing, cut off or broken; the message names the image.
    DependencyError : they are compressed and no decoder for them is installed.
    FileError : the file cannot be read.
    """
    with PixelReader(image, origin=origin) as reader:
        wanted = range(reader.form.frames) if frames is None else frames
        return np.stack([reader.frame(index) for index in wanted])


@cache
def have_imagecodecs() -> bool:
    """True if imagecodecs can be imported."""
    return importlib.util.find_spec("imagecodecs") is not None


def pydicom_frame(dataset: Dataset, index: int) -> PixelArray:
    """Decode one frame with the plugins that pydicom finds, the one under the GPL left out.

    Raises
    ------
    DependencyError : there is no plugin for the transfer syntax.
    PixelDataError : the frame cannot be decoded.
    """
    from pydicom.pixels.decoders.base import get_decoder

    uid = dataset.file_meta.TransferSyntaxUID
    needed = DependencyError(
        f"a decoder for images stored as {uid.name}", hint="install imagecodecs: pip install imagecodecs"
    )
    try:
        decoder = get_decoder(uid)
    except NotImplementedError as error:
        raise needed from error
    jpeg = str(uid).startswith("1.2.840.10008.1.2.4.") and int(str(uid).rpartition(".")[2]) < 90
    plugins = [name for name in decoder.available_plugins if not (jpeg and name == "pylibjpeg")]  # libjpeg plugin: GPL
    if not plugins:
        raise needed
    try:
        with quiet_pydicom():
            values, _ = decoder.as_array(dataset, index=index, decoding_plugin=plugins[0])
    except (RuntimeError, ValueError, NotImplementedError, AttributeError) as error:
        raise PixelDataError(f"the compressed pixel data cannot be decoded: {error}") from error
    return np.asarray(values)


def _header(path: Path, origin: str) -> Header:
    try:
        return read_header(path)
    except NotDicom as error:
        raise FileError(f"{origin} is not a DICOM file") from error


def _stream(path: Path, header: Header, form: PixelFormat) -> Stream:
    parsed = header.parsed
    if parsed.deflated:
        return io.BytesIO(inflated(path, parsed.pixel_offset + (form.frame_bits * form.frames + 7) // 8 + 8))
    return open(path, "rb", buffering=0)
