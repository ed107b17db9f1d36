"""QIDO-RS: searching for studies, series and instances (DICOM PS3.18 section 10.6)."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from DicomWorkbenchLib.headers import quiet_pydicom
from DicomWorkbenchLib.web_problems import bad_request

from .catalog import CHARACTER_SET, INSTANCE_TAGS, SERIES, SERIES_TAGS, SOP, STUDY, STUDY_TAGS, Catalog, Instance

_MODALITY, _MODALITIES_IN_STUDY = 0x00080060, 0x00080061
_LEVEL_TAGS = {"study": STUDY_TAGS, "series": SERIES_TAGS, "instance": INSTANCE_TAGS}
_CONTROL = frozenset(("includefield", "limit", "offset", "fuzzymatching", "accept", "emptyvaluematching"))
_HEX = re.compile(r"[0-9A-Fa-f]{8}$")
_LONGEST_PATTERN = 1024
Attributes = dict[str, dict[str, Any]]


class Query:
    """A search as it came in: what to match and which page of the result."""

    def __init__(self, parameters: Iterable[tuple[str, str]]) -> None:
        self.matches: dict[int, str] = {}
        self.limit, self.offset = 0, 0
        for name, value in parameters:
            if name.lower() in _CONTROL:
                self._control(name.lower(), value)
            else:
                self.matches[tag_of(name)] = _checked(value)

    def _control(self, name: str, value: str) -> None:
        if name in ("limit", "offset"):
            if not value.isdecimal() or len(value) > 9:
                raise bad_request(f"{name} must be a number")
            setattr(self, name, int(value))

    def page(self, found: Sequence[Attributes]) -> list[Attributes]:
        """Return the part of the result that was asked for."""
        return list(found[self.offset : self.offset + self.limit] if self.limit else found[self.offset :])


def tag_of(name: str) -> int:
    """Return the tag of an attribute named by keyword or eight hexadecimal digits.

    Raises
    ------
    Problem : there is no such attribute (400).
    """
    from pydicom.datadict import tag_for_keyword

    name = name.rpartition(".")[2]
    tag = int(name, 16) if _HEX.match(name) else tag_for_keyword(name)
    if tag is None:
        raise bad_request(f"there is no attribute {name[:64]!r}")
    return int(tag)


def _checked(value: str) -> str:
    if len(value) > _LONGEST_PATTERN:
        raise bad_request(f"a search value is longer than {_LONGEST_PATTERN} characters")
    return value


def search(catalog: Catalog, level: str, query: Query, base: str, within: Mapping[int, str]) -> list[Attributes]:
    """Return the attributes of what matches.

    Parameters
    ----------
    level : "study", "series" or "instance".
    base : address of the DICOMweb root, for Retrieve URLs.
    within : UIDs from the path.
    """
    wanted = query.matches | dict(within)
    found = [_attributes(catalog, members, level, base) for members in _groups(catalog, level, wanted)]
    return query.page([attributes for attributes in found if _matches(attributes, wanted)])


def _groups(catalog: Catalog, level: str, wanted: Mapping[int, str]) -> Iterable[list[Instance]]:
    """Return candidates as lists of instances; UIDs in the query are looked up, not searched for."""
    sop, series, study = (wanted.get(tag, "") for tag in (SOP, SERIES, STUDY))
    if level == "instance":
        if sop and "*" not in sop and "," not in sop and "\\" not in sop:
            chosen = [catalog.instances[sop]] if sop in catalog.instances else []
        elif series in catalog.series:
            chosen = catalog.series[series]
        elif study in catalog.studies:
            chosen = catalog.find(study)
        else:
            chosen = list(catalog.instances.values())
        return ([instance] for instance in chosen)
    if level == "series":
        names = catalog.studies[study] if study in catalog.studies else list(catalog.series)
        return (catalog.series[name] for name in names)
    return (catalog.find(name) for name in list(catalog.studies))


def _attributes(catalog: Catalog, members: list[Instance], level: str, base: str) -> Attributes:
    first = members[0]
    tags = [*STUDY_TAGS]
    if level != "study":
        tags += SERIES_TAGS
    if level == "instance":
        tags += INSTANCE_TAGS
    found = values_as_json(first, tags)
    address = f"{base}/studies/{first.study}"
    if level == "study":
        modalities = sorted(
            {m.values[_MODALITY].raw.decode("ascii", "replace").strip(" \0") for m in members if _MODALITY in m.values}
        )
        found["00080061"] = {"vr": "CS", "Value": modalities} if modalities else {"vr": "CS"}
        found["00201206"] = {"vr": "IS", "Value": [len(catalog.studies[first.study])]}
        found["00201208"] = {"vr": "IS", "Value": [len(members)]}
    elif level == "series":
        address += f"/series/{first.series}"
        found["00201209"] = {"vr": "IS", "Value": [len(members)]}
    else:
        address += f"/series/{first.series}/instances/{first.sop}"
        found["00083002"] = {"vr": "UI", "Value": [first.transfer_syntax]}
    found["00080056"] = {"vr": "CS", "Value": ["ONLINE"]}
    found["00081190"] = {"vr": "UR", "Value": [address]}
    return dict(sorted(found.items()))


def values_as_json(instance: Instance, tags: Iterable[int]) -> Attributes:
    """Turn raw values into the DICOM JSON model (PS3.18 annex F)."""
    from pydicom import Dataset
    from pydicom.datadict import dictionary_VR
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    dataset = Dataset()
    for tag in (CHARACTER_SET, *tags):
        value = instance.values.get(tag)
        if value is not None:
            vr = value.vr or str(dictionary_VR(tag)).split(" ")[0]
            dataset[tag] = RawDataElement(
                Tag(tag), vr, len(value.raw), value.raw, 0, not instance.explicit, not instance.big_endian
            )
    with quiet_pydicom():
        found: Attributes = dataset.to_json_dict(suppress_invalid_tags=True)
    return found


def _matches(attributes: Attributes, wanted: Mapping[int, str]) -> bool:
    return all(_value_matches(attributes.get(f"{tag:08X}"), pattern) for tag, pattern in wanted.items())


def _value_matches(attribute: Mapping[str, Any] | None, pattern: str) -> bool:
    """Match one attribute: universal, single value, list of UIDs, wildcards, and ranges of dates and times (PS3.4 C.2.2.2)."""
    if pattern in ("", "*"):
        return True
    if attribute is None:
        return False  # the attribute is not one we can search by, or it is empty
    values = [_text(value) for value in attribute.get("Value", [])]
    vr = attribute.get("vr", "")
    if vr == "UI" or (vr == "CS" and ("," in pattern or "\\" in pattern)):
        return bool(set(values) & set(re.split(r"[,\\]", pattern)))
    if vr in ("DA", "TM", "DT") and "-" in pattern:
        low, _, high = pattern.partition("-")
        return any((not low or value >= low) and (not high or value[: len(high)] <= high) for value in values)
    if "*" in pattern or "?" in pattern:
        # only the two wildcards of DICOM: square brackets are letters
        expression = fnmatch.translate(pattern.replace("[", "[[]").casefold())
        return any(re.match(expression, value.casefold()) for value in values)
    return any(value.casefold() == pattern.casefold() for value in values)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("Alphabetic", ""))
    return str(value)
