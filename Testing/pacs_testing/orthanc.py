"""Debian's Orthanc with its DICOMweb plug-in, booted for a test and ended with it.

Traps of Orthanc 1.10.1 that are met here: it looks for modalities by AE title, address and port, so a peer that may find and move must be
listed (``peers``, or later by `Orthanc.add_peer`); C-GET and C-MOVE are refused for peers that are not; with TLS its own outgoing
associations use TLS only for modalities with ``UseDicomTls``; RSA keys must be in the traditional form.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pacs_testing.certificates import Certificates
from pacs_testing.ports import free_ports

DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")  # where Debian's package puts it
BOOT_SECONDS = 30.0


@dataclass(frozen=True)
class Peer:
    """An application entity that Orthanc knows; ``tls``: Orthanc calls it by TLS."""

    ae_title: str
    port: int
    host: str = "127.0.0.1"
    tls: bool = False

    def config(self) -> dict[str, Any]:
        """Return the entry of Orthanc's ``DicomModalities``."""
        return {"AET": self.ae_title, "Host": self.host, "Port": self.port, "UseDicomTls": self.tls}


@dataclass
class Orthanc:
    """A running Orthanc.

    Attributes
    ----------
    http, dicomweb : addresses, without a slash at the end.
    ae_title, dicom_port : of its DICOM node on 127.0.0.1.
    log : all it writes.
    """

    http: str
    dicom_port: int
    ae_title: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def dicomweb(self) -> str:
        return f"{self.http}/dicom-web"

    @property
    def log(self) -> Path:
        return self.folder / "orthanc.log"

    def ask(self, path: str, data: Any = None, method: str | None = None) -> Any:
        """Call its REST interface: ``data`` is sent as it is if bytes, otherwise as JSON; gives the JSON of the answer."""
        body = data if isinstance(data, bytes | None) else json.dumps(data).encode()
        request = urllib.request.Request(f"{self.http}/{path.lstrip('/')}", body, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            text = answer.read()
        return json.loads(text) if text.strip() else None

    def upload(self, folder: Path) -> list[str]:
        """Put all files of a folder into it by REST; gives its ids of the instances."""
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json")
        return [self.ask("instances", path.read_bytes())["ID"] for path in files]

    def add_peer(self, name: str, peer: Peer) -> None:
        """Make a peer known while it runs."""
        self.ask(f"modalities/{name}", peer.config(), "PUT")

    def store(self, name: str, resources: list[str]) -> dict[str, Any]:
        """Let it send instances, series or studies to a peer by C-STORE and wait for the end."""
        return dict(self.ask(f"modalities/{name}/store", {"Resources": resources, "Synchronous": True}))

    def series(self) -> list[dict[str, Any]]:
        """Return what it says about each of its series."""
        return [self.ask(f"series/{one}") for one in self.ask("series")]

    def dicom_file(self, instance: str) -> bytes:
        """Return an instance as it keeps it."""
        with urllib.request.urlopen(f"{self.http}/instances/{instance}/file", timeout=60) as answer:
            return bytes(answer.read())

    def kill(self) -> None:
        """End it at once, as a power cut would (POSIX)."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def orthanc(
    folder: Path,
    *,
    peers: Mapping[str, Peer] | None = None,
    tls: Certificates | None = None,
    ae_title: str = "ORTHANC",
    ports: tuple[int, int] | None = None,
    **config: Any,
) -> Iterator[Orthanc]:
    """Run Orthanc while the block runs.

    Parameters
    ----------
    folder : for its database and log; started again with the same folder it has what it had.
    peers : modalities by Orthanc's name of them; only these may find, move and get.
    tls : its DICOM node speaks TLS only and wants a certificate of this authority from everybody who calls.
    ports : HTTP and DICOM; free ones where not given.
    config : further settings of Orthanc, such as ``RegisteredUsers={"user": "word"}, AuthenticationEnabled=True``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    http_port, dicom_port = ports or free_ports(2)
    values = _config(folder, http_port, dicom_port, ae_title, peers or {}, tls) | config
    (folder / "orthanc.json").write_text(json.dumps(values, indent=1))
    with open(folder / "orthanc.log", "ab") as log:
        process = subprocess.Popen(["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log, cwd=folder)
    running = Orthanc(f"http://127.0.0.1:{http_port}", dicom_port, ae_title, folder, process)
    try:
        _wait_for(running)
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _config(
    folder: Path, http_port: int, dicom_port: int, ae_title: str, peers: Mapping[str, Peer], tls: Certificates | None
) -> dict[str, Any]:
    return {
        "Name": "test", "HttpPort": http_port, "DicomPort": dicom_port, "DicomAet": ae_title,
        "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "DicomCheckCalledAet": True,
        "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
        "Plugins": [str(DICOMWEB_PLUGIN)] if DICOMWEB_PLUGIN.exists() else [],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "DicomModalities": {name: peer.config() for name, peer in peers.items()},
        "DicomAlwaysAllowEcho": False, "DicomAlwaysAllowStore": False,
        "DicomScuTimeout": 20, "DicomAssociationCloseDelay": 1, "StableAge": 1,
        **(_tls_config(tls) if tls else {}),
    }  # fmt: skip


def _tls_config(tls: Certificates) -> dict[str, Any]:
    return {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(tls.server),
        "DicomTlsPrivateKey": str(tls.server_key),
        "DicomTlsTrustedCertificates": str(tls.ca),
        "DicomTlsRemoteCertificateRequired": True,
    }


def _wait_for(running: Orthanc) -> None:
    until = time.monotonic() + BOOT_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{running.http}/tools/now", timeout=5):
                return
        except urllib.error.HTTPError:
            return  # it wants a login: it is there
        except OSError:
            if running.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"Orthanc does not start:\n{running.log.read_text()[-2000:]}") from None
            time.sleep(0.1)
