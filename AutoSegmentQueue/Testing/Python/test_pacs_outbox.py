"""The outbox and the sender's decisions: what is taken in, what is tried again and when, what is given up. A node of pynetdicom answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from AutoSegmentQueueLib.pacs.destinations import destination_of
from AutoSegmentQueueLib.pacs.outbox import DeliveryState, NewDelivery, NoSuchDelivery, Outbox
from AutoSegmentQueueLib.pacs.outbox_sender import deliver, take_in
from AutoSegmentQueueLib.pacs.send_errors import Permanent, SendError, check_status
from AutoSegmentQueueLib.pacs.send_settings import SendSettings
from DicomWorkbenchLib.errors import SettingsError
from pacs_testing.outgoing import QUICK, Sending, finish_job, make_result, sending_home
from queue_testing import opened_home, run_queue

pytestmark = pytest.mark.needs("module:pynetdicom", "module:highdicom", "module:cryptography")
HERE = "A@127.0.0.1:104"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_result(tmp_path_factory.mktemp("result"), wanted=("rtstruct",))


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Sending]:
    with sending_home(tmp_path / "home") as home:
        yield home


@contextmanager
def node(statuses: list[int]) -> Iterator[str]:
    """A node that answers C-STORE with these statuses, the last one for ever, and finds nothing."""
    from pynetdicom import AE, evt

    entity = AE(ae_title="NODE")
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.481.3")
    entity.add_supported_context("1.2.840.10008.5.1.4.1.2.2.1")
    entity.add_supported_context("1.2.840.10008.1.1")
    left = list(statuses)

    def on_store(event: Any) -> int:
        return left.pop(0) if len(left) > 1 else left[0]

    handlers = [(evt.EVT_C_STORE, on_store), (evt.EVT_C_FIND, lambda event: iter(()))]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield f"NODE@127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def one_try(ours: Sending, to: str, settings: SendSettings = QUICK) -> Any:
    """Try the only delivery once, whenever it is due; returns it afterwards."""
    take_in(ours.ledger, ours.outbox, (to,))
    (delivery,) = ours.outbox.deliveries()
    deliver(delivery, ours.outbox, destination_of(to, settings), settings, ours.lines.append)
    return ours.outbox.deliveries()[0]


@pytest.mark.parametrize("status", [0x0000, 0x0111, 0xB000, 0xB006, 0xB007])
def test_success_duplicate_and_warnings_count_as_taken(status: int) -> None:
    check_status(status, HERE)


@pytest.mark.parametrize("status", [0xA900, 0xA9FE, 0xC000, 0xC123, 0x0122])
def test_what_will_never_be_taken_is_permanent(status: int) -> None:
    with pytest.raises(Permanent):
        check_status(status, HERE)


@pytest.mark.parametrize("status", [0xA700, 0xA701, 0x0110, 0x0124, None])
def test_what_may_be_taken_next_time_is_not(status: int | None) -> None:
    with pytest.raises(SendError) as raised:
        check_status(status, HERE)
    assert not isinstance(raised.value, Permanent)


def test_the_wait_doubles_up_to_the_longest_with_chance_in_it() -> None:
    settings = SendSettings(first_seconds=4, longest_seconds=60)
    for failures, full in ((1, 4), (2, 8), (4, 32), (5, 60), (500, 60)):
        waits = {settings.wait_seconds(failures) for _ in range(20)}
        assert len(waits) > 1 and all(full / 2 <= wait <= full for wait in waits)


def test_a_node_out_of_resources_is_asked_again_later(ours: Sending, result: Path) -> None:
    finish_job(ours.ledger, result)
    with node([0xA700, 0x0000]) as to:
        tried = one_try(ours, to)
        assert (tried.state, tried.attempts) == (DeliveryState.WAITING, 1)
        assert "out of resources (0xA700)" in tried.error
        assert tried.not_before > tried.changed
        again = one_try(ours, to)
    assert again.state is DeliveryState.WAITING and "does not show 1 of 1" in again.error, (
        "it finds nothing in a search"
    )


@pytest.mark.parametrize(("status", "words"), [(0xC001, "cannot understand"), (0xA900, "does not match")])
def test_what_a_node_will_never_take_is_given_up_at_once(ours: Sending, result: Path, status: int, words: str) -> None:
    finish_job(ours.ledger, result)
    with node([status]) as to:
        tried = one_try(ours, to)
    assert tried.state is DeliveryState.DEAD and words in tried.error


def test_after_its_attempts_and_after_its_days_a_delivery_is_given_up(ours: Sending, result: Path) -> None:
    finish_job(ours.ledger, result)
    with node([0xA700]) as to:
        for _ in range(3):
            tried = one_try(ours, to, replace(QUICK, attempts=3))
        assert tried.state is DeliveryState.DEAD and "after 3 attempts" in tried.error
        ours.outbox.retry(tried.id)
        tried = one_try(ours, to, replace(QUICK, days=1e-9))
        assert tried.state is DeliveryState.DEAD and "days" in tried.error
    assert len([line for line in ours.lines if "gave up" in line]) == 2


def test_only_what_was_done_since_the_sender_began_is_sent(tmp_path: Path, result: Path) -> None:
    with opened_home(tmp_path / "home") as (home, _, ledger):
        finish_job(ledger, result)
        outbox = Outbox(home.root / "outbox.sqlite3")
        assert take_in(ledger, outbox, (HERE,)) == 0
        finish_job(ledger, result, again=True)
        assert take_in(ledger, outbox, (HERE,)) == 1
        assert take_in(ledger, outbox, (HERE,)) == 0
        outbox.close()
        assert "waiting" in run_queue("outbox", "--home", str(home.root)).stdout


def test_a_result_without_objects_needs_no_delivery(ours: Sending, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    outputs = [{"path": "a.nrrd", "bytes": 1, "sha256": ""}]
    (tmp_path / "bare" / "manifest.json").write_text(json.dumps({"outputs": outputs}))
    finish_job(ours.ledger, tmp_path / "bare")
    assert take_in(ours.ledger, ours.outbox, (HERE,)) == 0


def test_the_same_delivery_is_taken_in_once_and_a_paused_destination_waits(tmp_path: Path) -> None:
    clock = [1000.0]
    outbox = Outbox(tmp_path / "o.sqlite3", lambda: clock[0])
    new = NewDelivery("job", HERE, str(tmp_path))
    assert outbox.take_in([new], 5) == 1
    assert outbox.take_in([new], 6) == 0
    assert outbox.ledger_event == 6
    outbox.pause(HERE, "gone", lambda failures: 10.0 * failures)
    assert outbox.due(HERE) is None and HERE in outbox.pauses()
    clock[0] += 11
    due = outbox.due(HERE)
    assert due is not None and due.job == "job"
    outbox.mark(due, DeliveryState.STORED)
    assert outbox.due(HERE) is None and outbox.open_destinations() == []
    with pytest.raises(NoSuchDelivery, match="outbox"):
        outbox.retry("nothing")
    outbox.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"to": ("nonsense",)}, {"to": ("http://me:word@host/",)}, {"ae_title": "x" * 17}, {"attempts": 0}, {"days": 0},
        {"confirmation": "perhaps"}, {"tls_cert": Path("a")}, {"tls_cert": Path("a"), "tls_key": Path("b")},
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        SendSettings(**changes)
