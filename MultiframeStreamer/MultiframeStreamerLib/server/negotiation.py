"""Which form of a frame a client accepts, and in which we give it.

Source: DICOM PS3.18 8.7 (media types, transfer syntax parameter, defaults), RFC 9110 12.5.1 (Accept, quality values).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from DicomWorkbenchLib.web_problems import bad_request, not_acceptable

from ..syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS, HTJ2K_RPCL, JPEG_LS, Family, Syntax

_LONGEST = 4096
_RANGE = re.compile(r'\s*([\w!#$&^.+*-]+/[\w!#$&^.+*-]+)((?:\s*;\s*[\w-]+\s*=\s*(?:"[^"]*"|[^\s;,"]*))*)\s*(?:,|$)')
_PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^\s;,"]*))')
_OCTETS = "application/octet-stream"
_MAKEABLE = {  # transfer syntaxes we can make on request, with their media types
    EXPLICIT_LE: _OCTETS,
    HTJ2K_LOSSLESS: "image/jphc",
    HTJ2K_RPCL: "image/jphc",
    JPEG_LS: "image/jls",
}
_DEFAULT_OF_TYPE = {"image/jphc": HTJ2K_LOSSLESS, "image/jls": JPEG_LS, _OCTETS: EXPLICIT_LE}


@dataclass(frozen=True)
class MediaRange:
    """One entry of an Accept header; ``multipart`` says whether it was wrapped in multipart/related."""

    type: str
    transfer_syntax: str
    quality: float
    multipart: bool


@dataclass(frozen=True)
class Choice:
    """The form that was agreed on; ``stored`` frames are sent as they are."""

    transfer_syntax: str
    media_type: str
    stored: bool
    multipart: bool

    @property
    def content_type(self) -> str:
        """What a part (or a single answer) is labelled with; the transfer syntax is always named."""
        return f"{self.media_type}; transfer-syntax={self.transfer_syntax}"


def parse_accept(text: str) -> list[MediaRange]:
    """Read an Accept header, best quality first.

    Raises
    ------
    Problem : it is no such header (400).
    """
    if len(text) > _LONGEST:
        raise bad_request(f"the Accept header is longer than {_LONGEST} characters")
    found: list[MediaRange] = []
    position, text = 0, text.strip()
    while position < len(text):
        match = _RANGE.match(text, position)
        if match is None:
            raise bad_request("the Accept header cannot be read")
        found.append(_media_range(match[1].lower(), match[2]))
        position = match.end()
    return sorted((r for r in found if r.quality > 0), key=lambda r: -r.quality)


def _media_range(name: str, parameters: str) -> MediaRange:
    values = {key.lower(): quoted or plain for key, quoted, plain in _PARAMETER.findall(parameters)}
    multipart = name == "multipart/related"
    inner = values.get("type", "*/*").lower() if multipart else name
    return MediaRange(
        inner, values.get("transfer-syntax", ""), _quality(values.get("q", "1")), multipart or name == "*/*"
    )


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        raise bad_request("a quality value in the Accept header is no number") from None


def choose(accept: str, stored: Syntax, *, decodable: bool = True) -> Choice:
    """Agree on the form of frames.

    Parameters
    ----------
    stored : transfer syntax of the file; uncompressed ones count as Explicit VR Little Endian (the web knows no other).
    decodable : whether frames can be decoded here.

    Raises
    ------
    Problem : nothing that is accepted can be given (406), or the header makes no sense (400).
    """
    web = EXPLICIT_LE if not stored.encapsulated else stored.uid
    for media_range in parse_accept(accept or "*/*"):
        choice = _fits(media_range, web, stored, decodable)
        if choice is not None:
            return choice
    raise not_acceptable(
        f"frames are stored as {stored.name} ({web}); they can be had like that with transfer-syntax=*"
        + (", as Explicit VR Little Endian, HTJ2K or JPEG-LS" if decodable else "")
    )


def _fits(wanted: MediaRange, web: str, stored: Syntax, decodable: bool) -> Choice | None:
    media = stored.media_type
    as_stored = Choice(web, media, stored=True, multipart=wanted.multipart)
    if wanted.transfer_syntax in ("*", web):
        return as_stored if _matches(wanted.type, media) or wanted.type == _OCTETS else None
    if wanted.transfer_syntax:
        return _made(wanted, wanted.transfer_syntax, decodable)
    if wanted.type == "*/*" and stored.lossy is not False:
        return as_stored  # decoding a lossy frame would only make it larger
    if wanted.type == "*/*":
        return as_stored if web == EXPLICIT_LE else _made(wanted, EXPLICIT_LE, decodable)
    if wanted.type == media and (web == EXPLICIT_LE or wanted.type != _OCTETS):
        return as_stored
    return _made(wanted, _DEFAULT_OF_TYPE.get(wanted.type, ""), decodable)


def _made(wanted: MediaRange, syntax: str, decodable: bool) -> Choice | None:
    media = _MAKEABLE.get(syntax)
    if media is None or not decodable or not (_matches(wanted.type, media) or wanted.type == _OCTETS):
        return None
    return Choice(syntax, media, stored=False, multipart=wanted.multipart)


def _matches(pattern: str, media: str) -> bool:
    kind, _, name = pattern.partition("/")
    return pattern in ("*/*", media) or (name == "*" and media.startswith(kind + "/"))


def best_of(accept: str, offered: Sequence[str]) -> tuple[str, bool]:
    """Return the offered media type a client likes best, and whether it wants it as multipart.

    Raises
    ------
    Problem : none (406), or the header makes no sense (400).
    """
    for wanted in parse_accept(accept or "*/*"):
        for media in offered:
            if _matches(wanted.type, media):
                return media, wanted.multipart and wanted.type != "*/*"
    raise not_acceptable(f"what can be had here is {', '.join(offered)}")


def is_decodable(syntax: Syntax) -> bool:
    """Tell whether frames of a syntax can be decoded at all."""
    return syntax.family not in (Family.VIDEO, Family.REFERENCED, Family.UNKNOWN)
