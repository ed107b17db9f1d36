"""A small OpenID provider on 127.0.0.1: lets in whoever it is told to, and checks code, client and PKCE as real ones do."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey

CLIENT, SECRET = "queue", "the client's secret"


class Provider(ThreadingHTTPServer):
    """Signs in ``claims``; ``spoil`` changes what it says, to see that a lie is found out."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.issuer = f"http://127.0.0.1:{self.server_address[1]}"
        self.key = ECKey.generate_key("P-256", {"kid": "one"})
        self.claims: dict[str, Any] = {"sub": "4711", "groups": ["lab"]}
        self.spoil: dict[str, Any] = {}
        self.signs_with = self.key
        self.codes: dict[str, dict[str, str]] = {}
        self.refusals: list[str] = []

    def id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            **self.claims,
            **self.spoil,
        }
        return jwt.encode({"alg": "ES256", "kid": "one"}, claims, self.signs_with)


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        issuer = self.server.issuer
        if address.path == "/.well-known/openid-configuration":
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
            self._json(200, {"issuer": issuer, **{name: f"{issuer}/{path}" for name, path in names.items()}})
        elif address.path == "/jwks":
            self._json(200, {"keys": [self.server.key.as_dict(private=False)]})
        elif address.path == "/authorize":
            self._authorize({name: values[0] for name, values in parse_qs(address.query).items()})

    def _authorize(self, asked: dict[str, str]) -> None:
        good = asked["response_type"] == "code" and asked["client_id"] == CLIENT and "openid" in asked["scope"]
        assert good and asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self.server.codes[code] = asked
        answer = urlencode({"code": code, "state": asked["state"], "iss": self.server.issuer})
        self.send_response(302)
        self.send_header("Location", f"{asked['redirect_uri']}?{answer}")
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        given = {name: values[0] for name, values in parse_qs(body).items()}
        asked = self.server.codes.pop(given.get("code", ""), None)
        verifier = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        client = base64.b64decode(self.headers.get("Authorization", "Basic ").partition(" ")[2]).decode()
        if asked is None or asked["code_challenge"] != challenge or not client.startswith(f"{CLIENT}:"):
            self.server.refusals.append("code" if asked is None else "verifier or client")
            self._json(400, {"error": "invalid_grant"})
            return
        token = self.server.id_token(asked["nonce"])
        self._json(200, {"access_token": "x", "token_type": "Bearer", "expires_in": 300, "id_token": token})

    def _json(self, status: int, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        return


@contextlib.contextmanager
def oidc_provider() -> Iterator[Provider]:
    """A provider that runs while the block does."""
    provider = Provider()
    thread = threading.Thread(target=provider.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        provider.shutdown()
        provider.server_close()
        thread.join()
