"""Our STOW-RS endpoint alone on a server of this machine."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from AutoSegmentQueueLib.pacs import stow
from AutoSegmentQueueLib.pacs.store import Store

from pacs_testing.ports import free_port


@contextlib.contextmanager
def stow_server(store: Store) -> Iterator[str]:
    """Serve the endpoint while the block runs; gives the address of its DICOMweb service."""
    import uvicorn
    from starlette.applications import Starlette

    port = free_port()
    app: Any = Starlette(routes=stow.routes(lambda request: (store, "tester")))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}{stow.PREFIX}"
    finally:
        server.should_exit = True
        thread.join()
