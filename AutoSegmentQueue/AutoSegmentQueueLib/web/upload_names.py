"""What users call their files: checked, kept as metadata, and never used as a path.

A name that leads anywhere is refused. What is merely awkward (signs that turn the writing direction, reserved names of Windows) is harmless
here, because no file gets the name; results are named after it in a form every file system takes.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata

from DicomWorkbenchLib.web_problems import bad_request

LONGEST_NAME, LONGEST_PATH = 255, 1024
KEYS = ("filename", "relativepath", "batch", "engine", "task", "quality", "filetype")
_BATCH = re.compile(r"^[A-Za-z0-9_-]{4,64}$")
_DRIVE = re.compile(r"^[A-Za-z]:")
_WORD = re.compile(r"^[A-Za-z0-9_.-]{0,64}$")


def read_metadata(header: str) -> dict[str, str]:
    """Read the header ``Upload-Metadata``: pairs of a key and a value in base64.

    Raises
    ------
    Problem : it cannot be read, or a name in it leads anywhere.

    References
    ----------
    https://tus.io/protocols/resumable-upload#upload-metadata
    """
    found: dict[str, str] = {}
    for pair in header.split(","):
        key, _, packed = pair.strip().partition(" ")
        if not key:
            continue
        try:
            value = base64.b64decode(packed, validate=True).decode()
        except (binascii.Error, ValueError):
            raise bad_request("Upload-Metadata holds a value that is not base64 of UTF-8") from None
        if key in found:
            raise bad_request("Upload-Metadata holds a key twice")
        if key in KEYS:  # others are allowed and of no use
            found[key] = value
    return checked(found)


def checked(metadata: dict[str, str]) -> dict[str, str]:
    """Return metadata whose names are good.

    Raises
    ------
    Problem : one is not.
    """
    check_file_name(metadata.get("filename", ""))
    check_path(metadata.get("relativepath", ""))
    if metadata.get("batch") and not _BATCH.match(metadata["batch"]):
        raise bad_request("batch must have 4 to 64 letters, digits, - and _")
    for key in ("engine", "task", "quality"):
        if not _WORD.match(metadata.get(key, "")):
            raise bad_request(f"{key} is not the name of any")
    return metadata


def check_batch(batch: str) -> str:
    """Return the name of a batch; raises `Problem` if it is none."""
    if not _BATCH.match(batch):
        raise bad_request("batch must have 4 to 64 letters, digits, - and _")
    return batch


def check_file_name(name: str) -> None:
    """Raise `Problem` for a name that is a path, has control signs, or is too long."""
    if len(name) > LONGEST_NAME:
        raise bad_request(f"the file's name has more than {LONGEST_NAME} signs")
    if "/" in name or "\\" in name or name in (".", "..") or _DRIVE.match(name):
        raise bad_request("the file's name must be a name, not a path")
    _check_signs(name)


def check_path(path: str) -> None:
    """Raise `Problem` for a relative path that leads out of its folder."""
    if len(path) > LONGEST_PATH:
        raise bad_request(f"the relative path has more than {LONGEST_PATH} signs")
    parts = path.replace("\\", "/").split("/")
    if path.startswith(("/", "\\")) or ".." in parts or any(_DRIVE.match(part) for part in parts):
        raise bad_request("the relative path leads out of its folder")
    _check_signs(path)


def _check_signs(text: str) -> None:
    if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text):
        raise bad_request("the file's name has control signs in it")
