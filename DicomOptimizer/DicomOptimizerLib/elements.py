"""Setting and reading single elements without building pydicom's value objects, which costs more than all of the pixels' work.

Used for attributes whose value is known to be legal because this project computed it.
"""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag


@lru_cache(maxsize=512)
def _entry(keyword: str) -> tuple[BaseTag, str]:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    vr = dictionary_VR(tag)
    return Tag(tag), "US" if vr == "US or SS" else vr


def tag_of(keyword: str) -> BaseTag:
    """Return the tag of a keyword of the dictionary."""
    return _entry(keyword)[0]


@lru_cache(maxsize=4096)
def _element(keyword: str, value: str | int) -> RawDataElement:
    tag, vr = _entry(keyword)
    if isinstance(value, int) and vr == "US":
        content = struct.pack("<H", value)
    else:
        text = str(value)
        content = (text + ("\0" if vr == "UI" else " ") * (len(text) % 2)).encode("ascii")
    return RawDataElement(tag, vr, len(content), content, 0, False, True)


def put(dataset: Dataset, keyword: str, value: str | int | list[str]) -> None:
    """Set an element; several values as a list of strings. The writer gives it the encoding of its data set."""
    element = _element(keyword, "\\".join(value) if isinstance(value, list) else value)
    dataset[element.tag] = element


def put_decimals(dataset: Dataset, tag: BaseTag, values: list[str]) -> None:
    """Set a DS element of any tag, private ones included."""
    text = "\\".join(values)
    content = (text + " " * (len(text) % 2)).encode("ascii")
    dataset[tag] = RawDataElement(tag, "DS", len(content), content, 0, False, True)


def remove(dataset: Dataset, keyword: str) -> None:
    """Delete an element if it is there."""
    tag = _entry(keyword)[0]
    if tag in dataset:
        del dataset[tag]


def has(dataset: Dataset, keyword: str) -> bool:
    """Tell whether an element is there."""
    return _entry(keyword)[0] in dataset


def numbers(dataset: Dataset, keyword: str) -> FloatArray | None:
    """Return the values of a DS element, None if it is absent or empty."""
    tag = _entry(keyword)[0]
    if tag not in dataset:
        return None
    value = dataset.get_item(tag).value
    if isinstance(value, bytes):
        text = value.strip(b" \0")
        return np.array([float(part) for part in text.split(b"\\")]) if text else None
    return None if value is None or value == "" else np.atleast_1d(np.asarray(value, dtype=float))


def pair(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    """Return the two values of a DS element, such as PixelSpacing; None if there are not two."""
    values = numbers(dataset, keyword)
    return (float(values[0]), float(values[1])) if values is not None and len(values) == 2 else None


def texts(dataset: Dataset, keyword: str) -> list[str]:
    """Return the values of a text element, empty if it is absent."""
    tag = _entry(keyword)[0]
    if tag not in dataset:
        return []
    value = dataset.get_item(tag).value
    if isinstance(value, bytes) and value.isascii():
        text = value.decode("ascii").strip(" \0")
        return text.split("\\") if text else []
    value = dataset[tag].value
    return [] if value in (None, "") else [value] if isinstance(value, str) else [str(one) for one in value]
