"""How often somebody may ask: a bucket of tokens for each, and a bounded number of buckets."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_BUCKETS = 20_000  # about 4 MB; the one not used for longest goes first


class RateLimit:
    """Allows ``burst`` at once and ``per_second`` in the long run, for each key."""

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = per_second, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, count: float = 1.0) -> float:
        """Take from the bucket of a key; returns 0, or the seconds to wait."""
        now = self._clock()
        left, then = self._buckets.get(key, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._rate)
        wait = 0.0 if left >= count else (count - left) / self._rate
        self._buckets[key] = (left if wait else left - count, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return wait

    def give_back(self, key: str) -> None:
        """Put back what was taken once: it was no abuse."""
        if key in self._buckets:
            left, then = self._buckets[key]
            self._buckets[key] = (min(self._burst, left + 1), then)
