"""The plain form ``POST /upload``: files go to disk part by part as they come, never as a whole into memory.

References
----------
RFC 7578
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import Any

from DicomWorkbenchLib.outputs import sync
from DicomWorkbenchLib.web_problems import Problem, bad_request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from AutoSegmentQueueLib.states import State
from AutoSegmentQueueLib.web.access import Principal
from AutoSegmentQueueLib.web.api_batches import hand_over
from AutoSegmentQueueLib.web.context import Web, web_of, who_asks
from AutoSegmentQueueLib.web.upload_names import checked
from AutoSegmentQueueLib.web.uploads import Upload

_FIELDS = ("csrf", "engine", "task", "quality")
_LONGEST_FIELD = 1024
MOST_FILES = 2000
_FEED_BYTES = 1 << 20


@dataclass
class _Form:
    """What the parser has found so far; its methods are called from a thread, in order."""

    web: Web
    principal: Principal
    length: int
    by_form: bool  # the word against forged requests must come as a field, before any file
    fields: dict[str, str] = field(default_factory=dict)
    uploads: list[Upload] = field(default_factory=list)
    is_whole: bool = False
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _name: bytes = b""
    _value: bytes = b""
    _field: str = ""
    _text: bytearray = field(default_factory=bytearray)
    _file: Any = None

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._part,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._headers, self._name, self._value = {}, b"", b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name, self._value = b"", b""

    def _part(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        try:
            self._field = options.get(b"name", b"").decode()
            filename = options[b"filename"].decode() if b"filename" in options else None
        except ValueError:
            raise bad_request("the form holds a name that is not UTF-8") from None
        self._text.clear()
        if filename is None:
            if self._field not in _FIELDS:
                raise bad_request(f"the form takes {', '.join(_FIELDS)} and files")
        elif filename:  # empty: a field for files in which none was chosen
            self._open(filename)

    def _open(self, filename: str) -> None:
        word = self.fields.get("csrf", "")
        if self.by_form and not hmac.compare_digest(word.encode(), self.principal.csrf.encode()):
            raise Problem(403, "this form is out of date; reload the page and try again", code="csrf")
        if len(self.uploads) >= MOST_FILES:
            raise Problem(413, f"a form may hold {MOST_FILES} files; use a resumable upload for more")
        metadata = checked({"filename": filename, "batch": self.batch, **self.chosen})
        if not self.uploads:
            self.web.handover.wanted(metadata, self.principal.name)
        room = max(self.length - sum(one.length for one in self.uploads), 0)  # the whole form is an upper bound
        upload = self.web.uploads.create(self.principal.name, room, metadata)
        self.uploads.append(upload)
        self._file = self.web.uploads.path_of(upload.id).open("wb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(memoryview(data)[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > _LONGEST_FIELD:
            raise Problem(413, "a field of the form is too long")

    def _end(self) -> None:
        if self._file is None:
            self.fields.setdefault(self._field, self._text.decode("utf-8", "replace"))
            return
        size = self._file.tell()
        self._file.close()
        self._file = None
        last = self.uploads[-1]
        sync(self.web.uploads.path_of(last.id))
        self.uploads[-1] = self.web.uploads.complete(last.id, size)

    def _finish(self) -> None:
        self.is_whole = True

    @property
    def batch(self) -> str:
        return self._batch

    def __post_init__(self) -> None:
        self._batch = f"form-{secrets.token_hex(12)}"

    @property
    def chosen(self) -> dict[str, str]:
        return {key: self.fields[key] for key in ("engine", "task", "quality") if self.fields.get(key)}

    def give_up(self) -> None:
        """Remove what has come."""
        if self._file is not None:
            self._file.close()
        for one in self.uploads:
            self.web.uploads.remove(one)


async def upload(request: Request) -> Response:
    """Take a form with files and make jobs of them; DICOM files of one form are one scan."""
    web, principal = web_of(request), who_asks(request)
    principal.need_submit()
    form = _Form(web, principal, _length(request, web), _needs_word(request, principal))
    try:
        await _read(request, form)
        if not form.is_whole:
            raise bad_request("the form ends in the middle")
        if not form.uploads:
            raise bad_request("the form holds no file")
        first = form.uploads[0].filename
        name = first if len(form.uploads) == 1 else f"{first} and {len(form.uploads) - 1} more"
        jobs = await hand_over(request, form.uploads, form.batch, name, form.chosen)
    except BaseException:
        await web.move(form.give_up)
        raise
    failed = next((job for job in jobs if job.state is State.FAILED), None)
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"/jobs/{failed.id}" if failed else "/", 303)
    if failed:
        raise Problem(422, failed.error or "it cannot be read", {"X-Job": failed.id})
    return JSONResponse({"jobs": await web.ask(web.rows.rows, jobs, principal)}, 201)


async def _read(request: Request, form: _Form) -> None:
    kind, options = parse_options_header(request.headers.get("content-type", "").encode("latin-1"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise Problem(415, "this takes a form with files (multipart/form-data)", {"Connection": "close"})
    seen, waiting = 0, bytearray()
    try:
        parser = MultipartParser(options[b"boundary"], form.callbacks())  # type: ignore[arg-type]
        async for part in request.stream():
            seen += len(part)
            if seen > form.length:
                raise Problem(413, "more bytes came than the request was said to have", {"Connection": "close"})
            waiting += part
            if len(waiting) >= _FEED_BYTES:
                await form.web.move(parser.write, bytes(waiting))
                waiting.clear()
        await form.web.move(parser.write, bytes(waiting))
        await form.web.move(parser.finalize)
    except MultipartParseError:
        raise bad_request("the form cannot be read") from None
    except OSError as error:
        raise Problem(507, f"the disk of the queue cannot take more ({error.strerror})") from error


def _length(request: Request, web: Web) -> int:
    text = request.headers.get("content-length", "")
    if not text.isascii() or not text.isdigit():
        raise Problem(411, "the length must be known: send Content-Length", {"Connection": "close"})
    if len(text) > 15 or int(text) > web.web.most_upload_bytes:
        raise Problem(413, "this is more than one request may bring here", {"Connection": "close"})
    return int(text)


def _needs_word(request: Request, principal: Principal) -> bool:
    """Whether a browser's form has to prove itself by a field; scripts have sent the header, tokens need neither."""
    if not principal.session:
        return False
    given = request.headers.get("x-csrf-token")
    return given is None or not hmac.compare_digest(given.encode(), principal.csrf.encode())
