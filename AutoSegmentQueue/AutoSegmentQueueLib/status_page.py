"""A page that shows the queue to a browser on this machine: read only, loopback only, with a token in its address.

It uses Python's own server: a handful of requests from one person. Uploads, logins and other machines are no matter for it.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.pages import Page

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.status import Estimate, detail_of, positions

HOST = "127.0.0.1"
SHOWN = 200  # jobs on the page, the newest; all of them are in /status
REFRESH_SECONDS = 3
_KIND = {"done": "good", "failed": "bad", "quarantined": "bad", "cancelled": "warn"}


@contextmanager
def status_page(home: Home, settings: QueueSettings, port: int) -> Iterator[str]:
    """Serve the page while the block runs; gives its address, token included.

    Parameters
    ----------
    port : on 127.0.0.1; 0 takes a free one.

    Raises
    ------
    OutputError : the port is taken.
    """
    token = secrets.token_urlsafe(16)
    try:
        server = _Server((HOST, port), _Handler)
    except OSError as error:
        raise OutputError(
            f"port {port} of {HOST} cannot be used: {error.strerror}; choose another with --port"
        ) from error
    server.home, server.settings, server.token = home, settings, token
    thread = threading.Thread(target=server.serve_forever, name="status page", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}/?token={token}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def rows_of(home: Home, settings: QueueSettings) -> dict[str, Any]:
    """Return what ``queue status --json --detail`` says."""
    ledger = Ledger(home.ledger)
    try:
        jobs = ledger.jobs(None)
        places, estimate, now = positions(jobs), Estimate(ledger, settings.slots), time.time()
        rows = [detail_of(job, estimate, now, places.get(job.id)) for job in jobs]
        return {"jobs": rows, "paused": ledger.paused, "intake": ledger.fact("intake") or ""}
    finally:
        ledger.close()


def page_of(found: dict[str, Any]) -> str:
    """Return the page as HTML; it asks for itself again every few seconds."""
    page = Page("Segmentation queue", "The queue is paused." if found["paused"] else "")
    if found["intake"]:
        page.paragraph(found["intake"], "bad")
    jobs = found["jobs"]
    counts = {
        state: sum(job["state"] == state for job in jobs) for state in dict.fromkeys(job["state"] for job in jobs)
    }
    page.facts((str(count), state) for state, count in counts.items())
    cells = (
        (
            job["name"],
            (job["state"], _KIND.get(job["state"], "")),
            f"{job['progress'] or 0:.0%}",
            job["engine"],
            job["error"] or "",
        )
        for job in jobs[-SHOWN:]
    )
    page.table(
        ["scan", "state", "progress", "engine", "what is wrong"], cells, "" if jobs else "Nothing is in the queue."
    )
    return page.html().replace("<head>", f'<head><meta http-equiv="refresh" content="{REFRESH_SECONDS}">', 1)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    home: Home
    settings: QueueSettings
    token: str


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10  # seconds a slow client may hold a thread

    def do_GET(self) -> None:
        """Answer ``/`` and ``/status``."""
        address = urlsplit(self.path)
        given = parse_qs(address.query).get("token", [""])[0]
        hosts = {f"{name}:{self.server.server_address[1]}" for name in (HOST, "localhost")}
        if self.headers.get("Host") not in hosts:  # a foreign name that points here
            self._answer(421, "text/plain", "This page answers to 127.0.0.1 only.")
        elif not hmac.compare_digest(given.encode(), self.server.token.encode()):
            self._answer(403, "text/plain", "Use the address that `queue serve` printed; it carries a token.")
        elif address.path == "/status":
            self._answer(200, "application/json", json.dumps(rows_of(self.server.home, self.server.settings)))
        elif address.path == "/":
            self._answer(200, "text/html", page_of(rows_of(self.server.home, self.server.settings)))
        else:
            self._answer(404, "text/plain", "There is / and /status.")

    def _answer(self, code: int, kind: str, text: str) -> None:
        content = text.encode("utf-8")
        self.send_response(code)
        for name, value in (
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: addresses carry the token."""
