"""How the pixels of one image are stored: what the Image Pixel module and the transfer syntax say.

References
----------
DICOM PS3.3 C.7.6.3 (Image Pixel module), PS3.5 section 8 and annex A (encoding of pixel data)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from DicomWorkbenchLib.errors import PixelDataError
from DicomWorkbenchLib.headers import Header
from DicomWorkbenchLib.headers_parse import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from DicomWorkbenchLib.headers_tags import Tag

if TYPE_CHECKING:
    from pydicom import Dataset

NATIVE_SYNTAXES = frozenset({IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED_LE, ""})
GE_PRIVATE_IMPLICIT = "1.2.840.113619.5.2"  # implicit VR little endian with big endian pixel data
_FLOAT_BITS = {Tag.FLOAT_PIXELS: 32, Tag.DOUBLE_PIXELS: 64}
LARGEST_FRAME_BYTES = 1 << 33  # no real frame has 8 GB; a broken header may claim any number


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """Size and encoding of the frames of one image."""

    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    planar: bool  # colour planes one after the other (PlanarConfiguration 1)
    photometric: str
    transfer_syntax_uid: str
    low_bit: int = 0  # where native samples begin: HighBit + 1 - BitsStored
    swapped: bool = False  # bytes swapped pairwise: 8-bit pixels written as big endian words
    float_bits: int = 0  # 32 or 64 where the pixels are floating point numbers

    def __post_init__(self) -> None:
        if not (self.rows > 0 and self.columns > 0 and self.frames > 0):
            raise PixelDataError(f"Rows, Columns and frames are {self.rows} x {self.columns} x {self.frames}")
        if self.samples not in (1, 3, 4):
            raise PixelDataError(f"SamplesPerPixel is {self.samples}, expected 1, 3 or 4")
        if self.float_bits == 0 and not (
            self.bits_allocated in (1, 8, 16, 32, 64) and 1 <= self.bits_stored <= self.bits_allocated
        ):
            raise PixelDataError(
                f"BitsAllocated {self.bits_allocated} with BitsStored {self.bits_stored} is not possible"
            )
        if self.frame_bits // 8 > LARGEST_FRAME_BYTES:
            raise PixelDataError(
                f"one frame of {self.rows} x {self.columns} pixels would be larger than any real image"
            )

    @classmethod
    def of_header(cls, header: Header) -> PixelFormat:
        """Take the format from a header read by `headers.read_header`."""
        allocated = header.integer(Tag.BITS_ALLOCATED) or 16
        stored = header.integer(Tag.BITS_STORED) or allocated
        return cls(
            rows=header.integer(Tag.ROWS) or 0,
            columns=header.integer(Tag.COLUMNS) or 0,
            frames=max(header.integer(Tag.FRAMES) or 1, 1),
            samples=header.integer(Tag.SAMPLES_PER_PIXEL) or 1,
            bits_allocated=allocated,
            bits_stored=stored,
            signed=header.integer(Tag.PIXEL_REPRESENTATION) == 1,
            planar=header.integer(Tag.PLANAR_CONFIGURATION) == 1,
            photometric=header.text(Tag.PHOTOMETRIC),
            transfer_syntax_uid=header.transfer_syntax_uid,
            low_bit=_low_bit(allocated, stored, header.integer(Tag.HIGH_BIT)),
            swapped=header.parsed.big_endian and allocated <= 8 and header.parsed.pixel_vr == b"OW",
            float_bits=_FLOAT_BITS.get(header.parsed.pixel_tag, 0),
        )

    @classmethod
    def of_dataset(cls, dataset: Dataset) -> PixelFormat:
        """Take the format from a pydicom data set."""
        try:
            return cls._of_dataset(dataset)
        except (ValueError, TypeError) as error:
            raise PixelDataError(f"the description of its pixels is broken: {error}") from error

    @classmethod
    def _of_dataset(cls, dataset: Dataset) -> PixelFormat:
        allocated = int(dataset.get("BitsAllocated") or 16)
        meta = getattr(dataset, "file_meta", None)
        syntax = str(meta.get("TransferSyntaxUID", "")) if meta is not None else ""
        stored = int(dataset.get("BitsStored") or allocated)
        words = "PixelData" in dataset and dataset["PixelData"].VR == "OW"
        return cls(
            rows=int(dataset.get("Rows") or 0),
            columns=int(dataset.get("Columns") or 0),
            frames=max(int(dataset.get("NumberOfFrames") or 1), 1),
            samples=int(dataset.get("SamplesPerPixel") or 1),
            bits_allocated=allocated,
            bits_stored=stored,
            signed=dataset.get("PixelRepresentation") == 1,
            planar=dataset.get("PlanarConfiguration") == 1,
            photometric=str(dataset.get("PhotometricInterpretation") or ""),
            transfer_syntax_uid=syntax,
            low_bit=_low_bit(allocated, stored, dataset.get("HighBit")),
            swapped=syntax == EXPLICIT_BE and allocated <= 8 and words,
            float_bits=next((bits for tag, bits in _FLOAT_BITS.items() if tag in dataset), 0),
        )

    @property
    def is_native(self) -> bool:
        """True if the frames lie uncompressed one behind the other."""
        return self.transfer_syntax_uid in NATIVE_SYNTAXES or self.transfer_syntax_uid == GE_PRIVATE_IMPLICIT

    @property
    def big_endian_pixels(self) -> bool:
        """True if words of native pixel data are big endian."""
        return self.transfer_syntax_uid in (EXPLICIT_BE, GE_PRIVATE_IMPLICIT)

    @property
    def frame_bits(self) -> int:
        """Bits of one native frame; frames of 1-bit images need not end on a byte (PS3.5 8.1.1)."""
        # 4:2:2 keeps two luminance samples for each pair of colour samples: two samples per pixel instead of three.
        samples = 2 if self.photometric == "YBR_FULL_422" and self.is_native else self.samples
        return self.rows * self.columns * samples * (self.float_bits or self.bits_allocated)

    def check_length(self, length: int) -> None:
        """Raise `PixelDataError` if native pixel data of ``length`` bytes are too short for all frames."""
        needed = (self.frame_bits * self.frames + 7) // 8
        if self.is_native and length < needed:
            frames = f"{self.frames} x " if self.frames > 1 else ""
            size = f"{frames}{self.rows} x {self.columns}"
            raise PixelDataError(f"the pixel data have {length} bytes; {size} pixels need {needed}")

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of stored values in memory, native byte order."""
        if self.float_bits:
            return np.dtype(f"f{self.float_bits // 8}")
        return np.dtype(f"{'i' if self.signed else 'u'}{max(self.bits_allocated // 8, 1)}")


def _low_bit(allocated: int, stored: int, high_bit: int | None) -> int:
    """Return the bit at which samples begin; 0 where HighBit is missing or impossible."""
    return high_bit + 1 - stored if high_bit is not None and stored - 1 <= high_bit < allocated else 0
