"""OHIF from npm in headless Chromium, in front of our server: fetched once into build/ohif, driven by ohif_drive.mjs."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "ohif"
OHIF, PLAYWRIGHT = "@ohif/app@3.13.2", "playwright-core@1.55.0"
QUIETLY = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts")
PROXY = "/dicomweb"  # path under which a server's DICOMweb root is handed on
_FETCH_SECONDS = 300
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")


class NotAvailableError(Exception):
    """The viewer cannot be had here; the text says why."""


def viewer_folder() -> Path:
    """Return the unpacked viewer, fetching it where it is not there yet.

    Raises
    ------
    NotAvailableError : npm, node or Chromium are missing, or the registry cannot be reached.
    """
    for program in ("npm", "node"):
        if shutil.which(program) is None:
            raise NotAvailableError(f"{program} is not installed")
    chromium()
    dist = CACHE / "app" / "package" / "dist"
    if not (dist / "index.html").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        npm(CACHE, "pack", OHIF, "--silent")
        with tarfile.open(next(CACHE.glob("ohif-app-*.tgz"))) as archive:
            archive.extractall(CACHE / "app", filter="data")
    if not (CACHE / "node_modules" / "playwright-core").exists():
        (CACHE / "package.json").write_text('{"private": true}')
        npm(CACHE, "install", PLAYWRIGHT, *QUIETLY)
    return dist


def chromium() -> str:
    """Return the browser."""
    found = next((path for name in _CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        raise NotAvailableError("Chromium is not installed")
    return found


def npm(folder: Path, *arguments: str) -> None:
    """Run npm in a folder.

    Raises
    ------
    NotAvailableError : it is missing, or the registry cannot be reached.
    """
    try:
        subprocess.run(
            ["npm", *arguments],
            cwd=folder,
            check=True,
            timeout=_FETCH_SECONDS,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        raise NotAvailableError(f"npm could not fetch {arguments[1]}") from error


def _configuration(dicomweb: str) -> str:
    source = {
        "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
        "sourceName": "ours",
        "configuration": {
            "friendlyName": "ours",
            "name": "ours",
            "wadoUriRoot": dicomweb,
            "qidoRoot": dicomweb,
            "wadoRoot": dicomweb,
            "qidoSupportsIncludeField": True,
            "imageRendering": "wadors",
            "thumbnailRendering": "wadors",
            "enableStudyLazyLoad": True,
            "supportsFuzzyMatching": False,
            "supportsWildcard": True,
            "omitQuotationForMultipartRequest": True,
        },
    }
    config = {
        "routerBasename": "/",
        "extensions": [],
        "modes": [],
        "showStudyList": True,
        "maxNumberOfWebWorkers": 2,
        "showLoadingIndicator": True,
        "investigationalUseDialog": {"option": "never"},
        "strictZSpacingForVolumeViewport": True,
        "maxNumRequests": {"interaction": 8, "thumbnail": 2, "prefetch": 4},
        "defaultDataSourceName": "ours",
        "dataSources": [source],
    }
    return f"window.config = {json.dumps(config)};"


@contextmanager
def hosted(dicomweb: str, *, proxied: bool = False) -> Iterator[str]:
    """Serve the viewer on the loopback, configured for a DICOMweb root; gives its address.

    Parameters
    ----------
    proxied : hand the viewer's requests on to the root, for servers that allow no other origin (Orthanc).
    """
    dist, configuration = viewer_folder(), _configuration(PROXY if proxied else dicomweb).encode()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(dist))

        def do_GET(self) -> None:
            name = self.path.partition("?")[0]
            if name == "/app-config.js":
                self.send_response(200)
                self.send_header("Content-Type", "text/javascript")
                self.send_header("Content-Length", str(len(configuration)))
                self.end_headers()
                self.wfile.write(configuration)
                return
            if proxied and self.path.startswith(PROXY + "/"):
                _hand_on(self, dicomweb + self.path.removeprefix(PROXY))
                return
            if not (dist / name.lstrip("/")).is_file():
                self.path = "/index.html"  # addresses of the single-page application
            super().do_GET()

        def end_headers(self) -> None:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            super().end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def _hand_on(handler: SimpleHTTPRequestHandler, url: str) -> None:
    accept = {"Accept": handler.headers.get("Accept", "*/*")}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=accept), timeout=60) as answer:
            status, kind, content = answer.status, answer.headers.get("Content-Type", ""), answer.read()
    except urllib.error.HTTPError as error:
        status, kind, content = error.code, "text/plain", error.read()
        error.close()
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def objects(address: str, study: str, modality: str, picture: Path, *, slice_index: int) -> dict[str, Any]:
    """Open a study, load its SEG or RTSTRUCT; returns where the viewer has each structure, in LPS mm."""
    order = {
        "chromium": chromium(),
        "url": f"{address}/viewer?StudyInstanceUIDs={study}",
        "modality": modality,
        "picture": str(picture),
        "slice": slice_index,
    }
    return _run("ohif_objects.mjs", order, 400)


def drive(
    address: str, study: str, pictures: Path, *, seconds: float, play_seconds: float, reloads: int = 3
) -> dict[str, Any]:
    """Open a study, scroll, play, reload; returns what the browser saw and how much memory it took."""
    order = {
        "chromium": chromium(),
        "url": f"{address}/viewer?StudyInstanceUIDs={study}",
        "pictures": str(pictures),
        "playSeconds": play_seconds,
        "reloads": reloads,
    }
    return _run("ohif_drive.mjs", order, seconds)


def _run(script: str, order: dict[str, Any], seconds: float) -> dict[str, Any]:
    order = {**order, "playwright": str(CACHE / "node_modules" / "playwright-core" / "index.mjs")}
    done = subprocess.run(
        ["node", str(Path(__file__).with_name(script)), json.dumps(order)],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise RuntimeError(f"the viewer run ended with {done.returncode}: {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(lines[-1].removeprefix("RESULT "))
    return result
