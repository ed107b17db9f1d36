"""The description of the interface for programs: complete, and true for made-up requests (schemathesis)."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from AutoSegmentQueueLib.web import openapi
from AutoSegmentQueueLib.web.app import routes
from AutoSegmentQueueLib.web.settings import WebSettings
from hypothesis import HealthCheck, given, settings
from queue_testing import nifti
from queue_testing.web import WebServer, upload, web_server

schemathesis = pytest.importorskip("schemathesis", reason="the Python package schemathesis is not installed")

PAGES = ("/", "/login", "/logout", "/static", "/favicon.ico", "/robots.txt", "/jobs/")  # for people
DICOMWEB = "/dicom-web/"  # described by DICOM PS3.18
EXAMPLES = 3  # requests of each kind for each operation


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    web = WebSettings(requests_per_second=10_000)
    with web_server(tmp_path_factory.mktemp("openapi") / "home", web) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: WebServer) -> Iterator[httpx.Client]:
    with server.script("read,submit,admin") as client:
        upload(client, nifti(), filename="a.nii")
        yield client


@pytest.fixture(scope="module")
def api(server: WebServer, client: httpx.Client):
    document = client.get("/api/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=server.address, headers={"Authorization": client.headers["Authorization"]})
    return schema


@schemathesis.serializer("application/offset+octet-stream")
def as_it_is(context, value) -> bytes:
    return value if isinstance(value, bytes) else str(getattr(value, "data", value)).encode()


OPERATIONS = [
    (path, method)
    for path, item in openapi.document()["paths"].items()
    for method in item
    if method != "parameters" and path != "/api/events"  # an answer that never ends
]


def _checks_left_out():
    from schemathesis.specs.openapi import checks

    return [
        checks.positive_data_acceptance,  # a gigabyte may be promised as the description says and still not be welcome
        checks.ignored_auth,  # its second request carries the token again; test_web_security holds this
        checks.missing_required_header,  # tus answers 412 to a missing version
    ]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_made_up_requests_are_answered_as_the_description_says(api, path: str, method: str) -> None:
    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
    )
    @given(case=api[path][method].as_strategy())
    def ask(case) -> None:
        case.call_and_validate(excluded_checks=_checks_left_out())

    ask()


def test_every_address_for_programs_is_described() -> None:
    paths = openapi.document()["paths"]
    known = {(path, method.upper()) for path, item in paths.items() for method in item if method != "parameters"}
    for route in routes():
        path = route.path.replace(":path", "").replace(":int", "")
        for method in (route.methods or set()) - {"HEAD", "OPTIONS"}:
            plain = path == "/api/uploads/{id}" and method == "POST"  # the same by another method
            assert path.startswith((*PAGES[1:], DICOMWEB)) or path == "/" or plain or (path, method) in known, (
                path,
                method,
            )


def test_the_description_is_json_of_version_3_1() -> None:
    assert json.loads(json.dumps(openapi.document()))["openapi"].startswith("3.1")


def test_the_client_in_the_documentation_works(server: WebServer, client: httpx.Client, tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "queue-web.md").read_text(encoding="utf-8")
    example = page.partition("<!-- client -->")[2].partition("```python\n")[2].partition("```")[0]
    assert "def upload" in example
    names: dict[str, object] = {"__name__": "example"}
    exec(compile(example, "queue-web.md", "exec"), names)
    scan = tmp_path / "documented.nii"
    scan.write_bytes(nifti(seed=4711, size=40))
    secret = client.headers["Authorization"].removeprefix("Bearer ")
    queue = names["Queue"](server.address, secret)  # type: ignore[operator]
    job = queue.upload(scan, chunk_bytes=50_000)
    found = queue.job(job)
    queue.http.close()
    assert server.ledger.job(job).name == "documented" and found["state"] == "queued"
