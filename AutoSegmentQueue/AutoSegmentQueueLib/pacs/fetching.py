"""Fetching a series by whichever way its peer offers: WADO-RS, C-GET, or C-MOVE to our node."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from DicomWorkbenchLib.progress import CancelToken

from AutoSegmentQueueLib.pacs.dimse_client import Caller
from AutoSegmentQueueLib.pacs.fetch_dimse import NoGet, get_series, move_series
from AutoSegmentQueueLib.pacs.fetch_web import wado_series
from AutoSegmentQueueLib.pacs.peers import DimsePeer, parse_peer
from AutoSegmentQueueLib.pacs.query import SeriesAt
from AutoSegmentQueueLib.pacs.received import Origin, SeriesFolder
from AutoSegmentQueueLib.pacs.store import Store
from AutoSegmentQueueLib.pacs.web_client import WebClient

if TYPE_CHECKING:
    from AutoSegmentQueueLib.pacs.pull import PullSettings

Arrived = Callable[[int], None]  # called with how many instances of the series there are


class Fetch:
    """Fetches series of one study from one peer."""

    def __init__(
        self, settings: PullSettings, caller: Caller, store: Store, origin: Origin, cancel: CancelToken
    ) -> None:
        self.study = settings.study
        self.peer = parse_peer(settings.source)
        self.caller = caller
        self.store = store
        self.origin = origin
        self.cancel = cancel
        self._move_to = settings.move_to

    def series(self, one: SeriesAt, folder: SeriesFolder, arrived: Arrived) -> str:
        """Fetch a series, or what of it is missing; returns the way it came.

        Raises
        ------
        PeerError : the peer fails.
        """
        if not isinstance(self.peer, DimsePeer):
            wado_series(WebClient(self.peer, self.caller), self, one, folder, arrived)
            return "WADO-RS"
        if not self._move_to:
            try:
                get_series(self.peer, self, one, folder, arrived)
                return "C-GET"
            except NoGet:  # many archives send to known nodes only
                self._move_to = self.caller.ae_title
        move_series(self.peer, self, one, folder, arrived, self._move_to)
        return "C-MOVE"
