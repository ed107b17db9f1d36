"""The tags that a scan reads from each header; all others are jumped over."""

from __future__ import annotations

from typing import ClassVar, Final


class Tag:
    """The tags we read, as ``group << 16 | element``."""

    MEDIA_SOP_CLASS: Final = 0x00020002
    MEDIA_SOP_INSTANCE: Final = 0x00020003
    TRANSFER_SYNTAX: Final = 0x00020010
    SPECIFIC_CHARACTER_SET: Final = 0x00080005
    IMAGE_TYPE: Final = 0x00080008
    SOP_CLASS: Final = 0x00080016
    SOP_INSTANCE: Final = 0x00080018
    MODALITY: Final = 0x00080060
    SERIES_DESCRIPTION: Final = 0x0008103E
    PATIENT_ID: Final = 0x00100020  # only ever compared, never shown or written
    SLICE_THICKNESS: Final = 0x00180050
    ECHO_TIME: Final = 0x00180081
    ECHO_NUMBER: Final = 0x00180086
    SPACING_BETWEEN_SLICES: Final = 0x00180088
    TRIGGER_TIME: Final = 0x00181060
    B_VALUE: Final = 0x00189087
    STUDY: Final = 0x0020000D
    SERIES: Final = 0x0020000E
    SERIES_NUMBER: Final = 0x00200011
    ACQUISITION_NUMBER: Final = 0x00200012
    INSTANCE_NUMBER: Final = 0x00200013
    POSITION: Final = 0x00200032
    ORIENTATION: Final = 0x00200037
    FRAME_OF_REFERENCE: Final = 0x00200052
    TEMPORAL_POSITION: Final = 0x00200100
    SAMPLES_PER_PIXEL: Final = 0x00280002
    PHOTOMETRIC: Final = 0x00280004
    PLANAR_CONFIGURATION: Final = 0x00280006
    FRAMES: Final = 0x00280008
    ROWS: Final = 0x00280010
    COLUMNS: Final = 0x00280011
    PIXEL_SPACING: Final = 0x00280030
    BITS_ALLOCATED: Final = 0x00280100
    BITS_STORED: Final = 0x00280101
    HIGH_BIT: Final = 0x00280102
    PIXEL_REPRESENTATION: Final = 0x00280103
    RESCALE_INTERCEPT: Final = 0x00281052
    RESCALE_SLOPE: Final = 0x00281053
    MODALITY_LUT: Final = 0x00283000
    RESCALE_TYPE: Final = 0x00281054
    PADDING: Final = 0x00280120
    PADDING_LIMIT: Final = 0x00280121
    UNITS: Final = 0x00541001
    FRAME_REFERENCE_TIME: Final = 0x00541300
    SHARED_GROUPS: Final = 0x52009229
    PER_FRAME_GROUPS: Final = 0x52009230
    EXTENDED_OFFSETS: Final = 0x7FE00001
    FLOAT_PIXELS: Final = 0x7FE00008
    DOUBLE_PIXELS: Final = 0x7FE00009
    PIXELS: Final = 0x7FE00010

    WANTED: ClassVar[frozenset[int]]
    BINARY_INTEGERS: ClassVar[frozenset[int]]
    DOUBLES: ClassVar[frozenset[int]]
    SEQUENCES: ClassVar[frozenset[int]]
    PIXEL_DATA: ClassVar[frozenset[int]]


Tag.PIXEL_DATA = frozenset({Tag.FLOAT_PIXELS, Tag.DOUBLE_PIXELS, Tag.PIXELS})
Tag.WANTED = (
    frozenset(value for name, value in vars(Tag).items() if name.isupper() and isinstance(value, int)) - Tag.PIXEL_DATA
) - {Tag.EXTENDED_OFFSETS}
Tag.DOUBLES = frozenset({Tag.B_VALUE})
Tag.SEQUENCES = frozenset({Tag.MODALITY_LUT, Tag.SHARED_GROUPS, Tag.PER_FRAME_GROUPS})
Tag.BINARY_INTEGERS = frozenset(
    {
        Tag.SAMPLES_PER_PIXEL,
        Tag.PLANAR_CONFIGURATION,
        Tag.ROWS,
        Tag.COLUMNS,
        Tag.BITS_ALLOCATED,
        Tag.BITS_STORED,
        Tag.HIGH_BIT,
        Tag.PIXEL_REPRESENTATION,
        Tag.PADDING,
        Tag.PADDING_LIMIT,
    }
)
