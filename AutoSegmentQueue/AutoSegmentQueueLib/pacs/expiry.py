"""Removing received series that have been queued or ignored and to which nothing has been added for a while."""

from __future__ import annotations

import shutil
import time

from AutoSegmentQueueLib.failpoints import reach
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.pacs import revisions
from AutoSegmentQueueLib.pacs.received import SeriesFolder
from AutoSegmentQueueLib.states import ENDED, State

DAY_SECONDS = 86400.0


def expire(series: SeriesFolder, ledger: Ledger, keep_days: float, now: float | None = None) -> bool:
    """Remove a series whose time is over; returns whether it was.

    Nothing that has not been queued or ignored is ever removed, and nothing whose job has not ended and given its input away.
    """
    try:
        changed = series.slices.stat()
        newest = revisions.newest(series)
    except (OSError, ValueError):
        return False
    age = (time.time() if now is None else now) - changed.st_mtime
    if newest is None or age < keep_days * DAY_SECONDS or newest.stamps != revisions.stamps_of(series.files()):
        return False
    if newest.unit is not None:
        job = ledger.newest_of_source(str(newest.unit))
        given_away = not newest.unit.exists() or (job is not None and job.state is State.CANCELLED)
        if job is None or job.state not in ENDED or not given_away:
            return False
    trash = series.path.with_name(f".expired-{series.key}")
    shutil.rmtree(trash, ignore_errors=True)
    reach("pacs.before-expire")
    series.path.rename(trash)
    moved = SeriesFolder(trash)
    if moved.slices.stat().st_mtime_ns != changed.st_mtime_ns:  # a slice came in at the last moment
        try:
            trash.rename(series.path)
            return False
        except OSError:  # and the next one has made the folder anew
            for path in moved.files():
                if not (series.slices / path.name).exists():
                    path.rename(series.slices / path.name)
    shutil.rmtree(trash, ignore_errors=True)
    return True
