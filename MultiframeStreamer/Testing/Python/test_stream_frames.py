"""`open_frames`: decoded values against pydicom, geometry, times, caching, threads, networks and files that change."""

from __future__ import annotations

import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pydicom
import pytest
from DicomWorkbenchLib.errors import FileError, InputError, PixelDataError
from MultiframeStreamerLib import open_frames, sidecar
from MultiframeStreamerLib.corpus import all_cases
from MultiframeStreamerLib.corpus.cine import JpegFrames, Layout, write_cine
from MultiframeStreamerLib.corpus.pictures import bits, colour, grey
from MultiframeStreamerLib.corpus.sample import directions, small_stack
from MultiframeStreamerLib.corpus.writer import text

CASES = {case.name: case for case in all_cases()}
# What pydicom cannot decode, or decodes wrongly, is held against the picture it was made from.
PICTURES: dict[str, Callable[[int], np.ndarray]] = {
    "jpeg-lossless": lambda i: grey(i, bits=12),
    "htj2k": lambda i: grey(i, bits=12),
    "jpeg-xl": lambda i: grey(i, bits=12),
    "deflated-frames": grey,
    "uncompressed-items": colour,
    "native-1-bit-unaligned": lambda i: bits(i, rows=15, columns=19),
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DICOM_WORKBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "frame-index"


def file_of(name: str, folder: Path) -> Path:
    path = folder / f"{name}.dcm"
    path.write_bytes(CASES[name].content)
    return path


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.legal and c.frames])
def test_decoded_frames_equal_pydicoms_or_the_pictures_they_were_made_from(name: str, tmp_path: Path) -> None:
    path = file_of(name, tmp_path)
    with warnings.catch_warnings(), open_frames(path) as frames:
        warnings.simplefilter("ignore")
        picture = PICTURES.get(name)
        truth = (
            pydicom.dcmread(path).pixel_array if picture is None else np.stack([picture(i) for i in range(len(frames))])
        )
        truth = truth if truth.shape[0] == len(frames) else truth[np.newaxis]
        for index in range(len(frames)):
            assert frames[index].dtype.kind == truth.dtype.kind
            assert np.array_equal(frames[index], truth[index])


def test_bits_signed_values_and_odd_words_are_what_was_written(tmp_path: Path) -> None:
    with open_frames(file_of("native-1-bit-unaligned", tmp_path)) as frames:
        assert all(np.array_equal(frames[i], bits(i, rows=15, columns=19)) for i in range(len(frames)))
    with open_frames(file_of("native-1-bit-padded", tmp_path)) as frames:
        assert all(np.array_equal(frames[i], bits(i, rows=15, columns=19)) for i in range(len(frames)))
    with open_frames(file_of("native-implicit-signed", tmp_path)) as frames:
        assert all(np.array_equal(frames[i], grey(i, bits=12, signed=True)) for i in range(len(frames)))
    with open_frames(file_of("native-big-endian-8-words", tmp_path)) as frames:
        assert all(np.array_equal(frames[i], grey(i, rows=17, columns=21)) for i in range(len(frames)))
    with open_frames(file_of("uncompressed-items", tmp_path)) as frames:
        assert all(np.array_equal(frames[i], colour(i)) for i in range(len(frames)))


def test_a_palette_gives_colours_and_frames_give_indexes(tmp_path: Path) -> None:
    with open_frames(file_of("native-palette", tmp_path)) as frames:
        index = frames[2]
        shown = frames.displayed(2)
    assert np.array_equal(index, grey(2))
    assert np.array_equal(shown, np.stack([index, index * 3, index * 5], axis=-1))


def test_frames_behave_like_a_sequence(tmp_path: Path) -> None:
    with open_frames(file_of("basic-table", tmp_path)) as frames:
        assert len(frames) == 5
        assert np.array_equal(frames[-1], frames[4])
        assert len(frames[1:4]) == 3
        assert len(list(frames)) == 5
        with pytest.raises(IndexError):
            frames[5]
        with pytest.raises(ValueError, match="read-only"):
            frames[0][0, 0] = 1
    with pytest.raises(FileError, match="closed"):
        frames[0]


