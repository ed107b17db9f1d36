"""Login at a provider: authorization code with PKCE, state, nonce, and a signature that is checked against the provider's keys.

References
----------
OpenID Connect Core 1.0 sections 3.1.2, 3.1.3; RFC 7636 (PKCE); RFC 9207 (issuer in the answer)
"""

from __future__ import annotations

import hmac
import secrets
import time
from typing import Any

from DicomWorkbenchLib.web_problems import Problem
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from AutoSegmentQueueLib.web.context import Web, client_of, web_of
from AutoSegmentQueueLib.web.oidc_settings import OidcSettings
from AutoSegmentQueueLib.web.people import check_name
from AutoSegmentQueueLib.web.routes_login import form_cookie, goal_of, log_in, set_cookie
from AutoSegmentQueueLib.web.store import digest

_FLOW_SECONDS = 600
_KEEP_SECONDS = 3600.0  # what the provider says about itself
_PROVIDER_SECONDS = 10.0
_MOST_FLOWS = 10_000
_LEEWAY_SECONDS = 60
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]


class Provider:
    """The provider of a server: what it says about itself, its keys, and the exchange of codes."""

    def __init__(self, settings: OidcSettings) -> None:
        self.settings = settings
        self.title = settings.title
        self._said: dict[str, Any] = {}
        self._keys: Any = None
        self._until = 0.0

    async def begin(self, state: str, nonce: str, verifier: str) -> str:
        """Return the address at the provider a browser is sent to."""
        said = await self._discover()
        async with self._client() as client:
            address, _ = client.create_authorization_url(
                said["authorization_endpoint"], state=state, code_verifier=verifier, nonce=nonce
            )
        return str(address)

    async def claims_of(self, code: str, nonce: str, verifier: str) -> dict[str, Any]:
        """Exchange a code for what the provider says about somebody.

        Raises
        ------
        Problem : the provider does not answer, refuses the code, or its word is not signed by it, for us, now, for this login.
        """
        from authlib.common.errors import AuthlibBaseError
        from httpx import HTTPError

        said = await self._discover()
        try:
            async with self._client() as client:
                token = await client.fetch_token(
                    said["token_endpoint"], grant_type="authorization_code", code=code, code_verifier=verifier
                )
        except (AuthlibBaseError, HTTPError, ValueError):
            raise Problem(502, "the provider did not accept this login; try again", code="provider") from None
        return self._checked(str(token.get("id_token", "")), nonce, said)

    def _checked(self, id_token: str, nonce: str, said: dict[str, Any]) -> dict[str, Any]:
        from joserfc import jwt
        from joserfc.errors import JoseError

        try:
            claims = jwt.decode(id_token, self._keys, algorithms=ALGORITHMS).claims
            jwt.JWTClaimsRegistry(
                leeway=_LEEWAY_SECONDS,
                iss={"essential": True, "value": said["issuer"]},
                aud={"essential": True, "value": self.settings.client_id},
                exp={"essential": True},
                sub={"essential": True},
            ).validate(claims)
        except (JoseError, ValueError, KeyError):
            raise Problem(403, "what the provider said cannot be trusted", code="provider") from None
        right = hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode())
        several = isinstance(claims.get("aud"), list) and len(claims["aud"]) > 1
        if not right or (several and claims.get("azp") != self.settings.client_id):
            raise Problem(403, "what the provider said is not about this login", code="provider")
        return dict(claims)

    async def _discover(self) -> dict[str, Any]:
        if self._said and time.monotonic() < self._until:
            return self._said
        import httpx
        from joserfc.jwk import KeySet

        issuer = self.settings.issuer.rstrip("/")
        try:
            async with httpx.AsyncClient(timeout=_PROVIDER_SECONDS) as client:
                said = (await client.get(issuer + "/.well-known/openid-configuration")).raise_for_status().json()
                keys = (await client.get(said["jwks_uri"])).raise_for_status().json()
            if said["issuer"].rstrip("/") != issuer:
                raise ValueError("another issuer")
            self._keys = KeySet.import_key_set(keys)
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            raise Problem(502, "the provider does not answer as it should; try again later", code="provider") from None
        self._said, self._until = said, time.monotonic() + _KEEP_SECONDS
        return self._said

    def _client(self) -> Any:
        from authlib.integrations.httpx_client import AsyncOAuth2Client

        settings = self.settings
        return AsyncOAuth2Client(
            settings.client_id,
            settings.secret() or None,
            scope=settings.scopes,
            redirect_uri=settings.callback,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if settings.secret_file else "none",
            timeout=_PROVIDER_SECONDS,
        )


async def begin(request: Request) -> Response:
    """Send a browser to the provider."""
    web = web_of(request)
    provider = _provider(web)
    if wait := web.flows.take(client_of(request)):
        raise Problem(429, "too many logins; wait a little", {"Retry-After": str(int(wait) + 1)})
    state, nonce, verifier, held = (secrets.token_urlsafe(36) for _ in range(4))
    address = await provider.begin(state, nonce, verifier)
    goal = goal_of(request.query_params.get("next", "/"))
    await web.ask(_keep, web, (digest(state), digest(held), nonce, verifier, goal))
    answer = RedirectResponse(address, 303)
    set_cookie(web, answer, form_cookie(web), held, _FLOW_SECONDS)
    return answer


async def callback(request: Request) -> Response:
    """Take a browser back from the provider."""
    web, query = web_of(request), request.query_params
    provider = _provider(web)
    flow = await web.ask(_take, web, query.get("state", ""), request.cookies.get(form_cookie(web), ""))
    if flow is None:
        raise Problem(403, "this login is out of date or was begun in another browser; begin again", code="state")
    if "error" in query or "code" not in query:
        raise Problem(403, "the provider did not let you in", code="provider")
    if query.get("iss", provider.settings.issuer).rstrip("/") != provider.settings.issuer.rstrip("/"):
        raise Problem(403, "this answer is of another provider", code="provider")
    claims = await provider.claims_of(query["code"], flow["nonce"], flow["verifier"])
    role = provider.settings.role_of(claims)
    name = f"oidc.{claims.get(provider.settings.name_claim, '')}"[:64]
    if role is None:
        await web.note(request, "login.oidc", status=403, who="unknown")
        raise Problem(403, "you have no role here; ask whoever runs this queue")
    check_name(name)
    await web.ask(web.people.met, name, role)
    return await log_in(request, name, "oidc", flow["goal"])


def _provider(web: Web) -> Provider:
    if web.oidc is None:
        raise Problem(404, "no provider is set up here")
    found: Provider = web.oidc
    return found


def _keep(web: Web, values: tuple[str, ...]) -> None:
    now = web.store.now()
    with web.store.writing() as connection:
        connection.execute("DELETE FROM flows WHERE expires < ?", (now,))
        if connection.execute("SELECT COUNT(*) FROM flows").fetchone()[0] >= _MOST_FLOWS:
            raise Problem(503, "too many logins are under way", {"Retry-After": "60"})
        connection.execute("INSERT INTO flows VALUES (?, ?, ?, ?, ?, ?)", (*values, now + _FLOW_SECONDS))


def _take(web: Web, state: str, held: str) -> dict[str, str] | None:
    """Return a login that was begun in this browser; it can be ended once only."""
    with web.store.writing() as connection:
        row = connection.execute("SELECT * FROM flows WHERE state = ?", (digest(state),)).fetchone()
        if row is None:
            return None
        connection.execute("DELETE FROM flows WHERE state = ?", (digest(state),))
    good = hmac.compare_digest(row["browser"], digest(held)) and row["expires"] > web.store.now()
    return dict(row) if good else None
