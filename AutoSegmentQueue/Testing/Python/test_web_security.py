"""Who gets in, who may do what, forged requests, other people's machines, and what the audit knows."""

import json
import re
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.web.audit import Audit
from AutoSegmentQueueLib.web.people import People, Role
from AutoSegmentQueueLib.web.security import POLICY
from AutoSegmentQueueLib.web.sessions import Sessions
from AutoSegmentQueueLib.web.settings import WebSettings
from AutoSegmentQueueLib.web.store import WebStore
from AutoSegmentQueueLib.web.tokens import Tokens
from DicomWorkbenchLib.errors import OutputError, SettingsError
from queue_testing import nifti, run_queue
from queue_testing.web import PASSWORD, WebServer, log_in, upload, web_server

USERS = {"ann": "submitter", "bob": "submitter", "vic": "viewer", "ada": "admin"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_server(tmp_path_factory.mktemp("security") / "home", users=USERS) as server:
        yield server


@pytest.fixture(scope="module")
def ann(server: WebServer) -> Iterator[httpx.Client]:
    with server.user("ann") as client:
        yield client


@pytest.fixture(scope="module")
def job(server: WebServer, ann: httpx.Client) -> str:
    return upload(ann, nifti(seed=1), filename="of_ann.nii").headers["X-Job"]


def test_the_printed_address_opens_one_browser_once(tmp_path: Path) -> None:
    with web_server(tmp_path / "home") as server, server.browser() as first, server.browser() as second:
        assert first.get("/api/jobs").status_code == 401
        answer = first.get(server.printed)
        cookie = answer.headers["Set-Cookie"]
        assert answer.status_code == 303 and answer.headers["Location"] == "/"
        assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie and "Domain" not in cookie
        assert first.get("/api/me").json()["role"] == "admin"
        assert first.get(server.printed).headers["Location"] == "/"  # the back button of the same browser
        assert second.get(server.printed).status_code == 403 and second.get("/api/me").status_code == 401
        assert second.get("/?token=guess").status_code == 403
        server.add_user("ada", "admin")  # from now on there are logins
        assert first.get("/api/me").status_code == 401
    with web_server(tmp_path / "home") as server:
        assert "token" not in server.printed


def test_a_login_lasts_over_a_restart_and_ends_by_logout_time_or_removal(tmp_path: Path) -> None:
    root = tmp_path / "home"
    with web_server(root, users={"ann": "submitter", "eva": "viewer"}) as server, server.user("ann") as client:
        cookies = {
            name.rpartition("_")[0]: value for name, value in client.cookies.items() if not name.endswith("_form")
        }
    secret = cookies["queue_session"]
    store = WebStore(Home(root))
    web = WebSettings(session_hours=12, idle_hours=4)
    assert Sessions(store, web).find(secret)
    for hours, lives in ((5, False), (3, True), (13, False)):
        store.now = lambda hours=hours: time.time() + hours * 3600  # type: ignore[method-assign]
        assert bool(Sessions(store, web).find(secret)) == lives
    store.now = lambda: time.time() - 60  # type: ignore[method-assign]
    assert not Sessions(store, web).find(secret)  # a clock that was set back opens nothing
    with store.reading() as connection:
        dump = "\n".join(connection.iterdump())
    assert secret not in dump and PASSWORD not in dump and "$argon2id$" in dump
    People(store).remove("ann")
    store.now = time.time  # type: ignore[method-assign]
    assert not Sessions(store, web).find(secret)
    store.close()
    with web_server(root) as server, server.user("eva") as client:
        word = client.headers.pop("X-CSRF-Token")
        assert client.post("/logout", data={"csrf": "wrong"}).status_code == 403
        stolen = dict(client.cookies)
        assert client.post("/logout", data={"csrf": word}).headers["Location"] == "/login"
        with server.browser(cookies=stolen) as other:
            assert other.get("/api/me").status_code == 401


def test_wrong_names_and_passwords_look_the_same_and_are_slowed_down(tmp_path: Path) -> None:
    with web_server(tmp_path / "home", users={"bob": "submitter"}) as server, server.browser() as client:
        said = set()
        for name, password in (("bob", "wrong password"), ("nobody", PASSWORD), ("bob", "")):
            answer = log_in(client, name, password)
            said.add((answer.status_code, re.search(r'role="alert".*?</p>', answer.text, re.DOTALL)[0]))  # type: ignore[index]
        assert len(said) == 1 and said.pop()[0] == 401
        statuses = [log_in(client, "bob", "wrong password").status_code for _ in range(8)]
        assert statuses[-1] == 429 and log_in(client, "bob").status_code == 429
        with server.browser() as bare:  # without the page of the form there is no login
            assert bare.post("/login", data={"name": "bob", "password": PASSWORD}).status_code == 403


def test_where_to_go_after_the_login_is_never_another_server(server: WebServer) -> None:
    from AutoSegmentQueueLib.web.routes_login import goal_of

    assert goal_of("/jobs/abc?x=1") == "/jobs/abc?x=1"
    for bad in (
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/a\r\nSet-Cookie: x",
        "/login",
    ):
        assert goal_of(bad) == "/"
    with server.browser() as client:
        page = client.get("/jobs/22222222", headers={"Accept": "text/html"})
        assert page.status_code == 303 and page.headers["Location"] == "/login?next=/jobs/22222222"


def test_each_sees_and_does_what_the_role_allows(server: WebServer, ann: httpx.Client, job: str) -> None:
    url = f"/api/jobs/{job}"
    with (
        server.script("read,submit", "t-bob", "bob") as bob,
        server.script("read", "t-vic", "vic") as vic,
        server.script("admin", "t-ada", "ada") as ada,
    ):
        assert ann.get(url).json()["can"] == {"cancel": True, "retry": False, "delete": False}
        assert bob.get(url).status_code == 404 and bob.post(f"{url}/cancel").status_code == 404
        assert bob.get("/api/jobs").json()["jobs"] == [] and bob.get("/api/jobs").json()["counts"]["queued"] == 0
        assert bob.get("/status").json()["jobs"] == [] and bob.get("/files").json() == []
        assert vic.get(url).json()["can"]["cancel"] is False and vic.post(f"{url}/cancel").status_code == 403
        assert upload(vic, nifti(), filename="a.nii").status_code == 403
        assert vic.post("/upload", files={"files": ("a.nii", nifti())}).status_code == 403
        for who in (ann, bob, vic):
            assert who.post("/api/queue/pause").status_code == 403
            assert who.post(f"{url}/priority", json={"priority": 1}).status_code in (403, 404)
        assert ada.post("/api/queue/pause").status_code == 200 and ada.post("/api/queue/resume").status_code == 200
        assert ada.get(url).json()["can"]["cancel"] is True


def test_a_token_does_no_more_than_its_scopes_and_its_user_and_ends(server: WebServer, job: str) -> None:
    with server.script("read", "reads") as reads, server.script("submit", "submits") as submits:
        assert job in [one["id"] for one in reads.get("/api/jobs").json()["jobs"]]
        assert upload(reads, nifti(), filename="a.nii").status_code == 403
        assert submits.get(f"/api/jobs/{job}").status_code == 404
        made = upload(submits, nifti(seed=2), filename="a.nii").headers["X-Job"]
        assert submits.get(f"/api/jobs/{made}").json()["user"] == "token:submits"
    with server.script("admin", "too-much", "vic") as client:  # a viewer's token with more than a viewer may
        assert client.post("/api/queue/pause").status_code == 403 and client.get("/api/jobs").status_code == 200
    with server.store() as store:
        secret = Tokens(store).add("short", ("read",), 1)
        assert secret.startswith("dwq_")
        with server.browser(headers={"Authorization": f"Bearer {secret}"}) as client:
            assert client.get("/api/me").status_code == 200
            Tokens(store).revoke("short")
            assert client.get("/api/me").status_code == 401
        store.now = lambda: time.time() - 3 * 86400  # type: ignore[method-assign]
        old = Tokens(store).add("old", ("read",), 2)
    for wrong in (f"Bearer {old}", "Bearer dwq_x", f"Basic {secret}", "Bearer", f"bearer {'x' * 5000}"):
        with server.browser(headers={"Authorization": wrong}) as client:
            assert client.get("/api/me").status_code == 401


def test_forged_requests_are_refused(server: WebServer, ann: httpx.Client, job: str) -> None:
    word = ann.headers["X-CSRF-Token"]
    with server.browser(cookies=ann.cookies) as forged:
        url = f"/api/jobs/{job}/cancel"
        assert forged.post(url).json()["code"] == "csrf"
        assert forged.post(url, headers={"X-CSRF-Token": "x" * 43}).status_code == 403
        good = {"X-CSRF-Token": word}
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": f"http://{server.host}.evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            assert forged.post(url, headers={**good, **headers}).json()["code"] == "wrong-origin", headers
        assert forged.post(f"/jobs/{job}/cancel", data={"csrf": "no"}).status_code == 403
        own = forged.post(
            "/api/queue/pause", headers={**good, "Origin": server.address, "Sec-Fetch-Site": "same-origin"}
        )
        assert own.json()["code"] == "not-allowed"  # gets as far as the role
    assert server.ledger.job(job).state == "queued"


def test_a_name_that_was_made_to_point_here_is_not_answered(server: WebServer, ann: httpx.Client) -> None:
    for host in (
        "evil.example",
        f"evil.example:{server.host.partition(':')[2]}",
        "127.0.0.1.evil.example",
        "169.254.169.254",
    ):
        assert ann.get("/api/me", headers={"Host": host}).status_code == 421
    assert ann.get("/api/me", headers={"Host": "localhost"}).status_code == 200


def test_every_answer_carries_the_headers_that_keep_pages_apart(server: WebServer, ann: httpx.Client) -> None:
    with server.browser() as nobody:
        for answer in (
            ann.get("/"),
            ann.get("/api/jobs"),
            nobody.get("/api/jobs"),
            nobody.get("/login"),
            ann.get("/none"),
        ):
            assert answer.headers["Content-Security-Policy"] == POLICY and "unsafe" not in POLICY
            assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["X-Frame-Options"] == "DENY"
            assert answer.headers["Cache-Control"] == "no-store"
    assert "server" not in ann.get("/").headers
    page = ann.get("/").text
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|<style|\sstyle=", page)


def test_other_machines_are_served_only_with_logins_and_encryption(tmp_path: Path) -> None:
    for number, (web, users, said) in enumerate(
        (
            (WebSettings(host="0.0.0.0"), {}, "queue user add"),
            (WebSettings(host="0.0.0.0"), USERS, "--tls-cert"),
            (WebSettings(host="0.0.0.0", tls_self_made=True), {}, "queue user add"),
            (WebSettings(behind_proxy=True), {}, "queue user add"),
        )
    ):
        with (
            pytest.raises(SettingsError, match=said),
            web_server(tmp_path / f"home{number}", web, users and {"ann": "viewer"}),
        ):
            pass
    for wrong in ({"tls_cert": Path("a")}, {"behind_proxy": True, "tls_self_made": True}, {"quota_bytes": -1}):
        with pytest.raises(SettingsError):
            WebSettings(**wrong)  # type: ignore[arg-type]
    done = run_queue("serve", "--home", str(tmp_path / "other"), "--port", "0", "--host", "0.0.0.0")
    assert done.returncode != 0 and "queue user add" in done.stderr


def test_a_self_made_certificate_encrypts_and_cookies_are_then_bound_to_it(tmp_path: Path) -> None:
    with web_server(tmp_path / "home", WebSettings(tls_self_made=True), users={"ann": "submitter"}) as server:
        certificate = server.home.root / "tls" / "cert.pem"
        trusting = ssl.create_default_context(cafile=str(certificate))
        assert server.address.startswith("https://")
        with server.browser(verify=trusting) as client:
            cookie = log_in(client, "ann").headers["Set-Cookie"]
            assert cookie.startswith("__Host-queue_session") and "Secure" in cookie
            assert client.get("/api/me").json()["name"] == "ann"
        host, port = server.host.split(":")
        with (
            pytest.raises((ssl.SSLError, ConnectionError)),
            socket.create_connection((host, int(port)), timeout=10) as raw,
        ):
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
            old.maximum_version = ssl.TLSVersion.TLSv1_1
            old.wrap_socket(raw)
    if hasattr(certificate, "owner") and ssl.OPENSSL_VERSION:
        assert (certificate.parent / "key.pem").stat().st_mode & 0o077 == 0


def test_behind_a_proxy_the_client_it_names_is_the_one_that_counts(tmp_path: Path) -> None:
    web = WebSettings(behind_proxy=True, allowed_hosts=("scans.example.org",))
    with web_server(tmp_path / "home", web, users={"ann": "submitter"}) as server:
        headers = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "Host": "scans.example.org"}
        with server.browser(headers=headers) as client:
            assert "Secure" in client.get("/login").headers["Set-Cookie"]
            assert client.get("/?token=guess").status_code == 403
            with server.store() as store:
                assert Audit(store).lines()[-1].address == "192.0.2.7"