def test_metadata_of_a_frame_have_its_functional_groups_at_the_top(tmp_path: Path) -> None:
    path, truth = small_stack(tmp_path, frames=80)
    with open_frames(path) as frames:
        header = frames.metadata(41)
        whole = pydicom.dcmread(path, stop_before_pixels=True)
        group = whole.PerFrameFunctionalGroupsSequence[41]
        assert header.ImagePositionPatient == group.PlanePositionSequence[0].ImagePositionPatient
        assert header.PixelSpacing == [0.8, 0.6]
        assert header.RescaleIntercept == -1024
        assert header.InStackPositionNumber == 42
        assert np.array_equal(frames.values(41), truth[41])
        row, column, normal = directions(True)
        matrix = frames.placement(41).matrix_lps()
        assert np.allclose(matrix[:3, 0], row * 0.6)
        assert np.allclose(matrix[:3, 1], column * 0.8)
        assert np.allclose(matrix[:3, 2], normal * 2.5)
        assert np.allclose(matrix[:3, 3], np.array([-10.0, 5, 20]) + 41 * 2.5 * normal)


def test_times_come_from_frame_time_or_its_vector(tmp_path: Path) -> None:
    jpegs = JpegFrames(20, 24, different=2)
    write_cine(tmp_path / "even.dcm", 4, jpegs, rows=20, columns=24)
    write_cine(
        tmp_path / "vector.dcm", 4, jpegs, rows=20, columns=24, extra={0x00181065: ("DS", text("0\\10\\30\\20"))}
    )
    with open_frames(tmp_path / "even.dcm") as frames:
        assert frames.timing.times_ms == (0, 40, 80, 120)
        assert frames.timing.rate == 25
    with open_frames(tmp_path / "vector.dcm") as frames:
        assert frames.timing.times_ms == (0, 10, 40, 60)
        assert frames.timing.rate == 50


def test_a_wrapped_table_beyond_four_gigabytes_is_unwrapped(tmp_path: Path) -> None:
    """A sparse file: three items of 2 GB each, so that the third entry wraps; nothing of it is really stored."""
    import struct

    from MultiframeStreamerLib.corpus.encapsulated_cases import jpegs, writer
    from MultiframeStreamerLib.corpus.writer import DELIMITER, ITEM, item

    size, frames = 2_000_000_000, jpegs(4)
    head = writer(frames=4).encapsulated(b"")
    offsets = [i * (size + 8) % (1 << 32) for i in range(4)]
    path = tmp_path / "sparse.dcm"
    with path.open("wb") as stream:
        stream.write(head + item(struct.pack("<4I", *offsets)))
        start = stream.tell()
        for number, frame in enumerate(frames):
            stream.seek(start + number * (size + 8))
            stream.write(ITEM + struct.pack("<I", size) + frame)
        stream.seek(start + 4 * (size + 8))
        stream.write(DELIMITER)
    assert offsets[3] < offsets[2]
    with open_frames(path) as found:
        index = found.objects[0].index
        assert index.spans(3)[0][0] == start + 3 * (size + 8) + 8  # type: ignore[union-attr]
        assert any("4 GiB" in note for note in found.notes)
        assert found.objects[0].source.read_at(index.spans(3)[0][0], 20) == frames[3][:20]  # type: ignore[union-attr]


