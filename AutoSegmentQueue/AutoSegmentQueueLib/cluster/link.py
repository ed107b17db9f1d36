"""The connection to a Dask scheduler: made in a thread of its own, and made again for as long as it takes when it breaks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

LIST_SECONDS = 0.5  # how often the scheduler is asked for its nodes
RETRY_SECONDS = 1.0
CONNECT_SECONDS = 10.0
_log = logging.getLogger(__name__)


class Link:
    """A scheduler that comes and goes.

    Parameters
    ----------
    address : of the scheduler.
    security : Dask's ``Security``, or None.
    topic : events under this name go to ``on_event``.
    on_event : called in a thread of Dask's.
    on_nodes : called in the link's own thread with the scheduler's list of workers.
    quiet_seconds : how long an answer of the scheduler may take.

    Attributes
    ----------
    client : the present connection; None while there is none. A new connection is a new object.
    problem : why there is no connection; empty while there is one.
    """

    def __init__(
        self,
        address: str,
        security: Any,
        topic: str,
        on_event: Callable[[Any], None],
        on_nodes: Callable[[Mapping[str, Any]], None],
        quiet_seconds: float,
    ) -> None:
        self._address, self._security, self._topic = address, security, topic
        self._on_event, self._on_nodes = on_event, on_nodes
        self._quiet_seconds = quiet_seconds
        self._stop = threading.Event()
        self._connected = threading.Event()
        self.client: Any = None
        self.problem = f"not connected to {address} yet"
        self._said = ""
        self._thread = threading.Thread(target=self._run, name="cluster link", daemon=True)
        # Every broken connection would come with pages of warnings; what matters is said by us.
        for name in ("distributed", "tornado.application"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._thread.start()

    def wait_connected(self, seconds: float) -> bool:
        """Wait until the first list of nodes has come."""
        return self._connected.wait(seconds)

    def close(self) -> None:
        """End the connection."""
        self._stop.set()
        self._thread.join(2 * CONNECT_SECONDS)

    def _run(self) -> None:
        from distributed import Client

        while not self._stop.is_set():
            try:
                client = Client(
                    self._address,
                    security=self._security,
                    timeout=CONNECT_SECONDS,
                    set_as_default=False,
                    direct_to_workers=False,
                )
            except (OSError, TimeoutError, RuntimeError) as error:
                self._say(f"{self._address} does not answer ({type(error).__name__})")
                self._stop.wait(RETRY_SECONDS)
                continue
            try:
                client.subscribe_topic(self._topic, lambda event: self._on_event(event[1]))
                self._watch(client)
            except (OSError, TimeoutError, RuntimeError) as error:
                self._say(f"the connection to {self._address} broke ({type(error).__name__})")
            self.client = None
            self._connected.clear()
            _close(client)
            self._stop.wait(LIST_SECONDS)

    def _say(self, problem: str) -> None:
        if not self._said:
            _log.warning("cluster: %s; no jobs are started until it is there again", problem)
        self.problem = self._said = problem

    def _watch(self, client: Any) -> None:
        while not self._stop.is_set():
            if client.status != "running":
                raise ConnectionError("closed")
            began = time.monotonic()
            found = client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=self._quiet_seconds)
            self._on_nodes(found["workers"])
            self.client, self.problem, self._said = client, "", ""
            self._connected.set()
            self._stop.wait(max(LIST_SECONDS, time.monotonic() - began))


def _close(client: Any) -> None:
    try:
        client.close(timeout=2.0)
    except (OSError, TimeoutError, RuntimeError):  # the scheduler is gone; there is nothing to say goodbye to
        return