def test_the_audit_tells_who_did_what_without_names_of_files_and_shows_every_change(tmp_path: Path) -> None:
    with web_server(tmp_path / "home", users={"ann": "submitter"}) as server:
        with server.user("ann") as client:
            log_in(client, "my secret typed as a name", "x")
            job = upload(client, nifti(), filename="Doe^Jane 1970-01-01.nii").headers["X-Job"]
            client.post(f"/api/jobs/{job}/cancel")
            client.delete(f"/api/jobs/{job}")
        with server.store() as store:
            audit = Audit(store)
            lines = audit.lines()
            assert [(line.what, line.who, line.subject, line.status) for line in lines] == [
                ("login.password", "ann", "", 200),
                ("login.password", "unknown", "", 401),
                ("upload", "ann", job, 200),
                ("job.cancel", "ann", job, 200),
                ("job.delete", "ann", job, 200),
            ]
            text = json.dumps([line.__dict__ for line in lines])
            assert "Doe" not in text and "secret" not in text and lines[0].address == "127.0.0.1"
            good = audit.verify()
            assert (good.lines, good.problem) == (5, "") and audit.has(good.last)
            for change in ("UPDATE audit SET who = 'bob' WHERE n = 3", "DELETE FROM audit WHERE n = 3"):
                with pytest.raises(Exception, match="append-only"), store.writing() as connection:
                    connection.execute(change)
            with store.writing() as connection:  # somebody with the file in hand
                connection.execute("DROP TRIGGER audit_is_never_changed")
                connection.execute("UPDATE audit SET who = 'bob' WHERE n = 3")
            assert audit.verify().problem == "line 3 was changed"
        done = run_queue("audit", "verify", "--home", str(server.home.root))
        assert done.returncode == 1 and "line 3" in done.stderr