def test_an_index_is_kept_in_the_users_cache_and_never_beside_the_data(tmp_path: Path, own_cache: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    path = data / "cine.dcm"
    write_cine(path, 100, JpegFrames(20, 24, different=3), Layout.FRAGMENTS, rows=20, columns=24)
    with open_frames(path) as frames:
        assert not frames.objects[0].from_sidecar
        truth = [frames.encoded(i) for i in range(100)]
    assert [p.name for p in data.iterdir()] == ["cine.dcm"]
    assert len(list(own_cache.iterdir())) == 1
    with open_frames(path) as frames:
        assert frames.objects[0].from_sidecar
        assert [frames.encoded(i) for i in range(100)] == truth
        assert frames.timing.rate == 25
    (kept,) = own_cache.iterdir()
    raw = bytearray(kept.read_bytes())
    assert b"Corpus" not in raw
    raw[-9] ^= 1
    kept.write_bytes(bytes(raw))
    with open_frames(path) as frames:
        assert not frames.objects[0].from_sidecar, "a damaged sidecar was believed"
    write_cine(path, 100, JpegFrames(20, 24, different=4), Layout.FRAGMENTS, rows=20, columns=24)
    with open_frames(path) as frames:
        assert not frames.objects[0].from_sidecar, "the sidecar of an older file was believed"


def test_a_cache_that_cannot_be_written_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "blocked").write_text("a file, not a folder")
    monkeypatch.setenv("DICOM_WORKBENCH_CACHE", str(tmp_path / "blocked"))
    write_cine(tmp_path / "cine.dcm", 100, JpegFrames(20, 24, different=3), rows=20, columns=24)
    with open_frames(tmp_path / "cine.dcm") as frames:
        assert len(frames) == 100


def test_a_sidecar_of_functional_groups_gives_the_same_geometry(tmp_path: Path) -> None:
    path, _ = small_stack(tmp_path, frames=80)
    with open_frames(path) as first:
        truth = [tuple(first.metadata(i).ImagePositionPatient) for i in range(80)]
    with open_frames(path) as again:
        assert again.objects[0].from_sidecar
        assert [tuple(again.metadata(i).ImagePositionPatient) for i in range(80)] == truth


def test_many_threads_decode_each_frame_once_within_the_bound(tmp_path: Path) -> None:
    write_cine(tmp_path / "cine.dcm", 40, JpegFrames(64, 80, different=8), rows=64, columns=80)
    with open_frames(tmp_path / "cine.dcm", cache_bytes=64 * 80 * 10, read_ahead=4) as frames:
        truth = [frames[i].copy() for i in range(40)]
        with ThreadPoolExecutor(8) as pool:
            order = np.random.default_rng(1).integers(0, 40, 400).tolist()
            found = list(pool.map(lambda i: np.array_equal(frames[i], truth[i]), order))
        assert all(found)
        assert frames.cache.used_bytes <= 64 * 80 * 10


def test_frames_are_read_ahead_in_the_direction_of_play(tmp_path: Path) -> None:
    write_cine(tmp_path / "cine.dcm", 60, JpegFrames(64, 80, different=8), rows=64, columns=80)
    with open_frames(tmp_path / "cine.dcm", read_ahead=5) as frames:
        for index in (30, 29, 28):
            frames[index]
        end = time.monotonic() + 5
        while not all(frames.ready(i) for i in range(23, 28)) and time.monotonic() < end:
            time.sleep(0.01)
        assert all(frames.ready(i) for i in range(23, 28))
        assert not frames.ready(31)


