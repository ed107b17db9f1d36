"""How the web server behaves; kept as ``web.json`` in the queue's home."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.outputs import write_atomically
from DicomWorkbenchLib.settings import from_json, to_json
from DicomWorkbenchLib.web_serving import LOOPBACK

from AutoSegmentQueueLib.home import Home

GIGABYTE = 1 << 30
FILE = "web.json"


@dataclass(frozen=True)
class WebSettings:
    """Where the server listens, and how much it takes from whom.

    Attributes
    ----------
    host : address to listen on; another than this machine's own needs users, and TLS or a proxy.
    tls_cert, tls_key : PEM files; both or none.
    tls_self_made : make a certificate in the home and use that.
    behind_proxy : a reverse proxy on this machine (or one of ``proxies``) does TLS and names the client.
    proxies : addresses whose X-Forwarded-For and X-Forwarded-Proto are believed.
    allowed_hosts : names a browser may use for this server, besides those of this machine.
    quota_bytes : what one user may have stored, unfinished uploads included.
    most_upload_bytes : of one file.
    most_open_uploads : unfinished uploads of one user.
    upload_hours : an unfinished upload is removed after so long without a byte.
    session_hours, idle_hours : a login ends after so long, and after so long without a request.
    requests_per_second, uploads_per_second : of one address, in the long run.
    most_events : browsers that follow the jobs at once.
    slow_seconds : a client that sends or takes nothing for so long is let go.
    """

    host: str = "127.0.0.1"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_self_made: bool = False
    behind_proxy: bool = False
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    allowed_hosts: tuple[str, ...] = ()
    quota_bytes: int = 200 * GIGABYTE
    most_upload_bytes: int = 64 * GIGABYTE
    most_open_uploads: int = 10_000
    upload_hours: float = 24.0
    session_hours: float = 12.0
    idle_hours: float = 4.0
    requests_per_second: float = 200.0
    uploads_per_second: float = 50.0
    most_events: int = 300
    slow_seconds: float = 30.0

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("--tls-cert and --tls-key go together; give both")
        if self.tls_cert and self.tls_self_made:
            raise SettingsError(
                "give a certificate (--tls-cert, --tls-key) or have one made (--tls-self-made), not both"
            )
        if self.behind_proxy and self.has_tls:
            raise SettingsError("behind a proxy the proxy does TLS; give --behind-proxy or a certificate, not both")
        for name in ("quota_bytes", "most_upload_bytes", "most_open_uploads", "most_events"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("upload_hours", "session_hours", "idle_hours", "requests_per_second", "uploads_per_second"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name} must be positive, got {getattr(self, name)}")
        if self.slow_seconds <= 0:
            raise SettingsError(f"slow_seconds must be positive, got {self.slow_seconds}")

    @property
    def has_tls(self) -> bool:
        """Whether this server does TLS itself."""
        return self.tls_cert is not None or self.tls_self_made

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine reaches the server."""
        return self.host in LOOPBACK

    def check_safe(self, has_users: bool) -> None:
        """See that nobody without a login, and nobody in between, gets at the scans.

        Raises
        ------
        SettingsError : it would be reached from other machines without login or without encryption.
        """
        if self.behind_proxy and not has_users:
            raise SettingsError(
                "behind a proxy everybody looks like this machine, so there must be users: make one with `queue user add NAME --role admin`"
            )
        if self.on_loopback:
            return
        if not has_users:
            raise SettingsError(
                f"{self.host} is reached from other machines, so there must be users: make one with `queue user add NAME --role admin`"
            )
        if not (self.has_tls or self.behind_proxy):
            raise SettingsError(
                f"{self.host} is reached from other machines, so passwords and scans must be encrypted: "
                "give --tls-cert and --tls-key, or --tls-self-made, or --behind-proxy where a reverse proxy does it"
            )


def load(home: Home) -> WebSettings:
    """Return the kept settings, or the defaults.

    Raises
    ------
    SettingsError : the file cannot be read or holds what cannot work.
    """
    path = home.root / FILE
    if not path.exists():
        return WebSettings()
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read ({error}); mend it or remove it to start with defaults") from error
    if not isinstance(data, dict):
        raise SettingsError(f"{path} must hold one JSON object; mend it or remove it to start with defaults")
    return from_json(WebSettings, data)


def save(home: Home, settings: WebSettings) -> None:
    """Keep the settings."""
    write_atomically(home.root / FILE, (json.dumps(to_json(settings), indent=2) + "\n").encode())
