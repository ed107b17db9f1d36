"""The description of the interface for programs (OpenAPI 3.1)."""

from __future__ import annotations

from typing import Any

from DicomWorkbenchLib import __version__


def document() -> dict[str, Any]:
    """Return the description."""
    return {"openapi": "3.1.0", "info": {"title": "DicomWorkbench queue", "version": __version__}, "paths": {}}
