"""Login at a provider (OpenID Connect): what an admin writes into ``oidc.json`` in the queue's home."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.settings import from_json
from DicomWorkbenchLib.web_serving import LOOPBACK

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.web.people import Role

FILE = "oidc.json"


@dataclass(frozen=True)
class OidcSettings:
    """How users log in at a provider.

    Attributes
    ----------
    issuer : address of the provider; ``/.well-known/openid-configuration`` below it is asked.
    client_id, secret_file : of this server, as the provider has given them; the secret stands alone in a file.
    address : of this server as browsers see it; ``/login/oidc/callback`` below it is registered at the provider.
    title : what the button says after "Sign in with".
    scopes : asked for.
    name_claim : what a user is called here; it must never be given to another person. ``sub`` is the one that never is.
    role_claim, roles : which values of which claim (text or list of texts) make which role; the highest counts.
    default_role : of those who have none of these; empty: they are refused.
    """

    issuer: str
    client_id: str
    address: str
    secret_file: Path | None = None
    title: str = "your organisation"
    scopes: str = "openid profile email"
    name_claim: str = "sub"
    role_claim: str = "groups"
    roles: dict[str, str] = field(default_factory=dict)
    default_role: str = ""

    def __post_init__(self) -> None:
        for name in ("issuer", "address"):
            parts = urlsplit(getattr(self, name))
            if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
                raise SettingsError(f"{name} in {FILE} must be an https address, got {getattr(self, name)!r}")
        known = {role.value for role in Role}
        if unknown := {*self.roles.values(), *([self.default_role] if self.default_role else [])} - known:
            raise SettingsError(
                f"{FILE} names the role {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}"
            )
        if not self.client_id:
            raise SettingsError(f"client_id in {FILE} is empty")

    @property
    def callback(self) -> str:
        """The address the provider sends browsers back to."""
        return self.address.rstrip("/") + "/login/oidc/callback"

    def secret(self) -> str:
        """Return the client's secret; empty for one without.

        Raises
        ------
        SettingsError : the file cannot be read.
        """
        if self.secret_file is None:
            return ""
        try:
            return self.secret_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"the secret file in {FILE} cannot be read: {error.strerror}") from error

    def role_of(self, claims: dict[str, object]) -> Role | None:
        """Return the role of somebody with these claims; None for nobody of ours."""
        given = claims.get(self.role_claim)
        values = given if isinstance(given, list) else [given]
        found = {self.roles[value] for value in values if isinstance(value, str) and value in self.roles}
        if self.default_role:
            found.add(self.default_role)
        return next((role for role in (Role.ADMIN, Role.SUBMITTER, Role.VIEWER) if role.value in found), None)


def is_set_up(home: Home) -> bool:
    """Whether a provider is named."""
    return (home.root / FILE).exists()


def load(home: Home) -> OidcSettings | None:
    """Return the settings, None if no provider is named.

    Raises
    ------
    SettingsError : the file cannot be read or holds what cannot work.
    """
    path = home.root / FILE
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read ({error})") from error
    if not isinstance(data, dict):
        raise SettingsError(f"{path} must hold one JSON object")
    try:
        return from_json(OidcSettings, data)
    except TypeError as error:
        raise SettingsError(f"{path} must name issuer, client_id and address") from error
