"""A real browser in front of the queue's server; what drives it comes from npm, once, into build/web. Each proof is a script of its own.

A script may stop and ask (``await ask("kill")``): the test does what the word stands for here, and the script goes on.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from DicomWorkbenchLib.process import child_environment, end_group, own_group
from EndToEnd import ohif_viewer

CACHE = ohif_viewer.ROOT / "build" / "web"
AXE = "axe-core@4.10.3"
HERE = Path(__file__).resolve().parent
START_SECONDS = 60.0
# Pictures for the manual are kept where this variable says; see docs/queue-web.md.
PICTURES = os.environ.get("WORKBENCH_PICTURES", "")


def require_browser() -> None:
    """Skip the test where there is no browser, or npm cannot fetch what drives it."""
    try:
        ohif_viewer.chromium()
        if not all((CACHE / "node_modules" / name).exists() for name in ("playwright-core", "axe-core")):
            CACHE.mkdir(parents=True, exist_ok=True)
            (CACHE / "package.json").write_text('{"private": true}')
            ohif_viewer.npm(CACHE, "install", ohif_viewer.PLAYWRIGHT, AXE, *ohif_viewer.QUIETLY)
    except ohif_viewer.NotAvailableError as reason:
        pytest.skip(str(reason))


def drive(script: str, order: Mapping[str, Any], acts: Mapping[str, Callable[[], Any]] | None = None) -> dict[str, Any]:
    """Run a script to its end and return what it saw.

    Parameters
    ----------
    script : its name, beside this file.
    order : what it is told.
    acts : what is done here when it asks; what the function returns, it gets.
    """
    whole = {
        "chromium": ohif_viewer.chromium(),
        "playwright": str(CACHE / "node_modules/playwright-core/index.mjs"),
        "axe": str(CACHE / "node_modules/axe-core/axe.min.js"),
        "keep": PICTURES,
        **order,
    }
    child = subprocess.Popen(
        ["node", str(HERE / script), json.dumps(whole)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **own_group(),
    )  # fmt: skip
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None
    result: dict[str, Any] = {}
    try:
        for line in child.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "RESULT":
                result = json.loads(rest)
            elif word == "ASK":
                child.stdin.write(json.dumps((acts or {})[rest]()) + "\n")
                child.stdin.flush()
        child.wait(30)
        if not result:
            raise AssertionError(f"{script} ended with {child.returncode}: {child.stderr.read()[-3000:]}")
    finally:
        end_group(child)
        for stream in (child.stdin, child.stdout, child.stderr):
            stream.close()
    if result.get("failure"):
        raise AssertionError(f"{script}: {result['failure']}\nseen so far: {json.dumps(result)[:3000]}")
    return result


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """``queue serve`` or ``queue web`` on a port that stays the same when it is started again."""

    home: Path
    words: tuple[str, ...]
    port: int = field(default_factory=free_port)
    child: subprocess.Popen[bytes] | None = None
    address: str = ""

    @property
    def root(self) -> str:
        """Address of the server without a token."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> str:
        """Start it; returns the address it prints."""
        command = [sys.executable, "-m", "DicomWorkbenchLib", "queue", *self.words]
        command += ["--home", str(self.home), "--port", str(self.port)]
        log = self.home.parent / f"server-{self.port}.log"
        with log.open("wb") as stream:
            self.child = subprocess.Popen(
                command, stdout=stream, stderr=stream, env=os.environ | child_environment(), **own_group()
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self.child.poll() is None:
            if found := re.search(r"page\s+(http\S+)\s", log.read_text()):
                self.address = found[1]
                return self.address
            time.sleep(0.05)
        raise AssertionError(f"the server did not start: {log.read_text()[-2000:]}")

    def kill(self) -> None:
        """End it and all it has started without a word, as a power cut would."""
        assert self.child is not None
        os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait(10)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)):
                    return
            time.sleep(0.05)
        raise AssertionError("somebody still listens on the port of the killed server")

    def stop(self) -> None:
        """End it politely."""
        if self.child is not None and self.child.poll() is None:
            end_group(self.child)


@contextmanager
def served(home: Path, *words: str) -> Iterator[Server]:
    """Serve a home while the block runs."""
    server = Server(home, words or ("web",))
    try:
        server.start()
        yield server
    finally:
        server.stop()