def test_a_file_that_changes_while_open_is_noticed_and_one_that_is_removed_stays_readable(tmp_path: Path) -> None:
    path = file_of("basic-table", tmp_path)
    with open_frames(path) as frames:
        truth = frames.encoded(1)
        if hasattr(socket, "AF_UNIX"):  # Windows does not remove open files
            path.unlink()
            assert frames.encoded(1) == truth
    path = file_of("empty-table", tmp_path)
    with open_frames(path) as frames:
        with path.open("ab") as stream:
            stream.write(b"more")
        with pytest.raises(FileError, match="changed"):
            frames.encoded(0)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    import os

    with pytest.raises(FileError, match="No such file"):
        open_frames(tmp_path / "nothing.dcm")
    with pytest.raises(InputError, match="no DICOM"):
        open_frames(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(FileError, match="not a file"):
            open_frames(tmp_path / "pipe")


def test_random_bytes_and_unknown_codecs_have_a_name_and_the_rest_goes_on(tmp_path: Path) -> None:
    with open_frames(file_of("garbage-frame", tmp_path)) as frames:
        assert frames[1].shape == (18, 22)
        with pytest.raises(PixelDataError, match="frame 3"):
            frames[2]
        assert frames[3].shape == (18, 22)
    content = CASES["deflated-frames"].content.replace(b"1.2.840.10008.1.2.8.1\0", b"1.2.840.10008.1.2.9.9\0")
    (tmp_path / "unknown.dcm").write_bytes(content)
    with open_frames(tmp_path / "unknown.dcm") as frames:
        assert frames.encoded(2) == CASES["deflated-frames"].frames[2]
        with pytest.raises(PixelDataError, match="not known"):
            frames[2]


@contextmanager
def web(folder: Path, *, ranges: bool = True, stall: float = 0.0) -> Iterator[tuple[str, list[str]]]:
    """Serve files with Range requests; gives the address and the list of ranges that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/moved.dcm":
                self.send_response(302)
                self.send_header("Location", "/cine.dcm")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            asked.append(self.headers.get("Range", ""))
            if stall and len(asked) > 1:
                time.sleep(stall)
            data = (folder / self.path.lstrip("/")).read_bytes()
            first, last = (int(v) for v in asked[-1].removeprefix("bytes=").split("-"))
            part = data[first : last + 1] if ranges else data
            self.send_response(206 if ranges else 200)
            self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(part)))
            self.send_header("ETag", f'"{hash(data)}"')
            self.end_headers()
            self.wfile.write(part)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


@pytest.mark.parametrize("layout", list(Layout))
def test_frames_are_read_over_http_by_ranges(tmp_path: Path, layout: Layout) -> None:
    write_cine(tmp_path / "cine.dcm", 30, JpegFrames(48, 64, different=3, size=40_000), layout, rows=48, columns=64)
    with open_frames(tmp_path / "cine.dcm") as local, web(tmp_path) as (url, asked):
        with open_frames(f"{url}/cine.dcm") as frames:
            opened = len(asked)
            assert len(frames) == 30
            for index in (29, 0, 13):
                assert frames.encoded(index) == local.encoded(index)
            assert np.array_equal(frames[7], local[7])
        with open_frames(f"{url}/moved.dcm", sidecar=False) as frames:
            assert frames.encoded(3) == local.encoded(3)
    if layout in (Layout.BASIC, Layout.EXTENDED):
        assert opened <= 15, "a good offset table makes walking along the items unnecessary"


def test_web_servers_that_lie_stall_or_refuse_are_named(tmp_path: Path) -> None:
    write_cine(tmp_path / "cine.dcm", 30, JpegFrames(48, 64, different=3, size=40_000), rows=48, columns=64)
    with web(tmp_path, ranges=False) as (url, _), pytest.raises(FileError, match="Range"):
        open_frames(f"{url}/cine.dcm")
    with web(tmp_path, stall=3.0) as (url, _):
        began = time.monotonic()
        with pytest.raises(FileError, match="cannot be read"):
            open_frames(f"{url}/cine.dcm", timeout=0.4)
        assert time.monotonic() - began < 2.5
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(FileError, match="cannot be read"):
            open_frames(f"http://127.0.0.1:{free.getsockname()[1]}/x.dcm")


def test_a_file_that_changes_on_the_server_is_noticed(tmp_path: Path) -> None:
    write_cine(tmp_path / "cine.dcm", 30, JpegFrames(48, 64, different=3, size=40_000), rows=48, columns=64)
    with web(tmp_path) as (url, _), open_frames(f"{url}/cine.dcm", sidecar=False) as frames:
        frames.encoded(2)
        write_cine(tmp_path / "cine.dcm", 30, JpegFrames(48, 64, different=4, size=40_000), rows=48, columns=64)
        with pytest.raises(FileError, match="changed"):
            frames.encoded(3)


def test_the_key_of_a_sidecar_depends_on_the_first_bytes(tmp_path: Path) -> None:
    from MultiframeStreamerLib.sources import LocalSource

    path = file_of("basic-table", tmp_path)
    source = LocalSource(path)
    before = sidecar.key_of(source)
    source.close()
    path.write_bytes(CASES["basic-table"].content[:-1])
    source = LocalSource(path)
    assert sidecar.key_of(source) != before
    source.close()
