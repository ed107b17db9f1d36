"""Jobs over the web: pages of lists, live events with replay, results, commands, and what scripts of before still find."""

import hashlib
import io
import json
import os
import signal
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from AutoSegmentQueueLib.ledger import Content, Job, NewJob
from AutoSegmentQueueLib.states import State
from AutoSegmentQueueLib.web import events
from AutoSegmentQueueLib.worker import Worker
from queue_testing import is_running, nifti, opened_home, serving, wait_for
from queue_testing.web import Follower, WebServer, upload, web_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_server(tmp_path_factory.mktemp("api") / "home") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: WebServer) -> Iterator[httpx.Client]:
    with server.local() as client:
        yield client


@pytest.fixture(scope="module", autouse=True)
def done(server: WebServer, client: httpx.Client) -> Job:
    job_id = upload(client, nifti(seed=100), filename="done.nii").headers["X-Job"]
    worker = Worker(server.home, server.settings, server.ledger)
    worker.run(drain=True)
    worker.close()
    return server.ledger.job(job_id)


def enqueue(server: WebServer, name: str, **values: Any) -> Job:
    return server.ledger.enqueue(NewJob(name, **values), Content(hashlib.sha256(name.encode()).hexdigest(), 1))


def test_a_list_is_read_page_by_page_newest_first(server: WebServer, client: httpx.Client) -> None:
    made = [enqueue(server, f"page-{number}").id for number in range(7)]
    wait_for(lambda: client.get(f"/api/jobs/{made[-1]}").json()["position"] is not None)  # places are read now and then
    first = client.get("/api/jobs", params={"limit": 3, "q": "page-"}).json()
    second = client.get("/api/jobs", params={"limit": 3, "q": "page-", "after": first["next"]}).json()
    last = client.get("/api/jobs", params={"limit": 3, "q": "page-", "after": second["next"]}).json()
    assert [row["id"] for page in (first, second, last) for row in page["jobs"]] == made[::-1]
    assert last["next"] is None and first["counts"]["queued"] >= 7
    positions = {row["id"]: row["position"] for page in (first, second, last) for row in page["jobs"]}
    assert [positions[one] for one in made] == list(range(positions[made[0]], positions[made[0]] + 7))


def test_the_list_says_of_each_job_what_its_own_address_says(server: WebServer, client: httpx.Client) -> None:
    for _ in range(2):  # made, and known from before
        for row in client.get("/api/jobs").json()["jobs"]:
            alone = client.get(f"/api/jobs/{row['id']}").json()
            del row["wait_seconds"], alone["wait_seconds"]  # goes on meanwhile
            assert row == {name: alone[name] for name in row} and "output" not in row


def test_a_list_can_be_of_some_states_and_a_text_is_taken_as_it_is(server: WebServer, client: httpx.Client) -> None:
    job = enqueue(server, "100% _sure'")
    for text in ("100%", "% _s", "e'"):
        assert [row["id"] for row in client.get("/api/jobs", params={"q": text}).json()["jobs"]] == [job.id]
    assert client.get("/api/jobs", params={"q": "100_"}).json()["jobs"] == []
    server.ledger.cancel(job.id)
    rows = client.get("/api/jobs", params={"state": "cancelled,failed"}).json()["jobs"]
    assert job.id in [row["id"] for row in rows] and {row["state"] for row in rows} <= {"cancelled", "failed"}
    assert client.get("/api/jobs", params={"state": "lost"}).status_code == 400


