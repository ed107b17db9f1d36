"""The DICOMweb endpoint: ``POST /dicom-web/studies`` and ``/dicom-web/studies/{study}`` (STOW-RS, PS3.18 section 10.5).

Instances are written to disk as they come and taken in like those of the DICOM node. Who may do so is decided by whoever mounts the routes.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from AutoSegmentQueueLib.pacs.instance import Instance, NotAnInstance, read_instance
from AutoSegmentQueueLib.pacs.parts import BadMultipart, PartFiles, boundary_of
from AutoSegmentQueueLib.pacs.received import Origin
from AutoSegmentQueueLib.pacs.store import DiskFull, Outcome, Store

PREFIX = "/dicom-web"
DICOM_JSON = "application/dicom+json"
FEED_BYTES = 1 << 20
AT_ONCE = 8  # instances of a request that wait for the disk together
# PS3.18 table I.2-1 and I.2-2
COERCED, OUT_OF_RESOURCES, NO_MATCH, CANNOT_UNDERSTAND = 0xB000, 0xA700, 0xA900, 0xC000

Gate = Callable[
    [Request], tuple[Store, str]
]  # raises where the caller may not store; gives the store and a user's name


def routes(gate: Gate) -> list[Route]:
    """Return the routes of the endpoint, to be mounted by a server."""

    async def store(request: Request) -> Response:
        return await _store(request, *gate(request))

    return [
        Route(f"{PREFIX}/studies", store, methods=["POST"]),
        Route(f"{PREFIX}/studies/{{study}}", store, methods=["POST"]),
    ]


async def _store(request: Request, store: Store, user: str) -> Response:
    if not _accepts_json(request.headers.get("accept", "*/*")):
        return _problem(406, f"answers are {DICOM_JSON} only")
    try:
        store.check_space()
    except DiskFull as error:
        return _problem(503, str(error), {"Retry-After": "300"})
    taking = _Taking(store, Origin("stow", user=user), request.path_params.get("study", ""))
    try:
        body = _body_of(request.headers.get("content-type", ""), taking)
    except BadMultipart as error:
        return _problem(415, str(error))
    try:
        return await _take_all(request, body, taking)
    finally:
        await run_in_threadpool(body.close)
        taking.close()


async def _take_all(request: Request, body: PartFiles | _SinglePart, taking: _Taking) -> Response:
    waiting = bytearray()
    try:
        async for piece in request.stream():
            waiting += piece
            if len(waiting) >= FEED_BYTES:
                await run_in_threadpool(body.feed, bytes(waiting))
                waiting.clear()
                taking.check_space()
        await run_in_threadpool(body.feed, bytes(waiting))
        await run_in_threadpool(body.finish)
    except BadMultipart as error:
        await run_in_threadpool(taking.wait)
        return _problem(400, f"{error}; {taking.stored} instances before it were stored")
    except ClientDisconnect:  # what has come whole is kept; the rest is sent again
        return Response(status_code=400)
    except DiskFull as error:
        return _problem(503, str(error), {"Retry-After": "300", "Connection": "close"})
    except OSError as error:
        return _problem(503, f"it cannot be written: {error.strerror}", {"Retry-After": "300"})
    await run_in_threadpool(taking.wait)
    if not taking.referenced and not taking.failed and not taking.others:
        return _problem(400, "the body holds no instance")
    return taking.answer()


class _SinglePart:
    """A body that is one instance, without multipart."""

    def __init__(self, taking: _Taking) -> None:
        self._taking = taking
        self._path = taking.new_file()
        self._file = open(self._path, "wb")  # noqa: SIM115 - closed by finish or close

    def feed(self, data: bytes) -> None:
        self._file.write(data)

    def finish(self) -> None:
        self._file.close()
        self._taking.take(self._path)

    def close(self) -> None:
        if not self._file.closed:
            self._file.close()
            self._path.unlink(missing_ok=True)


class _Taking:
    """Takes in the instances of one request, several at once, and remembers what became of each."""

    def __init__(self, store: Store, origin: Origin, study: str) -> None:
        self._store = store
        self._origin = origin
        self._study = study
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="stow")
        self._waiting: list[Future[None]] = []
        self.referenced: list[dict[str, Any]] = []
        self.failed: list[dict[str, Any]] = []
        self.others: list[dict[str, Any]] = []
        self.warned = False

    @property
    def stored(self) -> int:
        return len(self.referenced)

    def new_file(self) -> Path:
        return self._store.incoming.new_file()

    def check_space(self) -> None:
        self._store.check_space()

    def take(self, path: Path) -> None:
        if len(self._waiting) >= 2 * AT_ONCE:
            self._waiting.pop(0).result()
        self._waiting.append(self._pool.submit(self._take, path))

    def wait(self) -> None:
        while self._waiting:
            self._waiting.pop(0).result()

    def close(self) -> None:
        self._pool.shutdown(wait=False)

    def _take(self, path: Path) -> None:
        instance: Instance | None = None
        try:
            instance = read_instance(path)
            if self._study and instance.study_uid != self._study:
                self._fail(instance, NO_MATCH)
                return
            outcome = self._store.take(path, self._origin, instance).outcome
        except NotAnInstance:
            self._fail(None, CANNOT_UNDERSTAND)
        except (DiskFull, OSError):
            self._fail(instance, OUT_OF_RESOURCES)
        else:
            replaced = outcome is Outcome.REPLACED
            self.warned |= replaced
            self.referenced.append(_reference(instance) | (_us("00081196", COERCED) if replaced else {}))
        finally:
            path.unlink(missing_ok=True)

    def _fail(self, instance: Instance | None, reason: int) -> None:
        if instance is None:
            self.others.append(_us("00081197", reason))
        else:
            self.failed.append(_reference(instance) | _us("00081197", reason))

    def answer(self) -> Response:
        body = {
            tag: {"vr": "SQ", "Value": items}
            for tag, items in (
                ("00081199", self.referenced),  # Referenced SOP Sequence
                ("00081198", self.failed),  # Failed SOP Sequence
                ("0008119A", self.others),  # Other Failures Sequence: instances that could not even be named
            )
            if items
        }
        bad = bool(self.failed or self.others)
        code = 409 if not self.referenced else 202 if bad or self.warned else 200
        return JSONResponse(body, code, media_type=DICOM_JSON)


def _body_of(content_type: str, taking: _Taking) -> PartFiles | _SinglePart:
    if content_type.partition(";")[0].strip().lower() == "application/dicom":
        return _SinglePart(taking)
    kind, boundary = boundary_of(content_type)
    if kind not in ("", "application/dicom"):
        raise BadMultipart(f"parts of type application/dicom are expected, got {kind}")
    return PartFiles(boundary, taking.new_file, taking.take)


def _accepts_json(accept: str) -> bool:
    kinds = {one.partition(";")[0].strip().lower() for one in accept.split(",")}
    return bool(kinds & {"", "*/*", "application/*", DICOM_JSON, "application/json"})


def _reference(instance: Instance) -> dict[str, Any]:
    return {
        "00081150": {"vr": "UI", "Value": [instance.sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [instance.sop_instance_uid]},
    }


def _us(tag: str, value: int) -> dict[str, Any]:
    return {tag: {"vr": "US", "Value": [value]}}


def _problem(code: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": text}, code, headers)
