"""Settings of this room's jobs; panel, command and queue build the same ones."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.errors import SettingsError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LARGEST_PORT = 65535
_SHORTEST_TOKEN = 16


class FrameForm(enum.StrEnum):
    """What is written for a frame."""

    ENCODED = "encoded"  # the stored bytes
    RAW = "raw"  # decoded samples, little endian, row by row
    PNG = "png"  # as a person sees it


class Codec(enum.StrEnum):
    """How `repack` codes frames."""

    KEEP = "keep"
    HTJ2K = "htj2k"
    JPEG_LS = "jpegls"


@dataclass(frozen=True)
class ExportSettings:
    """Write single frames to files.

    Attributes
    ----------
    frames : numbers from 1, such as "1,5-9"; empty means all.
    """

    source: str
    output: Path
    frames: str = ""
    form: FrameForm = FrameForm.ENCODED


@dataclass(frozen=True)
class Region:
    """A rectangle of pixels: left column, top row, width, height."""

    left: int
    top: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if min(self.left, self.top) < 0 or min(self.width, self.height) < 1:
            raise SettingsError(f"a region needs a corner at or after 0 and a size of at least 1, got {self}")

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read ``LEFT,TOP,WIDTH,HEIGHT``.

        Raises
        ------
        SettingsError : the text has another form.
        """
        try:
            left, top, width, height = (int(part) for part in text.split(","))
        except ValueError:
            raise SettingsError(f"a region is LEFT,TOP,WIDTH,HEIGHT in pixels, got {text!r}") from None
        return cls(left, top, width, height)


@dataclass(frozen=True)
class BlankSettings:
    """Make a shareable copy.

    Attributes
    ----------
    regions : rectangles to be blanked (burned-in text); empty blanks all pixels.
    salt : fixes the new UIDs, so that two runs agree; None makes fresh ones.
    """

    source: Path
    output: Path
    regions: tuple[Region, ...] = ()
    salt: str | None = None


@dataclass(frozen=True)
class RepackSettings:
    """Make a copy that every reader opens fast.

    Attributes
    ----------
    split : frames for each file of a concatenation; 0 writes one file.
    """

    source: Path
    output: Path
    codec: Codec = Codec.KEEP
    split: int = 0

    def __post_init__(self) -> None:
        if self.split < 0:
            raise SettingsError(f"--split needs a number of frames of at least 1, got {self.split}")


@dataclass(frozen=True)
class ServeSettings:
    """Serve files over DICOMweb.

    Attributes
    ----------
    paths : files and folders.
    host, port : where to listen; port 0 takes a free one. Anything but the loopback needs a token.
    token : what clients have to send as ``Authorization: Bearer``; empty for none.
    origins : web pages of these origins may read (CORS); pages of this machine always may.
    """

    paths: tuple[Path, ...]
    host: str = "127.0.0.1"
    port: int = 8042
    token: str = ""
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.paths:
            raise SettingsError("give at least one file or folder to serve")
        if not 0 <= self.port <= _LARGEST_PORT:
            raise SettingsError(f"the port must be between 0 and {_LARGEST_PORT}, got {self.port}")
        if self.host not in LOOPBACK and not self.token:
            raise SettingsError(
                f"{self.host} can be reached by other machines; give a token (--token) or serve on 127.0.0.1"
            )
        if self.token and (len(self.token) < _SHORTEST_TOKEN or not self.token.isascii() or " " in self.token):
            raise SettingsError(f"a token needs at least {_SHORTEST_TOKEN} letters or digits without spaces")
        for origin in self.origins:
            if origin == "*" and not self.token:
                raise SettingsError(
                    "the origin * would let every web page read these files; give a token, or name the origins"
                )
            if origin != "*" and not origin.startswith(("http://", "https://")):
                raise SettingsError(f"an origin looks like https://viewer.example, got {origin!r}")


def parse_frames(text: str, count: int) -> list[int]:
    """Read frame numbers such as "1,5-9" and return them from 0, in the order given.

    Raises
    ------
    SettingsError : the text has another form or names a frame that is not there.
    """
    if not text.strip():
        return list(range(count))
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise SettingsError(f"frames are named like 1,5-9; {part.strip()[:40]!r} is not a number or a range")
        low, high = int(first), int(last) if dash else int(first)
        if not 1 <= low <= high <= count:
            raise SettingsError(f"frames {part.strip()[:40]} are not all there; the file has frames 1 to {count}")
        found.extend(range(low - 1, high))
    if len(set(found)) != len(found):
        raise SettingsError("a frame is named twice; name each once")
    return found