def test_a_finished_job_shows_its_files_and_each_comes_whole_or_in_part(client: httpx.Client, done: Job) -> None:
    shown = client.get(f"/api/jobs/{done.id}").json()
    (file,) = [one for one in shown["files"] if one["name"] == "segmentation.json"]
    whole = client.get(file["url"])
    assert hashlib.sha256(whole.content).hexdigest() == file["sha256"] and len(whole.content) == file["bytes"]
    assert whole.headers["ETag"] == f'"{file["sha256"]}"' and "attachment" in whole.headers["Content-Disposition"]
    part = client.get(file["url"], headers={"Range": "bytes=3-6"})
    assert part.status_code == 206 and part.content == whole.content[3:7]
    assert client.get(file["url"], headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
    assert [one["state"] for one in shown["history"]][-1] == "done" and shown["state"] == "done"
    assert str(Path(done.output or "").parent) not in json.dumps(shown)


def test_only_what_the_manifest_names_can_be_had(server: WebServer, client: httpx.Client, done: Job) -> None:
    folder = Path(done.output or "")
    (folder / "secret.txt").write_text("not of the results")
    for name in (
        "secret.txt",
        "../done/segmentation.json",
        "..%2f..%2fledger.sqlite3",
        "%2e%2e/settings.json",
        "nothing",
        "",
    ):
        assert client.get(f"/api/jobs/{done.id}/files/{name}").status_code in (404, 400), name
    assert client.get(f"/download/{folder.name}/secret.txt").status_code == 404
    assert client.get("/download/../web.sqlite3").status_code == 404
    assert client.get("/download/%2e%2e/web.sqlite3").status_code == 404


def test_everything_comes_as_one_archive(client: httpx.Client, done: Job) -> None:
    answer = client.get(f"/api/jobs/{done.id}/archive.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert any(name.endswith("segmentation.json") for name in archive.namelist())


def test_scripts_of_before_find_files_download_and_status(client: httpx.Client, done: Job) -> None:
    names = client.get("/files").json()
    name = f"{Path(done.output or '').name}/segmentation.json"
    assert name in names
    assert client.get(f"/download/{name}").content == (Path(done.output or "") / "segmentation.json").read_bytes()
    status = client.get("/status").json()
    assert done.id in [job["id"] for job in status["jobs"]] and status["paused"] is False


def test_jobs_are_cancelled_tried_again_and_deleted_with_their_scan(server: WebServer, client: httpx.Client) -> None:
    job_id = upload(client, nifti(seed=101), filename="short.nii").headers["X-Job"]
    kept = Path(server.ledger.job(job_id).inputs[0])
    url = f"/api/jobs/{job_id}"
    assert client.delete(url).status_code == 409 and client.post(f"{url}/retry").status_code == 409
    assert client.post(f"{url}/cancel").json()["state"] == "cancelled"
    assert client.post(f"{url}/cancel").status_code == 409
    assert client.post(f"{url}/retry").status_code == 200
    wait_for(lambda: server.ledger.job(job_id).state is State.QUEUED)
    assert client.post(f"{url}/priority", json={"priority": 7}).json()["priority"] == 7
    assert client.post(f"{url}/priority", json={"priority": "high"}).status_code == 400
    client.post(f"{url}/cancel")
    assert kept.exists() and client.delete(url).status_code == 204 and not kept.exists()
    assert client.get(url).status_code == 404
    assert job_id not in [row["id"] for row in client.get("/api/jobs").json()["jobs"]]
    assert server.ledger.history(job_id)[-1].note  # the history stays


def test_results_shared_by_two_jobs_go_with_the_last_of_them(tmp_path: Path) -> None:
    with web_server(tmp_path / "home") as server, server.local() as client:
        first, second = (upload(client, nifti(seed=1), filename="twin.nii").headers["X-Job"] for _ in range(2))
        worker = Worker(server.home, server.settings, server.ledger)
        worker.run(drain=True)
        worker.close()
        folder = Path(server.ledger.job(second).output or "")
        assert client.delete(f"/api/jobs/{first}").status_code == 204 and (folder / "segmentation.json").exists()
        assert client.get(f"/api/jobs/{second}/files/segmentation.json").status_code == 200
        assert client.delete(f"/api/jobs/{second}").status_code == 204 and not folder.exists()


def test_the_queue_pauses_and_goes_on(server: WebServer, client: httpx.Client) -> None:
    assert client.post("/api/queue/pause").json()["paused"] is True and server.ledger.paused
    assert client.post("/api/queue/resume").json()["paused"] is False and not server.ledger.paused


def test_engines_say_what_they_can_and_why_one_cannot(client: httpx.Client) -> None:
    engines = {one["name"]: one for one in client.get("/api/engines").json()}
    assert engines["threshold"]["available"] and all(
        one["available"] == (one["reason"] is None) for one in engines.values()
    )


def test_what_happens_is_told_and_what_was_missed_comes_after_coming_back(
    server: WebServer, client: httpx.Client
) -> None:
    follower = Follower(client)
    job = enqueue(server, "told")
    wait_for(lambda: follower.rows(job.id))
    assert follower.rows(job.id)[0]["state"] == "queued"
    wait_for(lambda: any(kind == "queue" for kind, _, _ in follower.found))
    last = follower.close()
    missed = enqueue(server, "missed")
    server.ledger.cancel(job.id)
    follower = Follower(client, **{"Last-Event-ID": str(last)})
    wait_for(lambda: follower.rows(missed.id))
    assert follower.rows(job.id)[0]["state"] == "cancelled"
    assert follower.close() == server.ledger.last_event()


def test_many_changes_come_together_at_most_four_times_a_second(server: WebServer, client: httpx.Client) -> None:
    follower = Follower(client)
    enqueue(server, "begin")
    wait_for(lambda: follower.found)
    began = time.monotonic()
    made = [enqueue(server, f"burst-{number}").id for number in range(60)]
    wait_for(lambda: follower.rows(made[-1]))
    took = time.monotonic() - began
    follower.close()
    told = [kind for kind, _, _ in follower.found].count("queue")
    assert all(follower.rows(one) for one in made) and told <= took / events.COALESCE_SECONDS + 3


def test_who_missed_too_much_is_told_to_load_the_list_anew(
    server: WebServer, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_REPLAYED", 3)
    for number in range(5):
        enqueue(server, f"flood-{number}")
    follower = Follower(client, **{"Last-Event-ID": "1"})
    wait_for(lambda: follower.found)
    follower.close()
    assert follower.found[0][0] == "reload"


def test_a_deleted_job_is_told_as_deleted(server: WebServer, client: httpx.Client) -> None:
    job = enqueue(server, "gone")
    server.ledger.cancel(job.id)
    follower = Follower(client)
    client.delete(f"/api/jobs/{job.id}")
    wait_for(lambda: any(row["state"] == "deleted" for row in follower.rows(job.id)))
    follower.close()


@pytest.mark.skipif(sys.platform != "linux", reason="finds the process of the server in /proc")
def test_serve_shows_its_page_beside_the_workers_and_brings_it_back_when_it_was_killed(tmp_path: Path) -> None:
    root = tmp_path / "home"
    with opened_home(root), serving(root, "--port", "0") as queue:
        assert queue.stderr
        lines = iter(queue.stderr.readline, "")
        address = next(line for line in lines if line.startswith("page ")).split()[1]
        root_of_it = address.partition("/?")[0]
        with httpx.Client(base_url=root_of_it, timeout=30) as browser:
            assert browser.get(address).status_code == 303
            browser.headers["X-CSRF-Token"] = browser.get("/api/me").json()["csrf"]
            made = upload(browser, nifti(seed=55), filename="beside.nii").headers["X-Job"]
            wait_for(lambda: browser.get(f"/api/jobs/{made}").json()["state"] == "done")
            pid = server_beside(queue.pid)
            os.kill(pid, signal.SIGKILL)
            assert next(line for line in lines if "started again" in line)
            wait_for(lambda: answers(browser, "/api/health"))
            assert browser.get(f"/api/jobs/{made}").json()["state"] == "done"  # the login is still good
            assert browser.get(address).headers["Location"] == "/"
        with httpx.Client(base_url=root_of_it, timeout=30) as other:
            assert other.get(address).status_code == 403  # the key was used, also by what was before the restart
        pid = server_beside(queue.pid)
    wait_for(lambda: not is_running(pid))


def server_beside(parent: int) -> int:
    """The process of the web server of a queue (Linux)."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    children += [
        child for task in Path(f"/proc/{parent}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return next(int(child) for child in children if b"--with-parent" in Path(f"/proc/{child}/cmdline").read_bytes())


def answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False
