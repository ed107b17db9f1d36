"""Sending to a DICOM node: C-STORE over several associations, then storage commitment or a search (PS3.4 annexes B, J and C)."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from DicomWorkbenchLib.uids import new_uid

from AutoSegmentQueueLib.failpoints import reach
from AutoSegmentQueueLib.pacs.commitment import CommitmentListener
from AutoSegmentQueueLib.pacs.dimse_client import STUDY_ROOT_FIND, Caller, PeerError, association
from AutoSegmentQueueLib.pacs.node import VERIFICATION
from AutoSegmentQueueLib.pacs.peers import DimsePeer
from AutoSegmentQueueLib.pacs.send_errors import (
    Missing,
    Permanent,
    Refused,
    SendError,
    Unconfirmed,
    Unreachable,
    check_status,
)
from AutoSegmentQueueLib.pacs.send_objects import SendObject
from AutoSegmentQueueLib.pacs.send_settings import SendSettings

PUSH_MODEL, PUSH_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
_REQUEST_COMMITMENT = 1
_NEW_CLASSES = {"1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage"}  # newer than pydicom 3.0
_PENDING = (0xFF00, 0xFF01)
LEAST_FOR_ANOTHER = 8  # objects; fewer are not worth another association


class DimseDestination:
    """One DICOM node."""

    def __init__(
        self, peer: DimsePeer, settings: SendSettings, caller: Caller, listener: CommitmentListener | None
    ) -> None:
        self._peer, self._settings, self._caller, self._listener = peer, settings, caller, listener

    def store(self, objects: Sequence[SendObject]) -> None:
        """Send objects; see `send_errors` for what is raised."""
        count = max(1, min(self._settings.associations, len(objects) // LEAST_FOR_ANOTHER))
        if count == 1:
            self._store_by_one(objects)
            return
        with ThreadPoolExecutor(count, thread_name_prefix="send") as pool:
            for _ in pool.map(self._store_by_one, [objects[n::count] for n in range(count)]):
                pass

    def _store_by_one(self, objects: Sequence[SendObject]) -> None:
        from pynetdicom import _config, build_context

        _config.STORE_SEND_CHUNKED_DATASET = True  # files go out as they are, piece by piece

        wanted = dict.fromkeys((one.sop_class_uid, one.transfer_syntax_uid) for one in objects)
        # With C-ECHO, so that a node which takes none of the classes still talks to us, and they can be named.
        with self._association([VERIFICATION, *(build_context(*pair) for pair in wanted)]) as held:
            accepted = {str(one.abstract_syntax) for one in held.accepted_contexts}
            for one in objects:
                if one.sop_class_uid not in accepted:
                    continue
                answer = held.send_c_store(one.path)
                check_status(getattr(answer, "Status", None), self._peer)
                reach("outbox.object-sent")
        if refused := {one.sop_class_uid for one in objects} - accepted:
            names = ", ".join(sorted(map(_class_name, refused)))
            raise Permanent(f"{self._peer} does not take {names} by C-STORE")

    def confirm(self, objects: Sequence[SendObject]) -> None:
        """Let the node say that it keeps the objects.

        Raises
        ------
        Missing : it says that it does not.
        Unconfirmed : it says nothing.
        """
        if self._settings.confirmation != "search" and self._commitment(objects):
            return
        if self._settings.confirmation == "commitment":
            raise Unconfirmed(f"{self._peer} has not answered the request for storage commitment")
        missing = {one.sop_instance_uid for one in objects} - self._found(objects)
        if missing:
            raise Missing(f"{self._peer} does not show {len(missing)} of {len(objects)} objects in a search")

    def _commitment(self, objects: Sequence[SendObject]) -> bool:
        """Ask for storage commitment; False if the node takes no part in it or does not answer in time."""
        if self._listener is None:
            return False
        transaction = new_uid()
        wanted = self._listener.expect(transaction)
        try:
            with self._association([PUSH_MODEL]) as held:
                answer, _ = held.send_n_action(
                    _commitment_request(transaction, objects), _REQUEST_COMMITMENT, PUSH_MODEL, PUSH_INSTANCE
                )
                if getattr(answer, "Status", None) != 0:
                    return False
            outcome = wanted.wait(self._settings.commitment_seconds)
        except Refused:  # no presentation context for it: it takes no part
            return False
        finally:
            self._listener.forget(transaction)
        if outcome is None:
            return False
        if missing := {one.sop_instance_uid for one in objects} - outcome:
            raise Missing(f"{self._peer} does not commit itself to {len(missing)} of {len(objects)} objects")
        return True

    def _found(self, objects: Sequence[SendObject]) -> set[str]:
        from pydicom import Dataset

        found: set[str] = set()
        with self._association([STUDY_ROOT_FIND]) as held:
            for study, series in dict.fromkeys((one.study_instance_uid, one.series_instance_uid) for one in objects):
                query = Dataset()
                query.QueryRetrieveLevel = "IMAGE"
                query.StudyInstanceUID, query.SeriesInstanceUID, query.SOPInstanceUID = study, series, ""
                for status, answer in held.send_c_find(query, STUDY_ROOT_FIND):
                    code = getattr(status, "Status", None)
                    if code in _PENDING and answer is not None:
                        found.add(str(answer.get("SOPInstanceUID", "")))
                    elif code != 0:
                        raise Unconfirmed(f"{self._peer} does not answer the search for the objects")
        return found

    @contextmanager
    def _association(self, contexts: Sequence[Any]) -> Iterator[Any]:
        try:
            with association(self._peer, self._caller, contexts) as held:
                _send_at_once(held)
                yield held
        except SendError:
            raise
        except PeerError as error:
            kind = Unreachable if "cannot be reached" in str(error) else Refused
            raise kind(str(error)) from error
        except (RuntimeError, ValueError, OSError) as error:
            raise SendError(f"{self._peer} ended the connection in the middle ({type(error).__name__})") from error


def _send_at_once(held: Any) -> None:
    """Do not let the last piece of a message wait for the acknowledgement of the one before (Nagle), 40 ms for each object."""
    connection = getattr(getattr(held.dul, "socket", None), "socket", None)
    if connection is not None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _commitment_request(transaction: str, objects: Sequence[SendObject]) -> Any:
    from pydicom import Dataset

    request = Dataset()
    request.TransactionUID = transaction
    request.ReferencedSOPSequence = []
    for one in objects:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.sop_class_uid, one.sop_instance_uid
        request.ReferencedSOPSequence.append(item)
    return request


def _class_name(uid: str) -> str:
    from pydicom.uid import UID

    return _NEW_CLASSES.get(uid) or str(UID(uid).name)
