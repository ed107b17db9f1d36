"""The page that shows the queue on this machine: what it says, and to whom."""

import json
import urllib.error
import urllib.request

import pytest
from AutoSegmentQueueLib.adding import Wanted, add_path
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.status_page import status_page
from DicomWorkbenchLib.errors import OutputError


@pytest.fixture
def home(tmp_path):
    home = Home.open(tmp_path / "home")
    bad = tmp_path / "<b>scan.nii.gz"
    bad.write_bytes(b"no image")
    ledger = Ledger(home.ledger)
    add_path(home, ledger, bad, Wanted(QueueSettings(), "segment", {}, (), {}, 0))
    ledger.close()
    return home


def get(address: str, **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_page_shows_jobs_and_their_reasons_and_escapes_names(home):
    with status_page(home, QueueSettings(), 0) as address:
        code, page = get(address)
        assert code == 200 and "failed" in page and "scan" in page and "<b>scan" not in page
        code, text = get(address.replace("/?", "/status?"))
    (job,) = json.loads(text)["jobs"]
    assert code == 200 and job["state"] == "failed" and job["error"]


def test_without_the_token_or_under_another_name_nothing_is_shown(home):
    with status_page(home, QueueSettings(), 0) as address:
        bare = address.partition("?")[0]
        assert get(bare)[0] == get(bare + "?token=x")[0] == 403
        assert get(address, Host="evil.example")[0] == 421
        assert get(address.replace("/?", "/../ledger?"))[0] == 404
        assert get(address)[0] == 200


def test_a_taken_port_is_named(home):
    with status_page(home, QueueSettings(), 0) as address:
        port = int(address.rpartition(":")[2].partition("/")[0])
        with pytest.raises(OutputError, match=f"port {port}"), status_page(home, QueueSettings(), port):
            pass
