"""The parser under attack: every cut, lying numbers and random damage end in frames or a named refusal, quickly."""

from __future__ import annotations

import random
import struct
import time
from pathlib import Path

import pytest
from DicomWorkbenchLib.errors import WorkbenchError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from MultiframeStreamerLib import open_frames
from MultiframeStreamerLib.corpus import all_cases
from MultiframeStreamerLib.frames import Frames
from MultiframeStreamerLib.stored import open_object

CASES = [case for case in all_cases() if case.content and not case.name.startswith("deflated-data")]
TRUTH = {case.name: case for case in CASES}
SECONDS = 2.0  # the slowest a small file may take; the machine may be busy
QUICK, LONG = 2_000, 50_000


# imagecodecs' OpenJPH reports a damaged stream by an exception in a C callback, which Python can only print, and then raises its own.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class MemorySource:
    """Bytes in memory that look like a file."""

    remote = False
    name = "memory"

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)
        self.identity = ("memory",)
        self.read = 0

    def read_at(self, offset: int, length: int) -> bytes:
        assert offset >= 0 and length >= 0
        self.read += min(length, max(self.size - offset, 0))
        return self._content[offset : offset + length]

    def check_unchanged(self) -> None:
        pass

    def close(self) -> None:
        pass


def survives(content: bytes, *, decode: bool = False) -> list[bytes | None] | None:
    """Open damaged bytes; returns what each frame is (None where refused), or None if the whole is refused."""
    began = time.perf_counter()
    source = MemorySource(content)
    try:
        frames = Frames([open_object(source, use_sidecar=False)], read_ahead=0)
    except WorkbenchError as error:
        assert str(error)
        return None
    assert source.read < 16 * len(content) + 200_000, "the index read the file many times over"
    found: list[bytes | None] = []
    for index in range(min(len(frames), 12)):
        try:
            found.append(frames.encoded(index))
            if decode:
                assert frames[index].shape[:2] == (frames.pixels.rows, frames.pixels.columns)
        except WorkbenchError:
            found.append(None) if len(found) == index else None
    frames.close()
    assert time.perf_counter() - began < SECONDS
    return found


def damaged(content: bytes, choice: random.Random) -> bytes:
    """Return bytes with one to four faults of the kinds that happen, and some that are made on purpose."""
    raw = bytearray(content)
    for _ in range(choice.randint(1, 4)):
        at = choice.randrange(128, max(len(raw), 130))
        kind = choice.randrange(7)
        if kind == 0:
            del raw[at:]
        elif kind == 1:
            raw[at : at + 1] = bytes((choice.randrange(256),))
        elif kind == 2:
            raw[at : at + 4] = struct.pack("<I", choice.choice((0, 1, 0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, len(raw))))
        elif kind == 3:
            del raw[at : at + choice.randint(1, 40)]
        elif kind == 4:
            raw[at:at] = raw[at : at + choice.randint(1, 60)]
        elif kind == 5:
            raw[at : at + 8] = choice.choice(
                (b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\xfe\xff\xdd\xe0\0\0\0\0", b"\xfe\xff\x00\xe0\0\0\0\0")
            )
        else:
            raw[at : at + 12] = choice.randbytes(12)
    return bytes(raw)


def attack(count: int, seed: int, *, decode_every: int) -> None:
    """Damage the corpus' files ``count`` times."""
    choice = random.Random(seed)
    for number in range(count):
        case = choice.choice(CASES)
        content = damaged(case.content, choice)
        try:
            survives(content, decode=number % decode_every == 0)
        except WorkbenchError:
            raise
        except Exception as error:
            raise AssertionError(f"{case.name} damaged by case {number} of seed {seed}: {error!r}") from error


def test_two_thousand_damaged_files_end_in_frames_or_a_named_refusal() -> None:
    attack(QUICK, 20260101, decode_every=4)


@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_fifty_thousand_damaged_files_end_in_frames_or_a_named_refusal() -> None:
    attack(LONG, 7, decode_every=2)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=600), st.sampled_from(["encapsulated", "native-8", "rle", "icon-with-pixels"]))
