"""WADO-RS of a series, or of those of its instances that are missing here, from the network straight to disk (PS3.18 section 10.4)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from AutoSegmentQueueLib.pacs.dimse_client import PeerError
from AutoSegmentQueueLib.pacs.parts import BadMultipart, PartFiles, boundary_of
from AutoSegmentQueueLib.pacs.query import SeriesAt
from AutoSegmentQueueLib.pacs.received import SeriesFolder, slice_name
from AutoSegmentQueueLib.pacs.web_client import WebClient

if TYPE_CHECKING:
    from AutoSegmentQueueLib.pacs.fetching import Fetch

CHUNK_BYTES = 1 << 18


def wado_series(
    client: WebClient, fetch: Fetch, one: SeriesAt, folder: SeriesFolder, arrived: Callable[[int], None]
) -> None:
    """Fetch a series; where a part of it is here already, instance by instance what is missing.

    Raises
    ------
    PeerError : the service fails.
    """
    count = len(folder.files())

    def done(path: Path) -> None:
        nonlocal count
        fetch.store.take(path, fetch.origin)
        count += 1
        arrived(count)
        fetch.cancel.check()

    if not count:
        _retrieve(client, f"studies/{fetch.study}/series/{one.series_uid}", fetch, done)
        return
    here = {path.name for path in folder.files()}
    for uid in sorted(client.instances_of(fetch.study, one.series_uid)):
        if fetch.cancel.cancelled:
            return
        if slice_name(uid) not in here:
            _retrieve(client, f"studies/{fetch.study}/series/{one.series_uid}/instances/{uid}", fetch, done)


def _retrieve(client: WebClient, path: str, fetch: Fetch, done: Callable[[Path], None]) -> None:
    with client.retrieve(path) as answer:
        try:
            parts = PartFiles(_boundary(answer), fetch.store.incoming.new_file, done)
            try:
                for chunk in answer.iter_content(CHUNK_BYTES):
                    if fetch.cancel.cancelled:
                        return
                    parts.feed(chunk)
                parts.finish()
            finally:
                parts.close()
        except BadMultipart as error:
            raise PeerError(f"the DICOMweb service sent a bad answer: {error}") from error


def _boundary(answer: Any) -> bytes:
    return boundary_of(answer.headers.get("Content-Type", ""))[1]
