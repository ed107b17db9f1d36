"""What happens to a job when its child has ended: the results are verified and published, or the failure is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.process import child_environment, own_group

from AutoSegmentQueueLib import kinds
from AutoSegmentQueueLib.executor import Ended
from AutoSegmentQueueLib.failpoints import reach
from AutoSegmentQueueLib.intake_units import unit_of
from AutoSegmentQueueLib.ledger import Job, Ledger
from AutoSegmentQueueLib.ledger_store import StaleFence
from AutoSegmentQueueLib.publish import problems_of_manifest, publish, read_manifest
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.states import Failure
from AutoSegmentQueueLib.worker_files import WorkFolder, next_rung, write_log

CHECK_SECONDS = 1800.0
FULL_SECONDS = 5.0  # how long a job waits after a full disk
RETRY_SECONDS = (0.0, 5.0)  # how long a job waits after its first crash, and after later ones


@dataclass(frozen=True)
class Finisher:
    """Judges ended jobs; its calls may take long and run in a thread of their own."""

    ledger: Ledger
    settings: QueueSettings
    output: Path
    stopping: Callable[[], bool]

    def finish(self, job: Job, folder: WorkFolder, ended: Ended) -> None:
        """Bring an ended job to where it belongs; whoever lost it meanwhile changes nothing."""
        try:
            said = self._finish(job, folder, ended)
        except StaleFence:
            said = "given to another worker meanwhile; nothing of this attempt is used"
        except OutputError as error:  # full disk: the work is lost, the job is not
            said = self._put_back(job, f"the results could not be kept: {error}", FULL_SECONDS)
        note = f" ({ended.note})" if ended.note else ""
        write_log(folder.log, f"attempt {job.attempts}, exit code {ended.exit_code}{note}: {said}")
        folder.remove()

    def _finish(self, job: Job, folder: WorkFolder, ended: Ended) -> str:
        if ended.why == "cancelled":
            return self._stopped(job)
        if ended.why == "lost":
            return self._lost(job, ended.note)
        if ended.why == "refused":
            self.ledger.fail(job.id, job.fence, Failure.MISSING, ended.note)
            return "failed (missing)"
        if ended.why == "deadline":
            return self._crashed(job, Failure.TIMEOUT, "it was ended at its deadline")
        failure = folder.failure()
        if failure is not None:
            return self._judge(job, *failure)
        reason = self._collect(job, folder)
        if reason:
            return reason
        self.ledger.validate(job.id, job.fence)
        reach("worker.validating")
        problems = problems_of_manifest(folder.result, job) or self._problems_inside(job, folder)
        if problems:
            return self._crashed(job, Failure.ENGINE, f"its results are not valid: {'; '.join(problems[:5])}")
        if self._input_changed(job, folder):
            self.ledger.restabilise(job.id, job.fence, "the input was changed while it was read")
            return "the input was changed while it was read; it is looked at again"
        target = publish(self.ledger, job, folder.result, self.output)
        self.ledger.finish(job.id, job.fence, str(target))
        return "done"

    def _collect(self, job: Job, folder: WorkFolder) -> str:
        """Make sure that there is a manifest; otherwise judge and say how."""
        if (folder.result / "manifest.json").is_file():
            return ""
        if job.kind == kinds.SEGMENT:
            return self._crashed(job, Failure.CRASH, "its process ended without results and without a reason")
        reason = kinds.collect(job, folder.path, folder.stdout)
        if not reason:
            return ""
        said = kinds.said_error(folder.log, folder.log_start)
        if said:
            return self._judge(job, Failure.ENGINE, said)
        return self._crashed(job, Failure.CRASH, reason)

    def _judge(self, job: Job, failure: Failure, message: str) -> str:
        if failure is Failure.TIMEOUT:
            return self._crashed(job, failure, message)
        if failure is Failure.OUT_OF_MEMORY:
            options = next_rung(job, self.settings)
            if options is not None:
                rungs = int(str(options.pop("rungs")))
                note = f"not enough memory; tried again with {self.settings.oom_ladder[rungs - 1]}"
                self.ledger.put_back(job.id, job.fence, note, ladder=rungs, options=json.dumps(options, sort_keys=True))
                return note
        self.ledger.fail(job.id, job.fence, failure, message)
        return f"failed ({failure})"

    def _crashed(self, job: Job, failure: Failure, message: str) -> str:
        wait = RETRY_SECONDS[min(job.crashes, len(RETRY_SECONDS) - 1)]
        after = self.ledger.crashed(job.id, job.fence, self.settings.crashes, failure, message, wait)
        return f"{message}; now {after.state}"

    def _lost(self, job: Job, note: str) -> str:
        after = self.ledger.lost(job.id, job.fence, self.settings.losses, note or "its machine was lost")
        return f"lost; now {after.state}"

    def _stopped(self, job: Job) -> str:
        if self.stopping():
            return self._put_back(job, "stopped with the queue")
        self.ledger.cancelled(job.id, job.fence)
        return "cancelled"

    def _put_back(self, job: Job, note: str, wait_seconds: float = 0.0) -> str:
        try:
            self.ledger.put_back(job.id, job.fence, note, not_before=self.ledger.now() + wait_seconds)
        except StaleFence:
            return "given to another worker meanwhile"
        return f"{note}; it is queued again"

    def _problems_inside(self, job: Job, folder: WorkFolder) -> list[str]:
        """Have the results opened, in a process of its own: a file that brings its reader down must not end the queue."""
        if job.kind != kinds.SEGMENT or self.settings.validation != "full" or self.settings.child_command:
            return []
        command = [sys.executable, "-m", "AutoSegmentQueueLib.worker_check", str(folder.result)]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                timeout=CHECK_SECONDS,
                check=False,
                env={**_environment(), **folder.environment()},
                **own_group(),
            )
            problems = json.loads(done.stdout.splitlines()[-1])
        except subprocess.TimeoutExpired:
            return [f"checking them took longer than {CHECK_SECONDS:.0f} s"]
        except (ValueError, IndexError):
            return ["the check of the results ended without an answer"]
        return [str(one) for one in problems]

    def _input_changed(self, job: Job, folder: WorkFolder) -> bool:
        if not job.source:
            return False
        unit = unit_of(job.inputs)
        if unit is not None and unit.signature != job.signature:
            return True
        named = (read_manifest(folder.result) or {}).get("inputs")
        if not isinstance(named, list) or len(named) != 1 or not isinstance(named[0], dict) or unit is None:
            return False
        digest = named[0].get("sha256")
        return bool(digest) and not unit.path.is_dir() and digest != job.sha256


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, **child_environment()}
