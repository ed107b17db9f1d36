"""Planes to stacks: grouped by what must be equal, split where they coincide, sorted along the normal, judged.

References
----------
DICOM PS3.3 C.7.6.2.1.1 (image position and orientation)
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from DicomWorkbenchLib.geometry import slice_normal
from DicomWorkbenchLib.series_judge import judge
from DicomWorkbenchLib.series_model import Orientation, Plane, Series, folder_of, origins_of
from DicomWorkbenchLib.series_problems import Problem, ProblemKind, named
from DicomWorkbenchLib.series_read import Identity, ImageRecord, SeriesFacts

MARK_NAMES = (
    "temporal position",
    "acquisition",
    "echo",
    "echo time",
    "b-value",
    "trigger time",
    "frame time",
    "image type",
)
"""What may tell planes at one position apart, in the order in which it is tried (`Plane.marks`)."""

Mark = Callable[[Plane], object]

SAME_DIRECTION = 1e-3  # cosine, 0.06 degrees: scanners round the cosines of one stack differently from slice to slice
SAME_POSITION_MM = 1e-3  # closer positions along the normal are the same place; real slices are at least 0.1 mm apart


def build_series(records: list[ImageRecord]) -> list[Series]:
    """Turn the image files of a scan into stacks, each with its own problems."""
    groups: dict[_Key, list[Plane]] = defaultdict(list)
    facts: dict[_Key, SeriesFacts] = {}
    directions: dict[Identity, list[Orientation]] = defaultdict(list)
    for record in records:
        identity, alone = record.facts.identity, _alone(record)
        for plane in record.planes:
            direction = _direction(plane, directions[identity])
            key = _Key(identity, direction, (plane.instance.rows, plane.instance.columns), alone)
            groups[key].append(plane)
            facts.setdefault(key, record.facts)
    result = [_series(facts[key], stack, reason) for key, planes in groups.items() for stack, reason in _split(planes)]
    result.sort(key=_order_of_series)
    _number_parts(result)
    for one in result:
        judge(one)
    return result


def _alone(record: ImageRecord) -> str:
    """Return what keeps a file from being stacked with others: it is a cine, or belongs to no series at all."""
    if record.planes[0].whole:
        return record.instance.origin
    return "" if record.facts.series_instance_uid else folder_of(record.instance.origin)


class _Key(NamedTuple):
    """What the planes of one stack have in common."""

    identity: Identity
    direction: int
    size: tuple[int, int]
    alone: str


def _order_of_series(one: Series) -> tuple[object, ...]:
    first = one.planes[0]
    marks = tuple((mark is None, 0 if mark is None else mark) for mark in first.marks)
    return one.study_instance_uid, one.number or 0, one.series_instance_uid, marks, first.instance.origin


def _direction(plane: Plane, known: list[Orientation]) -> int:
    """Return the number of the plane's direction among those of its series; -1 without one."""
    if plane.orientation_lps is None or plane.position_lps is None:
        return -1
    for number, direction in enumerate(known):
        if plane.orientation_lps is direction or _same_direction(plane.orientation_lps, direction):
            return number
    known.append(plane.orientation_lps)
    return len(known) - 1


def _same_direction(one: Orientation, other: Orientation) -> bool:
    return all(abs(a - b) <= SAME_DIRECTION for a, b in zip(one, other, strict=True))


def _split(planes: list[Plane]) -> list[tuple[list[Plane], str]]:
    """Sort planes into stacks in which no two coincide, as far as something tells them apart."""
    planes = _sorted(planes)
    names: list[str] = []
    stacks = [planes]
    for name, mark in _ways_to_tell_apart():
        if not any(_coincident(stack) for stack in stacks):
            break
        split = [part for stack in stacks for part in _split_by(stack, mark)]
        if len(split) > len(stacks):
            stacks = split
            names.append(name)
    stacks = [part for stack in stacks for part in _split_by_order(stack, names)]
    return [(stack, " and ".join(names)) for stack in stacks]


def _ways_to_tell_apart() -> Iterator[tuple[str, Mark]]:
    for number, name in enumerate(MARK_NAMES):
        yield name, partial(_mark, number)
    yield "folder", lambda plane: folder_of(plane.instance.origin)


