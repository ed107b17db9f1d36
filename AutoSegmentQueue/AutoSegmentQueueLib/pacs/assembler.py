"""From instances that arrive one by one to jobs: a series is queued when it is complete, and again when more has come.

DICOM knows no end of a series. One counts as complete when nothing has come for a while, and, where a peer can be asked how many
instances there are, when so many have come; if they do not, after a longer while, with a warning that says how many are missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from DicomWorkbenchLib.errors import SettingsError, WorkbenchError

from AutoSegmentQueueLib.adding import Wanted
from AutoSegmentQueueLib.failpoints import reach
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.intake_units import look_at
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.pacs import revisions
from AutoSegmentQueueLib.pacs.counting import Count, count_of
from AutoSegmentQueueLib.pacs.expiry import expire
from AutoSegmentQueueLib.pacs.facts import facts_of
from AutoSegmentQueueLib.pacs.received import Received, SeriesFolder
from AutoSegmentQueueLib.pacs.revisions import Revision
from AutoSegmentQueueLib.pacs.routing import Decision, Routing
from AutoSegmentQueueLib.settings import QueueSettings

EXPIRY_SECONDS = 60.0  # how often old series are looked for


@dataclass
class _Watched:
    """A series as it was seen last: since when it is as it is, whether all of that is queued, and what peers say."""

    changed_ns: int
    since: float
    settled: bool = False
    asked: bool = False
    expected: int | None = None


class Assembler:
    """Looks at what has been received; one look is `look`. Only one may work in a home (`assembler_lock`).

    Parameters
    ----------
    home, settings, ledger : of the queue.
    tell : gets a line about what a person should know; keys and numbers, never a patient.
    clock : monotonic seconds.
    ask : asks the peers how many instances a series has.
    """

    def __init__(
        self,
        home: Home,
        settings: QueueSettings,
        ledger: Ledger,
        tell: Callable[[str], None] = lambda text: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        ask: Count = count_of,
    ) -> None:
        self._home = home
        self._settings = settings
        self._ledger = ledger
        self._tell = tell
        self._clock = clock
        self._ask = ask
        self._received = Received(home)
        self._watched: dict[str, _Watched] = {}
        self._expired_at = clock()
        self._said = ""

    def look(self) -> int:
        """Look once; returns how many revisions were queued."""
        queued = sum(self._look_safely(series) for series in self._received.all())
        if self._clock() - self._expired_at >= EXPIRY_SECONDS:
            self._expired_at = self._clock()
            for series in self._received.all():
                if expire(series, self._ledger, self._settings.dicom.keep_days):
                    self._watched.pop(series.key, None)
        return queued

    @property
    def waiting(self) -> bool:
        """True while a series is neither queued nor ignored."""
        return any(not one.settled for one in self._watched.values())

    def _look_safely(self, series: SeriesFolder) -> int:
        """Look at one series; what is wrong with it holds up no other."""
        try:
            return self._look_at(series)
        except (WorkbenchError, OSError, ValueError, KeyError) as error:
            self._say_once(f"series {series.key[:8]} cannot be queued yet: {error}")
            return 0

    def _look_at(self, series: SeriesFolder) -> int:
        try:
            changed_ns = series.slices.stat().st_mtime_ns
        except OSError:  # only announced yet
            return 0
        seen = self._watched.get(series.key)
        if seen is None or seen.changed_ns != changed_ns:
            seen = self._watched[series.key] = _Watched(changed_ns, self._clock())
        return 0 if seen.settled else self._settle(series, seen)

    def _finish(self, series: SeriesFolder, newest: Revision) -> bool:
        """Queue a revision whose queueing a kill or a full disk has interrupted; returns whether it is queued."""
        if not newest.unit or not newest.unit.exists() or self._ledger.newest_of_source(str(newest.unit)):
            return True
        decision = self._decide(series, sorted(newest.unit.glob("*.dcm")))
        if decision is None:
            return False
        self._queue(series, newest, decision)
        return True

    def _settle(self, series: SeriesFolder, seen: _Watched) -> int:
        files = series.files()
        if not files or not self._is_complete(series, seen, len(files)):
            return 0
        newest = revisions.newest(series)
        if newest is not None and not self._finish(series, newest):
            return 0
        if newest is not None and newest.stamps == revisions.stamps_of(files):
            seen.settled = True  # the same was sent again
            return 0
        decision = self._decide(series, files)
        if decision is None:
            return 0
        number = (newest.number if newest else 0) + 1
        name = "" if decision.action.ignore else self._name(series, files, number)
        made = revisions.make(series, files, name, seen.expected)
        self._tell(f"series {series.key[:8]}: {len(files)} instances, {decision.why[-1]}")
        if made.unit is not None:
            self._queue(series, made, decision)
        seen.settled = True
        return int(made.unit is not None)

    def _is_complete(self, series: SeriesFolder, seen: _Watched, count: int) -> bool:
        promised = series.expected()
        if promised is not None and count >= promised:
            seen.expected = promised
            return True
        dicom, quiet = self._settings.dicom, self._clock() - seen.since
        if quiet < dicom.quiet_seconds:
            return False
        if not seen.asked:
            seen.asked = True
            origin = series.origin()
            answer = self._ask(dicom, origin.get("calling_ae", ""), origin.get("study", ""), origin.get("series", ""))
            seen.expected = max(filter(None, (answer, promised)), default=None)
        return seen.expected is None or count >= seen.expected or quiet >= dicom.count_seconds

    def _decide(self, series: SeriesFolder, files: list[Path]) -> Decision | None:
        """Ask the rules; None while they cannot be read, and the series waits."""
        try:
            routing = Routing.load(self._home.root)
            decision = routing.decide(facts_of(files, series.origin().get("calling_ae", "")))
        except SettingsError as error:
            self._say_once(f"{error}; received series wait until it is mended")
            return None
        except WorkbenchError as error:
            self._say_once(f"series {series.key[:8]}: {error}")
            return None
        return decision

    def _say_once(self, text: str) -> None:
        if text != self._said:
            self._tell(text)
        self._said = text

    @staticmethod
    def _name(series: SeriesFolder, files: list[Path], number: int) -> str:
        # No description and no patient: the name is shown wherever the job is, and descriptions are typed by people.
        modality = "".join(one for one in facts_of(files).modality if one.isalnum()) or "series"
        return f"{modality}-{series.key[:8]}" + (f"_rev{number}" if number > 1 else "")

    def _queue(self, series: SeriesFolder, revision: Revision, decision: Decision) -> None:
        """Write the job of a revision into the ledger; from there on it goes the way of every input."""
        assert revision.unit is not None
        unit = look_at(revision.unit)
        action = decision.action
        options: dict[str, object] = {}
        if action.destinations:
            options["destinations"] = list(action.destinations)
        notes = [f"received: {len(revision.stamps)} instances, rule {decision.rule}"]
        if revision.missing:
            notes.append(f"only {len(revision.stamps)} of {revision.expected} instances arrived")
            options["input_warnings"] = [notes[-1]]
            self._tell(f"series {series.key[:8]}: {notes[-1]}")
        if revision.number > 1:
            notes.append(f"revision {revision.number}{self._first(series)}: more instances have come")
        user = str(series.origin().get("user", ""))
        wanted = Wanted(action.settings(self._settings), options=options, priority=action.priority, user=user)
        new = wanted.new_job(self._home, revision.unit, unit.signature if unit else "")
        reach("pacs.before-receive")
        job = self._ledger.receive(replace(new, name=revision.unit.name, owned=True))
        for note in notes:
            self._ledger.note(job.id, note)

    def _first(self, series: SeriesFolder) -> str:
        first = revisions.read(series, 1) if series.revision(1).exists() else None
        job = self._ledger.newest_of_source(str(first.unit)) if first and first.unit else None
        return f" of job {job.id}" if job else ""
