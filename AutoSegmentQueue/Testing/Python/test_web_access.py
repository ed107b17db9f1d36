"""Every route, asked by somebody unknown or without the right: refused with 401 or 403 before anything is read or changed."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from AutoSegmentQueueLib.web.app import routes
from AutoSegmentQueueLib.web.security import OPEN, SAFE
from AutoSegmentQueueLib.web.tokens import Tokens
from queue_testing import nifti
from queue_testing.web import BYTES, TUS, WebServer, metadata, upload, web_server

STUDY = "1.2.826.0.1.3680043.8.498.1"
FORM = "application/x-www-form-urlencoded"
RELATED = 'multipart/related; type="application/dicom"; boundary=xx'
INSTANCE = (
    b"\r\n--xx\r\nContent-Type: application/dicom\r\n\r\n" + bytes(128) + b"DICM" + bytes(500) + b"\r\n--xx--\r\n"
)
ROUTES = sorted((method, route.path) for route in routes() for method in (route.methods or ()))
CLOSED = [
    (method, path) for method, path in ROUTES if path not in OPEN and not path.startswith(("/static/", "/login/oidc"))
]
UNSAFE = [(method, path) for method, path in CLOSED if method not in SAFE and path != "/logout"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    users = {"ann": "submitter", "vic": "viewer"}
    with web_server(tmp_path_factory.mktemp("access") / "home", users=users) as server:
        yield server


@pytest.fixture(scope="module")
def job(server: WebServer) -> str:
    with server.script("submit", "makes") as client:
        return upload(client, nifti(), filename="a.nii").headers["X-Job"]


@pytest.fixture(scope="module")
def secrets(server: WebServer) -> dict[str, str]:
    """Values of the header Authorization that open nothing, and those that open only some."""
    with server.store() as store:
        tokens = Tokens(store)
        found = {"read": tokens.add("reads", ("read",), 1), "viewer": tokens.add("viewers", ("admin",), 1, "vic")}
        revoked = tokens.add("revoked", ("admin",), 1)
        tokens.revoke("revoked")
        store.now = lambda: time.time() - 3 * 86400  # type: ignore[method-assign]
        expired = tokens.add("expired", ("admin",), 2)
        store.now = lambda: time.time() + 86400  # type: ignore[method-assign]
        early = tokens.add("early", ("admin",), 2)
    good = {name: f"Bearer {secret}" for name, secret in found.items()}
    bad = {"expired": expired, "revoked": revoked, "early": early, "wrong": expired[:-1] + "x", "made up": "dwq_"}
    return {**good, **{name: f"Bearer {secret}" for name, secret in bad.items()}, "basic": "Basic YTpi", "none": ""}


@pytest.fixture(scope="module")
def nobody(server: WebServer) -> Iterator[httpx.Client]:
    with server.browser() as client:
        yield client


def ask(client: httpx.Client, method: str, path: str, job: str, headers: dict[str, str]) -> httpx.Response:
    base = "/jobs/{id}" in path
    for name, value in (
        ("{id}", job if base else "no-such"),
        ("{n:int}", "1"),
        ("{axis}", "axial"),
        ("{study}", STUDY),
    ):
        path = path.replace(name, value)
    path = re.sub(r"\{[^}]*\}", "name", path)
    kind = "application/json"
    for part, other in (("dicom-web", RELATED), ("uploads", BYTES["Content-Type"]), (f"/jobs/{job}/", FORM)):
        kind = other if part in path and not path.startswith("/api/jobs") else kind
    tus = {**TUS, "Upload-Length": "500", "Upload-Offset": "0", "Upload-Metadata": metadata(filename="a.nii")}
    sent = {**(tus if "uploads" in path else {}), "Content-Type": kind, **headers}
    return client.request(method, path, headers=sent, content=INSTANCE if method not in SAFE else b"")


def kept(server: WebServer) -> list[Path]:
    return sorted(path for path in server.home.root.rglob("*") if "sqlite3" not in path.name)


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_nobody_gets_in_without_a_token_that_is_right_and_lives(
    server: WebServer, nobody: httpx.Client, job: str, secrets: dict[str, str], method: str, path: str
) -> None:
    before = kept(server)
    for name in ("none", "wrong", "made up", "expired", "revoked", "early", "basic"):
        headers = {"Authorization": secrets[name]} if secrets[name] else {}
        answer = ask(nobody, method, path, job, headers)
        assert answer.status_code == 401, name
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert kept(server) == before and server.ledger.job(job).state == "queued"


@pytest.mark.parametrize(("method", "path"), UNSAFE)
def test_who_may_only_look_changes_nothing(
    server: WebServer, nobody: httpx.Client, job: str, secrets: dict[str, str], method: str, path: str
) -> None:
    before = kept(server)
    for name in ("read", "viewer"):  # a token with that scope, and one of a viewer whatever its scope
        assert ask(nobody, method, path, job, {"Authorization": secrets[name]}).status_code == 403, name
    assert kept(server) == before and server.ledger.job(job).state == "queued" and not server.ledger.paused


def test_a_wrong_token_is_not_made_good_by_a_session(server: WebServer, secrets: dict[str, str]) -> None:
    with server.user("ann") as client:
        assert client.get("/api/jobs").status_code == 200
        headers = {"Authorization": secrets["wrong"]}
        assert client.get("/api/jobs", headers=headers).status_code == 401
        begun = client.post("/api/uploads", headers={**TUS, "Upload-Length": "500", **headers})
        assert begun.status_code == 401


def test_the_table_of_routes_was_asked_whole() -> None:
    assert ("POST", "/dicom-web/studies") in UNSAFE and ("POST", "/api/pull") in UNSAFE
    assert ("POST", "/api/uploads") in UNSAFE and len(CLOSED) > 40
