"""Files that never change while the server runs: styles, scripts, icons, and three.js as the Python package trimesh carries it.

Each is held in memory and named with its content's hash, so that a browser may keep it for ever.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

THREE = "three.js"
_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_IMPORT = re.compile(r'(from |import\()"\./([\w.-]+\.js)"')
_VIEWER = (
    "templates/viewer.zip"  # of trimesh: a page with three.js, its glTF loader, and the page's own code at the end
)
_OWN_CODE = "var camera,controls,scene,renderer"


@dataclass(frozen=True)
class Asset:
    """One file as it is sent."""

    body: bytes
    media_type: str
    digest: str
    gzipped: bytes


def names() -> list[str]:
    """Return the names of all files."""
    return sorted([*(path.name for path in _FOLDER.iterdir() if path.suffix in _TYPES), THREE])


@cache
def find(name: str) -> Asset | None:
    """Return a file by its name, None if there is none, or if what it comes from is not installed."""
    if name not in names():
        return None
    body = _three() if name == THREE else (_FOLDER / name).read_bytes()
    if body is None:
        return None
    if name.endswith(".js") and name != THREE:
        body = _IMPORT.sub(_hashed_import, body.decode()).encode()
    media_type = _TYPES[Path(name).suffix] + "; charset=utf-8"
    return Asset(body, media_type, hashlib.sha256(body).hexdigest()[:16], gzip.compress(body, 6, mtime=0))


def url(name: str) -> str:
    """Return the address of a file with its hash."""
    asset = find(name)
    return f"/static/{name}?v={asset.digest}" if asset else ""


def _hashed_import(found: re.Match[str]) -> str:
    return f'{found[1]}"{url(found[2])}"'


def _three() -> bytes | None:
    """Return three.js with its glTF loader out of trimesh's viewer, licence included; None without trimesh."""
    if find_spec("trimesh") is None:
        return None
    import io
    import zipfile

    packed = resources.files("trimesh").joinpath("resources", *_VIEWER.split("/")).read_bytes()
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        page = archive.read(archive.namelist()[0]).decode("utf-8")
    script = page.partition("<script>")[2].rpartition("</script>")[0]
    library = script.partition(_OWN_CODE)[0]
    return library.encode("utf-8") if "GLTFLoader" in library else None
