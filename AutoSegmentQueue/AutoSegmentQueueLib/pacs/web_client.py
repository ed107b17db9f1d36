"""Calling a DICOMweb service: searching by dicomweb-client, retrieving straight to disk.

Whoever must log in does so by what the command line does not show: a bearer token in ``WORKBENCH_DICOMWEB_TOKEN``, name and password in
``WORKBENCH_DICOMWEB_USER`` and ``WORKBENCH_DICOMWEB_PASSWORD``, or the user's netrc file, which the library requests reads by itself.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from DicomWorkbenchLib.errors import DependencyError

from AutoSegmentQueueLib.pacs.dimse_client import Caller, PeerError
from AutoSegmentQueueLib.pacs.peers import WebPeer

TOKEN, USER, PASSWORD = "WORKBENCH_DICOMWEB_TOKEN", "WORKBENCH_DICOMWEB_USER", "WORKBENCH_DICOMWEB_PASSWORD"
# PS3.18 8.7.3.5: as it is kept, in whatever transfer syntax, so that nothing is transcoded
AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'


class WebClient:
    """One DICOMweb service."""

    def __init__(self, peer: WebPeer, caller: Caller) -> None:
        try:
            from dicomweb_client.api import DICOMwebClient
        except ImportError as error:
            raise DependencyError("dicomweb-client", extra="pacs") from error
        self._peer = peer
        self._seconds = caller.seconds
        self.session = _session(caller.tls)
        self._client = DICOMwebClient(url=peer.url, session=self.session, timeout=caller.seconds, permissive_uid=True)

    def series_of(self, study_uid: str, series_uid: str = "") -> list[dict[str, Any]]:
        """Return the series of a study by QIDO-RS, in DICOM JSON.

        Raises
        ------
        PeerError : the service cannot be reached or refuses.
        """
        filters = {"SeriesInstanceUID": series_uid} if series_uid else {}
        with self._plain_errors("search"):
            return list(
                self._client.search_for_series(
                    study_uid, fields=["NumberOfSeriesRelatedInstances"], search_filters=filters, get_remaining=True
                )
            )

    def instances_of(self, study_uid: str, series_uid: str) -> set[str]:
        """Return the SOP instances of a series by QIDO-RS.

        Raises
        ------
        PeerError : the service cannot be reached or refuses.
        """
        with self._plain_errors("search"):
            found = self._client.search_for_instances(study_uid, series_uid, get_remaining=True)
        return {str(one["00080018"]["Value"][0]) for one in found if one.get("00080018", {}).get("Value")}

    @contextmanager
    def retrieve(self, path: str) -> Iterator[Any]:
        """Give the streamed answer of WADO-RS for a resource while the block runs.

        Raises
        ------
        PeerError : the service cannot be reached or refuses.
        """
        url = f"{self._peer.url}/{path}"
        with (
            self._plain_errors("retrieval"),
            self.session.get(url, headers={"Accept": AS_STORED}, stream=True, timeout=self._seconds) as answer,
        ):
            answer.raise_for_status()
            yield answer

    @contextmanager
    def _plain_errors(self, what: str) -> Iterator[None]:
        import requests

        try:
            yield
        except requests.HTTPError as error:
            code = error.response.status_code if error.response is not None else 0
            hint = "; see docs/queue-pacs.md for how to log in" if code in (401, 403) else ""
            raise PeerError(f"{self._peer} refuses the {what} (HTTP {code}){hint}") from error
        except requests.RequestException as error:
            raise PeerError(f"{self._peer} cannot be reached for the {what} ({type(error).__name__})") from error


def _session(tls: ssl.SSLContext | None) -> Any:
    import requests
    from requests.adapters import HTTPAdapter

    class _Bearer(requests.auth.AuthBase):
        def __init__(self, token: str) -> None:
            self._token = token

        def __call__(self, request: Any) -> Any:
            request.headers["Authorization"] = f"Bearer {self._token}"
            return request

    class _OwnTls(HTTPAdapter):
        def init_poolmanager(self, *arguments: Any, **named: Any) -> Any:
            return super().init_poolmanager(*arguments, **named, ssl_context=tls)

    session = requests.Session()
    if tls is not None:
        session.mount("https://", _OwnTls())
    if os.environ.get(TOKEN):
        session.auth = _Bearer(os.environ[TOKEN])
    elif os.environ.get(USER):
        session.auth = (os.environ[USER], os.environ.get(PASSWORD, ""))
    return session
