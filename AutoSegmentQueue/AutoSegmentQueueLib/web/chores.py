"""What the server does by itself now and then: takes up what a killed one left, removes what has expired."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from DicomWorkbenchLib.errors import WorkbenchError
from DicomWorkbenchLib.web_problems import Problem

from AutoSegmentQueueLib.states import State
from AutoSegmentQueueLib.web.context import Web

_PAUSE_SECONDS = 60.0
_log = logging.getLogger(__name__)


async def run(web: Web) -> None:
    """Work until cancelled."""
    await web.move(take_up, web)
    while True:
        try:
            await web.move(web.uploads.sweep)
        except (WorkbenchError, OSError) as error:
            _log.warning("expired uploads could not be removed: %s", type(error).__name__)
        await asyncio.sleep(_PAUSE_SECONDS)


def take_up(web: Web) -> None:
    """Make jobs of finished files that have none, and check inputs whose check was cut off."""
    for upload in web.uploads.left_over():
        try:
            web.handover.one(upload)
        except (Problem, WorkbenchError, OSError) as error:
            _log.warning("upload %s could not be taken up: %s", upload.id, type(error).__name__)
    for job in web.ledger.jobs([State.RECEIVED, State.STABILISING]):
        if web.home.uploads in Path(job.source).parents:
            web.handover.settle(job)
