"""How many instances a series has, as those peers say that can be asked."""

from __future__ import annotations

from collections.abc import Callable

from DicomWorkbenchLib.errors import WorkbenchError

from AutoSegmentQueueLib.pacs.dimse_client import Caller
from AutoSegmentQueueLib.pacs.peers import DimsePeer, parse_peer
from AutoSegmentQueueLib.pacs.query import find_series
from AutoSegmentQueueLib.pacs.settings import DicomSettings
from AutoSegmentQueueLib.pacs.tls import client_context

ASK_SECONDS = 10.0

Count = Callable[[DicomSettings, str, str, str], int | None]  # (settings, calling AE, study UID, series UID)


def count_of(dicom: DicomSettings, calling_ae: str, study_uid: str, series_uid: str) -> int | None:
    """Return the largest number a peer gives; None if none can be asked or none knows the series.

    A peer that does not answer must not hold up a series: it only is not believed.
    """
    peers = [parse_peer(text) for text in dicom.ask]
    peers.sort(key=lambda peer: not (isinstance(peer, DimsePeer) and peer.ae_title == calling_ae))
    tls = client_context(dicom.tls_ca, dicom.tls_cert, dicom.tls_key) if dicom.tls_ca else None
    counts = []
    for peer in peers:
        try:
            found = find_series(peer, Caller(dicom.ae_title, ASK_SECONDS, tls), study_uid, series_uid)
        except WorkbenchError:
            continue
        counts += [one.count for one in found if one.series_uid == series_uid and one.count]
    return max(counts, default=None)