def test_users_and_tokens_are_made_listed_and_removed_by_commands(tmp_path: Path) -> None:
    import subprocess

    from queue_testing import environment, queue_command

    home = ("--home", str(tmp_path / "home"))

    def typed(password: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = queue_command("user", "add", *arguments, "--password-stdin", *home)
        return subprocess.run(
            command, input=password + "\n", capture_output=True, text=True, check=False, env=environment()
        )

    assert typed("short", "eve").returncode != 0
    assert typed(PASSWORD, "local").returncode != 0 and typed(PASSWORD, "a/../b").returncode != 0
    assert "added" in typed(PASSWORD, "eve", "--role", "admin").stdout
    assert "admin" in run_queue("user", "list", *home).stdout
    store = WebStore(Home(tmp_path / "home"))
    with store.reading() as connection:
        (stored,) = connection.execute("SELECT password FROM users").fetchone()
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,")  # RFC 9106, the second of its recommended settings
    store.close()
    made = run_queue("token", "add", "nightly", "--scope", "read,submit", "--days", "30", *home)
    assert made.stdout.startswith("dwq_") and made.returncode == 0
    listed = run_queue("token", "list", *home).stdout
    assert "nightly" in listed and made.stdout.strip() not in listed
    assert run_queue("token", "revoke", "nightly", *home).returncode == 0
    assert (
        run_queue("user", "remove", "eve", *home).returncode == 0
        and run_queue("user", "remove", "eve", *home).returncode == 1
    )
    store = WebStore(Home(tmp_path / "home"))
    assert People(store).get("eve") is None
    assert [line.what for line in Audit(store).lines()] == ["user.add", "token.add", "token.revoke", "user.remove"]
    assert People(store).add("eve", Role.VIEWER, PASSWORD)
    store.close()


def test_a_taken_port_is_named(server: WebServer) -> None:
    from DicomWorkbenchLib.web_serving import listen

    port = int(server.host.partition(":")[2])
    with pytest.raises(OutputError, match=f"port {port}"):
        listen("127.0.0.1", port)
