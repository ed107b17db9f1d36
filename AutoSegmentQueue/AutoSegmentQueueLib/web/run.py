"""Runs the server until it is asked to stop: alone (``queue web``), or beside the workers as a process of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

import uvicorn
from DicomWorkbenchLib.progress import CancelToken
from DicomWorkbenchLib.web_serving import address_of, listen, serve_until

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.web import oidc_settings, tls
from AutoSegmentQueueLib.web.app import create_app
from AutoSegmentQueueLib.web.context import Place, Web
from AutoSegmentQueueLib.web.people import People
from AutoSegmentQueueLib.web.protocol import MOST_HEADER_BYTES, protocol_for
from AutoSegmentQueueLib.web.settings import WebSettings
from AutoSegmentQueueLib.web.store import WebStore

MOST_CONNECTIONS = 1000


def run(
    home: Home,
    settings: QueueSettings,
    web: WebSettings,
    port: int,
    cancel: CancelToken,
    ready: Callable[[str], None],
    token: str = "",
) -> None:
    """Serve until cancelled.

    Parameters
    ----------
    port : 0 takes a free one.
    ready : called with the address to open, one-time token included where there are no users.
    token : the one-time token; empty: a new one.

    Raises
    ------
    OutputError : the port is taken.
    SettingsError : it would be reached from other machines without login or encryption.
    """
    store = WebStore(home)
    has_users = People(store).any
    store.close()
    web.check_safe(has_users or oidc_settings.is_set_up(home))
    served, print_of_it = tls.ready(home, web)
    listener = listen(web.host, port)
    try:
        scheme = "https" if web.has_tls else "http"  # how this server is reached; a proxy's clients use https
        token = token or secrets.token_urlsafe(24)
        address = address_of(listener, web.host, scheme)
        place = Place("https" if web.behind_proxy else scheme, listener.getsockname()[1], token)
        state = Web(home, settings, served, place)
        server = uvicorn.Server(_config(state))
        shown = address + "/" if has_users else f"{address}/?token={token}"
        shown += f"   certificate {print_of_it}" if print_of_it else ""
        asyncio.run(serve_until(server, listener, cancel, lambda: ready(shown)))
    finally:
        listener.close()


def _config(state: Web) -> uvicorn.Config:
    web = state.web
    return uvicorn.Config(
        create_app(state),
        log_level="warning",
        access_log=False,  # addresses carry names of files
        server_header=False,
        lifespan="on",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,
        limit_concurrency=MOST_CONNECTIONS,
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
        http=protocol_for(web),
        ssl_certfile=web.tls_cert,
        ssl_keyfile=web.tls_key,
        ws="none",
        proxy_headers=web.behind_proxy,
        forwarded_allow_ips=list(web.proxies) if web.behind_proxy else None,
    )
