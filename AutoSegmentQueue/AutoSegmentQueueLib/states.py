"""The states of a job, which may follow which, and the classes of failure.

::

    received -> stabilising -> queued -> leased -> running -> validating -> done
                     |           ^----------+---------+-----------+
                     +-> failed, quarantined, cancelled  <- from every state that is not an end

An end can be left in one way only: ``retry`` puts a failed, quarantined or cancelled job back into the queue.
"""

from __future__ import annotations

import enum


class State(enum.StrEnum):
    """What the ledger says about a job."""

    RECEIVED = "received"  # seen, nothing known yet
    STABILISING = "stabilising"  # still being written, or its check is under way
    QUEUED = "queued"  # complete, checked, waiting for a slot
    LEASED = "leased"  # a worker has taken it
    RUNNING = "running"  # its process has started
    VALIDATING = "validating"  # the process has ended, its results are being checked and published
    DONE = "done"  # verified results lie in the output folder
    FAILED = "failed"  # will not work; the reason is in the row
    QUARANTINED = "quarantined"  # ended its process too often without a word; a person should look
    CANCELLED = "cancelled"


class Failure(enum.StrEnum):
    """Why a job did not work; the first five are what a job says itself."""

    BAD_INPUT = "bad-input"
    OUT_OF_MEMORY = "out-of-memory"
    TIMEOUT = "timeout"
    MISSING = "missing"  # engine, device or weights are not there
    ENGINE = "engine"
    CRASH = "crash"  # neither results nor a reason
    LOST = "lost"  # the worker that had it is gone


WAITING = (State.RECEIVED, State.STABILISING, State.QUEUED)
ACTIVE = (State.LEASED, State.RUNNING, State.VALIDATING)
ENDED = (State.DONE, State.FAILED, State.QUARANTINED, State.CANCELLED)
RETRYABLE = (State.FAILED, State.QUARANTINED, State.CANCELLED)

_ENDS = {State.FAILED, State.QUARANTINED, State.CANCELLED}
TRANSITIONS: dict[State, frozenset[State]] = {
    State.RECEIVED: frozenset({State.STABILISING} | _ENDS),
    State.STABILISING: frozenset({State.QUEUED} | _ENDS),
    State.QUEUED: frozenset({State.LEASED, State.STABILISING, State.DONE} | _ENDS),  # done: a link to equal content
    State.LEASED: frozenset(
        {State.RUNNING, State.QUEUED, State.STABILISING, State.DONE} | _ENDS
    ),  # done: found published
    State.RUNNING: frozenset({State.VALIDATING, State.QUEUED, State.STABILISING} | _ENDS),
    State.VALIDATING: frozenset({State.DONE, State.QUEUED, State.STABILISING} | _ENDS),
    State.DONE: frozenset(),
    State.FAILED: frozenset({State.QUEUED, State.STABILISING}),
    State.QUARANTINED: frozenset({State.QUEUED, State.STABILISING}),
    State.CANCELLED: frozenset({State.QUEUED, State.STABILISING}),
}