def _mark(number: int, plane: Plane) -> object:
    return plane.marks[number] if plane.marks else None


def _split_by(stack: list[Plane], mark: Mark) -> list[list[Plane]]:
    """Split a stack by a mark if that is what tells its coincident planes apart; otherwise keep it whole."""
    deepest = max(Counter(_places(stack)).values())
    if deepest == 1:
        return [stack]
    parts: dict[object, list[Plane]] = defaultdict(list)
    for plane in stack:
        parts[mark(plane)].append(plane)
    # A mark that differs from slice to slice (a clock time) would tear the stack into single slices.
    helps = sum(map(_coincident, parts.values())) < _coincident(stack)
    return list(parts.values()) if 1 < len(parts) <= deepest and helps else [stack]


def _split_by_order(stack: list[Plane], names: list[str]) -> list[list[Plane]]:
    """Split a stack that holds every position equally often and nothing else tells apart: first ones, second ones, ..."""
    places = _places(stack)
    depths = set(Counter(places).values())
    if len(stack) < 4 or len(depths) != 1 or depths == {1} or len(set(places)) < 2:
        return [stack]
    parts: dict[int, list[Plane]] = defaultdict(list)
    met: Counter[int] = Counter()
    for place, plane in zip(places, stack, strict=True):
        parts[met[place]].append(plane)
        met[place] += 1
    if "order of instance numbers" not in names:
        names.append("order of instance numbers")
    return list(parts.values())


def _sorted(planes: list[Plane]) -> list[Plane]:
    """Sort along the normal; without positions by instance number and frame."""
    orientation = planes[0].orientation_lps

    def order(plane: Plane) -> tuple[object, ...]:
        number = plane.instance.instance_number
        return (number is None, number or 0, plane.frame, plane.instance.origin)

    if orientation is None or any(plane.position_lps is None for plane in planes):
        return sorted(planes, key=order)
    normal = slice_normal(orientation)

    def place(plane: Plane) -> tuple[object, ...]:
        along = float(np.asarray(plane.position_lps, dtype=float) @ normal)
        return (round(along / SAME_POSITION_MM), *order(plane))

    return sorted(planes, key=place)


def _places(stack: list[Plane]) -> list[int]:
    """Number the places along the normal that the planes of a sorted stack lie at; planes at one place share a number."""
    orientation = stack[0].orientation_lps
    if orientation is None or any(plane.position_lps is None for plane in stack):
        return list(range(len(stack)))
    along = np.asarray([plane.position_lps for plane in stack], dtype=float) @ slice_normal(orientation)
    return [0, *np.cumsum(np.diff(along) > SAME_POSITION_MM).tolist()]


def _coincident(stack: list[Plane]) -> int:
    """Count the planes that lie at the place of another one."""
    places = _places(stack)
    return len(places) - len(set(places))


def _series(facts: SeriesFacts, planes: list[Plane], reason: str) -> Series:
    series = Series(
        series_instance_uid=facts.series_instance_uid,
        study_instance_uid=facts.study_instance_uid,
        frame_of_reference_uid=facts.frame_of_reference_uid,
        modality=facts.modality,
        description=facts.description,
        number=facts.number,
        rows=planes[0].instance.rows,
        columns=planes[0].instance.columns,
        planes=planes,
    )
    series.split_by = reason
    return series


def _number_parts(all_series: list[Series]) -> None:
    by_uid: dict[str, list[Series]] = defaultdict(list)
    for one in all_series:
        by_uid[one.series_instance_uid].append(one)
    for parts in by_uid.values():
        for number, one in enumerate(parts, start=1):
            one.part, one.parts = number, len(parts)
        if len(parts) > 1:
            reasons = sorted({one.split_by for one in parts if one.split_by}) or ["orientation, size or kind of image"]
            one = parts[0]
            message = (
                f"one series holds {len(parts)} stacks, told apart by {' and '.join(reasons)}; each is treated on its own: "
                + named([part.planes[0].instance.origin for part in parts])
            )
            one.problems.append(
                Problem(ProblemKind.SPLIT_SERIES, message, origins_of(part.planes[0] for part in parts))
            )
