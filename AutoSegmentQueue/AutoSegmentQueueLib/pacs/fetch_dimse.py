"""C-GET and C-MOVE of a series, or of those of its instances that are missing here (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from AutoSegmentQueueLib.pacs.chunked import written_to
from AutoSegmentQueueLib.pacs.dimse_client import (
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    PeerError,
    association,
)
from AutoSegmentQueueLib.pacs.peers import DimsePeer
from AutoSegmentQueueLib.pacs.query import SeriesAt
from AutoSegmentQueueLib.pacs.received import SeriesFolder, slice_name

if TYPE_CHECKING:
    from AutoSegmentQueueLib.pacs.fetching import Fetch

MOST_CONTEXTS = 128  # PS3.8 9.3.2.2: odd numbers up to 255
MOST_UIDS = 100  # in one request, so that it stays small
_PENDING, _SUCCESS, _SOME_FAILED = (0xFF00, 0xFF01), 0x0000, 0xB000


class NoGet(PeerError):
    """The peer does not offer C-GET."""


def get_series(
    peer: DimsePeer, fetch: Fetch, one: SeriesAt, folder: SeriesFolder, arrived: Callable[[int], None]
) -> None:
    """Fetch on our own association: the peer stores back on it.

    Raises
    ------
    NoGet : the peer does not offer that.
    PeerError : it fails.
    """
    from pynetdicom import build_role, evt

    instances = _instances(peer, fetch, one)
    contexts = _contexts({sop_class for _, sop_class in instances})
    roles = [build_role(uid, scp_role=True) for uid in {context.abstract_syntax for context in contexts}]
    contexts = [_context(STUDY_ROOT_GET), *contexts]
    count = len(folder.files())

    def on_store(event: Any) -> int:
        nonlocal count
        if fetch.cancel.cancelled:
            return 0xA700
        event.request._dataset_file.close()
        try:
            fetch.store.take(Path(event.dataset_path), fetch.origin)
        except Exception as error:  # noqa: BLE001 - whatever it is, the peer must hear that it is not stored
            failures.append(error)
            return 0xA700
        count += 1
        arrived(count)
        return _SUCCESS

    failures: list[Exception] = []
    with (
        written_to(fetch.store.incoming.folder),
        association(peer, fetch.caller, contexts, roles, [(evt.EVT_C_STORE, on_store)]) as held,
    ):
        if not any(one.abstract_syntax == STUDY_ROOT_GET for one in held.accepted_contexts):
            raise NoGet(f"{peer} does not offer C-GET")
        for query in _queries(fetch, one, folder, instances):
            _follow(peer, "C-GET", held, held.send_c_get(query, STUDY_ROOT_GET), fetch)
    if failures:
        raise failures[0]


def move_series(
    peer: DimsePeer, fetch: Fetch, one: SeriesAt, folder: SeriesFolder, arrived: Callable[[int], None], to: str
) -> None:
    """Let the peer send to our node, which must be running on this home and known to the peer.

    Raises
    ------
    PeerError : it fails.
    """
    instances = _instances(peer, fetch, one) if folder.files() else []
    with association(peer, fetch.caller, [STUDY_ROOT_MOVE]) as held:
        for query in _queries(fetch, one, folder, instances):
            answers = held.send_c_move(query, to, STUDY_ROOT_MOVE)
            _follow(peer, f"C-MOVE to {to}", held, answers, fetch, lambda: arrived(len(folder.files())))


def _follow(
    peer: DimsePeer,
    what: str,
    held: Any,
    answers: Iterator[tuple[Any, Any]],
    fetch: Fetch,
    step: Callable[[], None] = lambda: None,
) -> None:
    for status, _ in answers:
        if fetch.cancel.cancelled:
            held.abort()
            return
        code = status.get("Status")
        if code in _PENDING:
            step()
        elif code not in (_SUCCESS, _SOME_FAILED):  # what failed shows in the count
            said = "the connection was lost" if code is None else f"status 0x{code:04X}"
            hint = "; see that it knows our node" if code == 0xA801 else ""
            raise PeerError(f"{peer} failed at {what} ({said}){hint}")


def _instances(peer: DimsePeer, fetch: Fetch, one: SeriesAt) -> list[tuple[str, str]]:
    """Return SOP instance and class UIDs of a series, as far as the peer tells them."""
    from pydicom.dataset import Dataset

    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID, query.SeriesInstanceUID = fetch.study, one.series_uid
    query.SOPInstanceUID = query.SOPClassUID = ""
    with association(peer, fetch.caller, [STUDY_ROOT_FIND]) as held:
        found = [answer for status, answer in held.send_c_find(query, STUDY_ROOT_FIND) if answer is not None]
    pairs = [(str(answer.get("SOPInstanceUID") or ""), str(answer.get("SOPClassUID") or "")) for answer in found]
    return [pair for pair in pairs if pair[0]]


def _queries(fetch: Fetch, one: SeriesAt, folder: SeriesFolder, instances: list[tuple[str, str]]) -> Iterator[Any]:
    """Give the requests that fetch what is missing: the series as a whole if that is all of it."""
    from pydicom.dataset import Dataset

    here = {path.name for path in folder.files()}
    missing = [uid for uid, _ in instances if slice_name(uid) not in here]
    whole = not here or not instances
    for start in range(0, 1 if whole else len(missing), MOST_UIDS):
        query = Dataset()
        query.QueryRetrieveLevel = "SERIES" if whole else "IMAGE"
        query.StudyInstanceUID, query.SeriesInstanceUID = fetch.study, one.series_uid
        if not whole:
            query.SOPInstanceUID = missing[start : start + MOST_UIDS]
        yield query


def _contexts(sop_classes: set[str]) -> list[Any]:
    """Return what we offer to store: each syntax by itself where there is room, so that the peer sends as it keeps."""
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
    from pynetdicom import ALL_TRANSFER_SYNTAXES, StoragePresentationContexts

    classes = {one for one in sop_classes if one}
    if classes and len(classes) * len(ALL_TRANSFER_SYNTAXES) < MOST_CONTEXTS:
        return [_context(uid, [syntax]) for uid in sorted(classes) for syntax in ALL_TRANSFER_SYNTAXES]
    usual = [str(one.abstract_syntax) for one in StoragePresentationContexts]
    every = list(dict.fromkeys([*sorted(classes), *usual]))[: MOST_CONTEXTS - 1]
    return [_context(uid, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]) for uid in every]


def _context(uid: str, syntaxes: list[str] | None = None) -> Any:
    from pynetdicom import build_context

    return build_context(uid, syntaxes) if syntaxes else build_context(uid)
