"""What was sent where, on the pages and for programs: who sees it, who may send again, and what is said where something was given up."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from AutoSegmentQueueLib.ledger import Content, Job, NewJob
from AutoSegmentQueueLib.pacs.outbox import FILE, Delivery, DeliveryState, NewDelivery, Outbox
from queue_testing.web import WebServer, web_server

PACS, ARCHIVE = "PACS@10.1.2.3:104", "https://archive.example/dicom-web"
REASON = "it refuses SEG objects: SOP class not supported (0x0122)"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebServer]:
    users = {"ann": "submitter", "ben": "submitter", "vic": "viewer", "eve": "admin"}
    with web_server(tmp_path / "home", users=users) as server:
        yield server


@pytest.fixture
def job(server: WebServer) -> Job:
    return server.ledger.enqueue(NewJob("chest <b>", user="ann"), Content("a" * 64, 1))


@pytest.fixture
def outbox(server: WebServer) -> Iterator[Outbox]:
    box = Outbox(server.home.root / FILE)
    yield box
    box.close()


def given_up(outbox: Outbox, job: Job) -> Delivery:
    """Put two deliveries of a job in: one that is stored, and one that was given up, which is returned."""
    outbox.take_in([NewDelivery(job.id, one, "result") for one in (PACS, ARCHIVE)], 1)
    stored, dead = outbox.deliveries()
    outbox.mark(stored, DeliveryState.STORED)
    outbox.mark(dead, DeliveryState.DEAD, REASON)
    return dead


def test_a_job_says_where_its_results_went(server: WebServer, job: Job, outbox: Outbox) -> None:
    with server.user("vic") as client:
        assert client.get(f"/api/jobs/{job.id}").json()["deliveries"] == []
        given_up(outbox, job)
        shown = client.get(f"/api/jobs/{job.id}").json()["deliveries"]
        assert [(one["destination"], one["state"], one["error"]) for one in shown] == [
            (PACS, "stored", ""),
            (ARCHIVE, "dead", REASON),
        ]
        page = client.get(f"/jobs/{job.id}").text
        assert "Sent to" in page and REASON in page and "Given up" in page and "Send again" not in page


def test_a_destination_that_is_left_alone_says_why(server: WebServer, job: Job, outbox: Outbox) -> None:
    outbox.take_in([NewDelivery(job.id, PACS, "result")], 1)
    outbox.pause(PACS, "nobody answers at 10.1.2.3:104", lambda failures: 60.0)
    with server.user("vic") as client:
        (one,) = client.get(f"/api/jobs/{job.id}").json()["deliveries"]
    assert (one["state"], one["error"]) == ("waiting", "nobody answers at 10.1.2.3:104")


def test_who_may_handle_a_job_sends_it_again_and_the_audit_knows(server: WebServer, job: Job, outbox: Outbox) -> None:
    dead = given_up(outbox, job)
    address = f"/api/jobs/{job.id}/deliveries/{dead.id}/send"
    for name, status in (("vic", 403), ("ben", 404)):  # ben does not even see it
        with server.user(name) as client:
            assert client.post(address).status_code == status, name
    assert outbox.find(dead.id).state is DeliveryState.DEAD
    with server.user("ann") as client:
        answer = client.post(address)
        assert [one["state"] for one in answer.json()] == ["stored", "waiting"]
        assert client.post(f"/api/jobs/{job.id}/deliveries/0000000000/send").status_code == 404
    with server.store() as store:
        rows = store.connection().execute("SELECT who, what, subject FROM audit WHERE what LIKE 'delivery%'").fetchall()
    assert [tuple(row) for row in rows] == [("ann", "delivery.again", job.id)]


def test_a_delivery_is_found_under_its_own_job_alone(server: WebServer, job: Job, outbox: Outbox) -> None:
    dead = given_up(outbox, job)
    other = server.ledger.enqueue(NewJob("other", user="ben"), Content("b" * 64, 1))
    with server.user("ben") as client:
        assert client.post(f"/api/jobs/{other.id}/deliveries/{dead.id}/send").status_code == 404
    assert outbox.find(dead.id).state is DeliveryState.DEAD


def test_it_works_without_scripts(server: WebServer, job: Job, outbox: Outbox) -> None:
    dead = given_up(outbox, job)
    with server.user("ann") as client:
        page = client.get(f"/jobs/{job.id}").text
        form = re.search(r'action="(/jobs/[^"]+/send)">?.*?name="csrf"[^>]*value="([^"]+)"', page, re.DOTALL)
        assert form, page
        del client.headers["X-CSRF-Token"]
        assert client.post(form[1], data={"csrf": "wrong"}).status_code == 403
        answer = client.post(form[1], data={"csrf": form[2]})
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/jobs/{job.id}")
    assert outbox.find(dead.id).state is DeliveryState.WAITING


def test_the_list_names_what_could_not_be_sent_to_those_who_see_all_jobs(
    server: WebServer, job: Job, outbox: Outbox
) -> None:
    def notice(client: httpx.Client) -> bool:
        return "could not be sent" in client.get("/").text

    with server.user("eve") as admin:
        assert not notice(admin)
        given_up(outbox, job)
        page = admin.get("/").text
        assert notice(admin) and REASON in page and "chest &lt;b&gt;" in page and f'href="/jobs/{job.id}"' in page
        server.ledger.cancel(job.id)
        assert admin.delete(f"/api/jobs/{job.id}").status_code == 204
        assert not notice(admin), "a deleted job's results are nobody's worry"
