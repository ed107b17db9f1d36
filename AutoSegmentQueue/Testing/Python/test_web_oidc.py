"""Login at a provider, against one that runs here: code, PKCE, state, nonce, signature; and every lie found out."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.web import oidc_settings
from AutoSegmentQueueLib.web.people import Role
from DicomWorkbenchLib.errors import SettingsError
from joserfc.jwk import ECKey
from queue_testing.oidc_provider import CLIENT, SECRET, Provider, oidc_provider
from queue_testing.web import WebServer, web_server


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with oidc_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def server(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    root = tmp_path_factory.mktemp("oidc") / "home"
    home = Home.open(root)
    (root / "secret").write_text(SECRET + "\n")
    said = {
        "issuer": provider.issuer,
        "client_id": CLIENT,
        "secret_file": str(root / "secret"),
        "address": "http://127.0.0.1:1",
        "roles": {"lab": "submitter", "chiefs": "admin"},
    }
    (home.root / "oidc.json").write_text(json.dumps(said))
    with web_server(root) as server:
        yield server


@pytest.fixture(autouse=True)
def honest(provider: Provider) -> None:
    provider.claims, provider.spoil, provider.signs_with = {"sub": "4711", "groups": ["lab"]}, {}, provider.key


def to_provider(client: httpx.Client, goal: str = "/jobs/abc") -> str:
    """Begin a login; returns the path and query the provider sends the browser back to."""
    answer = client.get("/login/oidc", params={"next": goal})
    assert answer.status_code == 303
    back = httpx.get(answer.headers["Location"]).headers["Location"]
    assert back.startswith("http://127.0.0.1:1/login/oidc/callback?")
    return back.removeprefix("http://127.0.0.1:1")


def log_in(server: WebServer, client: httpx.Client) -> httpx.Response:
    return client.get(to_provider(client))


def test_somebody_logs_in_with_the_role_the_provider_gives_and_goes_where_they_wanted(
    server: WebServer, provider: Provider
) -> None:
    with server.browser() as client:
        answer = log_in(server, client)
        assert answer.status_code == 303 and answer.headers["Location"] == "/jobs/abc"
        me = client.get("/api/me").json()
        assert (me["name"], me["role"]) == ("oidc.4711", "submitter")
        provider.claims = {"sub": "4711", "groups": ["lab", "chiefs"]}
        log_in(server, client)
        assert client.get("/api/me").json()["role"] == "admin"


def test_what_is_sent_to_the_provider_holds_no_secret_and_a_fresh_challenge(server: WebServer) -> None:
    with server.browser() as client:
        first, second = (parse_qs(urlsplit(client.get("/login/oidc").headers["Location"]).query) for _ in range(2))
    assert SECRET not in str(first) and first["code_challenge_method"] == ["S256"]
    assert all(first[name] != second[name] for name in ("state", "nonce", "code_challenge"))


def test_a_login_ends_only_in_the_browser_it_began_in_and_only_once(server: WebServer) -> None:
    with server.browser() as ours, server.browser() as other:
        back = to_provider(ours)
        assert other.get(back).json()["code"] == "state"  # somebody was given a link to log in as somebody else
        assert ours.get(back).status_code == 403  # and with that the login is over
        back = to_provider(ours)
        assert ours.get(back).status_code == 303 and ours.get(back).status_code == 403
        assert ours.get("/login/oidc/callback?code=x&state=y").status_code == 403
        denied = to_provider(ours).replace("code=", "error=access_denied&nocode=")
        assert ours.get(denied).status_code == 403


@pytest.mark.parametrize(
    "spoil",
    [
        {"aud": "another"},
        {"aud": [CLIENT, "another"]},
        {"iss": "http://127.0.0.1:2"},
        {"exp": int(time.time()) - 3600},
        {"nonce": "of another login"},
    ],
)
def test_a_word_of_the_provider_that_is_not_for_us_now_and_this_login_is_refused(
    server: WebServer, provider: Provider, spoil: dict[str, object]
) -> None:
    provider.spoil = spoil
    with server.browser() as client:
        assert log_in(server, client).json()["code"] == "provider"
        assert client.get("/api/me").status_code == 401


def test_a_word_that_somebody_else_has_signed_is_refused(server: WebServer, provider: Provider) -> None:
    provider.signs_with = ECKey.generate_key("P-256", {"kid": "one"})
    with server.browser() as client:
        assert log_in(server, client).status_code == 403 and client.get("/api/me").status_code == 401


def test_a_code_without_its_verifier_is_worth_nothing(server: WebServer, provider: Provider) -> None:
    with server.browser() as thief, server.browser() as victim:
        stolen = parse_qs(urlsplit(to_provider(victim)).query)["code"][0]
        own = to_provider(thief)
        mixed = own.replace(parse_qs(urlsplit(own).query)["code"][0], stolen)
        assert thief.get(mixed).status_code == 502 and provider.refusals[-1] == "verifier or client"


def test_somebody_without_a_role_is_refused(server: WebServer, provider: Provider) -> None:
    provider.claims = {"sub": "9", "groups": ["visitors"]}
    with server.browser() as client:
        assert log_in(server, client).status_code == 403 and client.get("/api/me").status_code == 401


def test_a_provider_that_does_not_answer_is_named(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    said = {"issuer": "http://127.0.0.1:9", "client_id": "x", "address": "http://127.0.0.1:1"}
    (home.root / "oidc.json").write_text(json.dumps(said))
    with web_server(tmp_path / "home") as server, server.browser() as client:
        assert client.get("/login/oidc").status_code == 502
        assert "your organisation" in client.get("/login").text


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    good = {"issuer": "https://login.example.org", "client_id": "x", "address": "https://scans.example.org"}
    for wrong in ({"issuer": "http://login.example.org"}, {"roles": {"a": "king"}}, {"client_id": ""}, {"unknown": 1}):
        (home.root / "oidc.json").write_text(json.dumps({**good, **wrong}))
        with pytest.raises(SettingsError):
            oidc_settings.load(home)
    (home.root / "oidc.json").write_text(
        json.dumps({**good, "default_role": "viewer", "role_claim": "role", "roles": {"x": "admin"}})
    )
    settings = oidc_settings.load(home)
    assert settings and settings.role_of({"role": "x"}) is Role.ADMIN and settings.role_of({}) is Role.VIEWER