def test_random_bytes_behind_a_good_beginning_are_no_crash(tail: bytes, name: str) -> None:
    case = next(c for c in CASES if c.name.startswith(name) or name == "encapsulated")
    survives(case.content[: 132 + len(tail)] + tail)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 0xFFFFFFFF), max_size=12))
def test_no_offset_table_makes_a_frame_of_other_bytes(table: list[int]) -> None:
    from MultiframeStreamerLib.corpus.encapsulated_cases import _single, jpegs, value, writer

    frames = jpegs()
    content = writer().encapsulated(value(struct.pack(f"<{len(table)}I", *table), _single(frames)))
    assert survives(content) == frames


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=5, max_size=5), st.booleans(), st.integers(0, 5))
def test_any_fragmentation_gives_the_same_frames(pieces: list[int], with_table: bool, declared: int) -> None:
    from MultiframeStreamerLib.corpus.encapsulated_cases import jpegs, split, value, writer
    from MultiframeStreamerLib.corpus.writer import basic_table

    frames = jpegs()
    fragments = [split(frame, count) for frame, count in zip(frames, pieces, strict=True)]
    content = writer(frames=declared or None).encapsulated(
        value(basic_table(fragments) if with_table else b"", fragments)
    )
    found = survives(content)
    assert found is None or found == frames
    if declared == 5:
        assert found == frames


@pytest.mark.parametrize(
    "name", ["basic-table", "fragments-with-table", "fragments-without-table", "extended-table", "jpeg-2000-fragments"]
)
def test_a_file_cut_at_every_byte_never_gives_a_wrong_frame(name: str) -> None:
    case = TRUTH[name]
    for end in range(len(case.content)):
        found = survives(case.content[:end])
        for index, frame in enumerate(found or ()):
            assert frame is None or frame == case.frames[index], f"cut at byte {end}, frame {index + 1}"


@pytest.mark.parametrize("name", ["basic-table", "empty-table", "fragments-without-table", "rle", "native-8"])
def test_a_lying_length_in_every_item_and_element_never_gives_a_wrong_frame_silently(name: str) -> None:
    case = TRUTH[name]
    places = [at for at in range(132, len(case.content) - 8) if case.content[at : at + 4] == b"\xfe\xff\x00\xe0"]
    for at in places:
        true = struct.unpack("<I", case.content[at + 4 : at + 8])[0]
        for lie in (0, 1, true - 2, true + 2, true + 100, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF):
            content = case.content[: at + 4] + struct.pack("<I", max(lie, 0)) + case.content[at + 8 :]
            found = survives(content)
            for index, frame in enumerate(found or ()):
                same = frame is None or frame == case.frames[index]
                # a shortened last item is indistinguishable from padding after it; its decoder notices the missing end
                assert same or not frame.endswith(b"\xff\xd9"), f"item at {at} with length {lie}: frame {index + 1}"


def test_a_header_that_claims_huge_frames_takes_no_memory(tmp_path: Path) -> None:
    import tracemalloc

    from MultiframeStreamerLib.corpus.encapsulated_cases import jpegs, value, writer

    header = writer(frames=2_000_000_000)
    header.values[0x00280010] = ("US", struct.pack("<H", 65535))
    header.values[0x00280011] = ("US", struct.pack("<H", 65535))
    path = tmp_path / "huge.dcm"
    path.write_bytes(header.encapsulated(value(b"", [[f] for f in jpegs()])))
    tracemalloc.start()
    with pytest.raises(WorkbenchError):
        open_frames(path, sidecar=False)[0]
    native = writer("1.2.840.10008.1.2.1", frames=2_000_000_000)
    path.write_bytes(native.native(bytes(4000), vr="OB"))
    with pytest.raises(WorkbenchError):
        open_frames(path, sidecar=False)[0]
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_sequences_nested_without_end_are_refused(tmp_path: Path) -> None:
    from MultiframeStreamerLib.corpus.encapsulated_cases import writer

    header = writer()
    deep = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 5000
    path = tmp_path / "deep.dcm"
    path.write_bytes(header.meta() + deep)
    with pytest.raises(WorkbenchError, match="nested"):
        open_frames(path, sidecar=False)
