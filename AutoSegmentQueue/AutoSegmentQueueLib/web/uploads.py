"""Uploads: what is known of each, how much of it is safely on disk, and how much more a user may bring."""

from __future__ import annotations

from typing import Any

from AutoSegmentQueueLib.web.access import Principal


class Uploads:
    """Not there yet."""

    def listed(self, principal: Principal) -> list[dict[str, Any]]:
        """Return the unfinished uploads of a user."""
        return []

    def used_bytes(self, user: str) -> int:
        """Return what a user has stored."""
        return 0
