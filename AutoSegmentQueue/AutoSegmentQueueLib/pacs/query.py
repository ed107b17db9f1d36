"""Asking a peer what a study holds: C-FIND at series level, or QIDO-RS."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from AutoSegmentQueueLib.pacs.dimse_client import STUDY_ROOT_FIND, Caller, PeerError, association
from AutoSegmentQueueLib.pacs.peers import DimsePeer, Peer
from AutoSegmentQueueLib.pacs.web_client import WebClient

_PENDING = (0xFF00, 0xFF01)


@dataclass(frozen=True)
class SeriesAt:
    """A series as a peer describes it; ``count`` of its instances is None where the peer does not know."""

    series_uid: str
    modality: str
    count: int | None


def find_series(peer: Peer, caller: Caller, study_uid: str, series_uid: str = "") -> list[SeriesAt]:
    """Return the series of a study, or the one that is named.

    Raises
    ------
    PeerError : the peer cannot be reached, refuses, or says that it failed.
    DependencyError : the library is not installed.
    """
    if isinstance(peer, DimsePeer):
        return _by_dimse(peer, caller, study_uid, series_uid)
    return _by_web(WebClient(peer, caller), study_uid, series_uid)


def _by_dimse(peer: DimsePeer, caller: Caller, study_uid: str, series_uid: str) -> list[SeriesAt]:
    from pydicom.dataset import Dataset

    query = Dataset()
    query.QueryRetrieveLevel = "SERIES"
    query.StudyInstanceUID = study_uid
    query.SeriesInstanceUID = series_uid
    query.Modality = ""
    query.NumberOfSeriesRelatedInstances = ""
    found = []
    with association(peer, caller, [STUDY_ROOT_FIND]) as held:
        for status, answer in held.send_c_find(query, STUDY_ROOT_FIND):
            code = status.get("Status")
            if code in _PENDING and answer is not None:
                found.append(answer)
            elif code != 0:
                raise PeerError(f"{peer} could not search the study ({_code(code)})")
    return _unique(SeriesAt(str(one.SeriesInstanceUID), str(one.get("Modality") or ""), _number(one)) for one in found)


def _by_web(client: WebClient, study_uid: str, series_uid: str) -> list[SeriesAt]:
    return _unique(
        SeriesAt(
            str(_first(one, "0020000E") or ""), str(_first(one, "00080060") or ""), _positive(_first(one, "00201209"))
        )
        for one in client.series_of(study_uid, series_uid)
    )


def _unique(found: Iterable[SeriesAt]) -> list[SeriesAt]:
    return list({one.series_uid: one for one in found if one.series_uid}.values())


def _first(answer: dict[str, Any], tag: str) -> Any:
    return next(iter(answer.get(tag, {}).get("Value", [])), None)


def _number(answer: Any) -> int | None:
    return _positive(answer.get("NumberOfSeriesRelatedInstances"))


def _positive(value: Any) -> int | None:
    try:
        return int(value) or None
    except (TypeError, ValueError):
        return None


def _code(code: Any) -> str:
    return "no answer" if code is None else f"status 0x{int(code):04X}"
