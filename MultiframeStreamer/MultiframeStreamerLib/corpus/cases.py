"""The cases of the corpus by name, and writing them to a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from DicomWorkbenchLib.outputs import StagedFolder


@dataclass(frozen=True)
class Case:
    """One file and the truth about it.

    Attributes
    ----------
    name, story : what it is called, and in what it is unusual.
    content : the file's bytes.
    frames : stored bytes of each frame; an empty one cannot be read and must be named so.
    refusal : a word of the reason if the file as a whole must be refused.
    legal : True if the standard allows the file.
    """

    name: str
    story: str
    content: bytes = field(repr=False)
    frames: tuple[bytes, ...] = field(default=(), repr=False)
    refusal: str = ""
    legal: bool = False


_BUILDERS: list[tuple[str, str, bool, Callable[[], tuple[bytes, object]]]] = []


def case(name: str, story: str, *, legal: bool = False) -> Callable[[Callable[[], tuple[bytes, object]]], None]:
    """Register the function that builds a case: it returns the file and its frames, or the file and the reason of refusal."""

    def register(build: Callable[[], tuple[bytes, object]]) -> None:
        _BUILDERS.append((name, story, legal, build))

    return register


def all_cases() -> Iterator[Case]:
    """Build every case."""
    from MultiframeStreamerLib.corpus import encapsulated_cases, native_cases, refused_cases  # noqa: F401  (they register themselves)

    for name, story, legal, build in _BUILDERS:
        content, truth = build()
        if isinstance(truth, str):
            yield Case(name, story, content, refusal=truth, legal=legal)
        else:
            yield Case(name, story, content, frames=tuple(truth), legal=legal)  # type: ignore[arg-type]


def write_corpus(folder: Path) -> int:
    """Write every case as ``NAME.dcm`` with ``truth.json`` (lengths and SHA-256 of frames, or the reason of refusal).

    Raises
    ------
    OutputError : the folder exists or cannot be written.
    """
    from hashlib import sha256

    truth: dict[str, object] = {}
    with StagedFolder(folder) as stage:
        for each in all_cases():
            (stage / f"{each.name}.dcm").write_bytes(each.content)
            truth[each.name] = {
                "story": each.story,
                "legal": each.legal,
                "refusal": each.refusal,
                "frames": [{"bytes": len(f), "sha256": sha256(f).hexdigest() if f else ""} for f in each.frames],
            }
        (stage / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
    return len(truth)
