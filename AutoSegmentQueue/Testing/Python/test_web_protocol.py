"""Connections that break the rules of HTTP (RFC 9112) on purpose, with both parsers: refused, and never two requests out of one."""

import socket
import time
from collections.abc import Iterator

import pytest
from AutoSegmentQueueLib.web import protocol
from AutoSegmentQueueLib.web.settings import WebSettings
from queue_testing.web import WebServer, web_server

GET = "GET /api/health HTTP/1.1\r\nHost: {host}\r\n"
POST = "POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
CHUNKED = POST + "Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module", params=["httptools", "h11"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    pytest.importorskip(request.param, reason=f"the Python package {request.param} is not installed")
    kind: type[protocol.Watched]
    if request.param == "h11":
        from AutoSegmentQueueLib.web.protocol_h11 import WatchedH11 as kind
    else:
        from AutoSegmentQueueLib.web.protocol_httptools import WatchedHttpTools as kind
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocol, "_base", lambda: kind)
        patch.setattr(protocol, "HEADER_SECONDS", 0.7)
        with web_server(tmp_path_factory.mktemp("protocol") / "home", WebSettings(slow_seconds=2)) as server:
            yield server


def answers(server: WebServer, *pieces: str, pause: float = 0.0) -> list[int]:
    """Send pieces, with pauses between them, read until the server closes, and return the status of each answer."""
    host, port = server.host.split(":")
    found = b""
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece.replace("{host}", server.host).encode())
                time.sleep(pause)
            while part := connection.recv(65536):
                found += part
        except ConnectionError:
            pass
    return [int(one.split(b" ", 1)[0]) for one in found.split(b"HTTP/1.1 ")[1:]]


CLOSE = "Connection: close\r\n\r\n"


def test_a_request_is_answered_and_those_behind_it_in_their_order(server: WebServer) -> None:
    assert answers(server, GET + CLOSE) == [200]
    assert answers(server, GET + "\r\n" + GET.replace("/api/health", "/api/none") + "\r\n" + GET + CLOSE) == [
        200,
        401,
        200,
    ]


@pytest.mark.parametrize(
    "request_text",
    [
        POST + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET + CLOSE,
        POST + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde" + GET + CLOSE,
        POST + "Content-Length: +5\r\n\r\nabcde" + GET + CLOSE,
        POST + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + GET + CLOSE,
        POST + "Content-Length : 5\r\n\r\nabcde" + GET + CLOSE,
        GET + "X: a\0b\r\n" + CLOSE,
        GET + "Host: evil.example\r\n" + CLOSE,
        "GET /api/health HTTP/1.1\r\n" + CLOSE,
        "NONE\r\n\r\n",
        "GET http:// HTTP/1.1\r\n" + CLOSE,
        "GET /\xff HTTP/1.1\r\nHost: {host}\r\n" + CLOSE,
        "CONNECT evil.example:80 HTTP/1.1\r\nHost: {host}\r\n" + CLOSE,
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_once(server: WebServer, request_text: str) -> None:
    (status,) = answers(server, request_text)
    assert 400 <= status < 500


def test_a_folded_header_is_one_header_or_none(server: WebServer) -> None:
    assert answers(server, GET + "X: a\r\n Host: evil.example\r\n" + CLOSE) in ([200], [400])


def test_a_broken_chunk_ends_the_connection(server: WebServer) -> None:
    assert set(answers(server, CHUNKED + "zz\r\nabc\r\n0\r\n\r\n" + GET + CLOSE)) <= {400, 403}


@pytest.mark.parametrize(
    "pieces",
    [
        (GET, "X: ", *["x" * 10_000] * 20),
        (GET, *["X: " + "x" * 1000 + "\r\n"] * 200),
        ("GET /" + "x" * 20_000, *["x" * 20_000] * 10),
    ],
)
def test_a_header_without_end_is_refused(server: WebServer, pieces: tuple[str, ...]) -> None:
    assert answers(server, *pieces) in ([431], [400], [])  # none: it was cut off while it still sent


@pytest.mark.parametrize(
    "pieces",
    [
        ("0\r\n", *["X: " + "x" * 1000 + "\r\n"] * 2000),
        ("1;", *["x" * 10_000] * 200),
    ],
)
def test_trailers_and_extensions_of_chunks_without_end_are_cut_off(server: WebServer, pieces: tuple[str, ...]) -> None:
    assert 200 not in answers(server, CHUNKED, *pieces)


def test_half_a_header_and_empty_lines_do_not_hold_a_connection(server: WebServer) -> None:
    assert answers(server, "GET /api/health HTTP/1.1\r\nHost: 127") == [408]
    assert answers(server, "\r\n") in ([408], [400])
    assert answers(server, GET + "\r\n", "GET /", pause=0.3) == [200, 408]
    assert answers(server, GET + "\r\n", "\r\n", pause=0.3) in ([200, 408], [200, 400])


def test_another_protocol_is_not_spoken(server: WebServer) -> None:
    upgrade = "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    assert answers(server, GET + upgrade, GET + CLOSE)[0] == 200
    assert len(answers(server, POST + "Content-Length: 400\r\n" + upgrade, GET + CLOSE)) == 1
