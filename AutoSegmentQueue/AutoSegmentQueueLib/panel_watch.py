"""The panel's table of jobs, its summary and the log of the chosen job, kept up to date. Widgets come as arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from AutoSegmentQueueLib import panel
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Job, Ledger
from AutoSegmentQueueLib.panel_jobs import JobList
from AutoSegmentQueueLib.panel_look import show_log
from AutoSegmentQueueLib.panel_order import Order, after_click
from AutoSegmentQueueLib.panel_sending import SEND_AGAIN_TIP, SendingWatch, why_not_again

JOB_TAB = 1  # of the logs
EMPTY = "Nothing has been queued in this home yet."


class JobsWatch:
    """Looks at the ledger of a home.

    Parameters
    ----------
    ui : the panel's widgets: jobsView, summaryLabel, sentLabel, sendAgainButton, logTabs, jobLogText.
    model : the item model of jobsView; it shows a `JobList`.
    """

    def __init__(self, ui: Any, model: Any) -> None:
        self._ui = ui
        self._model = model
        self._home: Home | None = None
        self._chosen = ""
        self._stamp: tuple[object, ...] = ()
        self._sending: SendingWatch | None = None
        self.ledger: Ledger | None = None

    def use(self, home: Home | None) -> None:
        """Look at another home from now on."""
        self._model.show(None)
        if self.ledger:
            self.ledger.close()
        if self._sending:
            self._sending.close()
        self.ledger, self._home, self._chosen = None, home, ""
        self._sending = SendingWatch(home) if home else None
        self.show_sending()

    def look(self, slots: int) -> None:
        """Show what has changed since the last look."""
        if self.ledger is None and self._home and self._home.ledger.exists():
            self.ledger = Ledger(self._home.ledger)
            self._model.show(JobList(self.ledger, slots))
        if self.ledger is None:
            self._ui.summaryLabel.text = EMPTY
            return
        chosen = self._chosen
        if self._model.refresh():
            self._choose(chosen)
        self._ui.jobsView.viewport().update()  # times go on; only what is visible is asked for
        self._ui.summaryLabel.text = self._model.source.summary()
        self.show_log()
        self.show_sending()

    def job(self) -> Job | None:
        """Return the chosen job."""
        row = self._ui.jobsView.currentIndex().row()
        jobs: list[Job] = self._model.source.jobs if self._model.source else []
        return jobs[row] if 0 <= row < len(jobs) else None

    def choose(self) -> None:
        """Take notice of the job that was clicked."""
        job = self.job()
        if job and job.id != self._chosen:
            self._chosen = job.id
            self._ui.logTabs.currentIndex = JOB_TAB
        self.show_log()
        self.show_sending()

    def show_log(self) -> None:
        """Show the log of the chosen job, if there is something new in it."""
        job = self.job()
        stamp = panel.log_stamp(self._home, job) if self._home else ()
        if self._home and stamp != self._stamp:
            self._stamp = stamp
            show_log(self._ui.jobLogText, panel.log_text(self._home, job))

    def show_sending(self) -> None:
        """Show where the results of the chosen job were sent."""
        deliveries, said = self._sending.of(self.job()) if self._sending else ([], "")
        label, button, reason = self._ui.sentLabel, self._ui.sendAgainButton, why_not_again(deliveries)
        label.text = label.toolTip = said
        label.visible = button.visible = bool(said)
        button.enabled, button.toolTip = not reason, reason or SEND_AGAIN_TIP

    def send_again(self) -> None:
        """Send what of the chosen job has not arrived."""
        job = self.job()
        if job and self._sending:
            self._sending.again(job)

    def sort(self, column: int) -> Order | None:
        """Sort by a column, the other way round at the second click, newest first again at the third."""
        if not self._model.source:
            return None
        order, chosen = after_click(self._model.source.order, column), self._chosen
        self._model.sortBy(order)
        self._choose(chosen)
        return order

    def _choose(self, job_id: str) -> None:
        """Select a job again after the table was read anew."""
        row = self._model.source.row_of(job_id)
        if row is not None:
            self._ui.jobsView.selectRow(row)


# What buttons change, by their names; the job is the chosen one.
CHANGES: dict[str, Callable[[Any, Any], object]] = {
    "pause": lambda watch, _: watch.ledger.set_paused(not watch.ledger.paused),
    "cancel": lambda watch, job: watch.ledger.cancel(job.id),
    "retry": lambda watch, job: watch.ledger.retry(job.id),
    "sooner": lambda watch, job: watch.ledger.prioritise(job.id, job.priority + 1),
    "later": lambda watch, job: watch.ledger.prioritise(job.id, job.priority - 1),
    "sendAgain": lambda watch, _: watch.send_again(),
}
