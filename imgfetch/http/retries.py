"""How often a request is tried, and how long is waited in between.

The numbers are those of table 2.0 of the protocol notes: five attempts; 1, 2, 4, 8 s and a quarter more or less between
them; ``Retry-After`` where the server says it.  `ImgfetchError.tries` tells which failures are worth it.

Only progress restarts the count, and only the caller can measure it and so has to bound it.  Time is no progress: a
server that stays silent for as long as it may fails like any other.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable

from imgfetch.defaults import LONGEST_WAIT, MAX_WAIT, RETRIES
from imgfetch.errors import OFTEN, ImgfetchError, RefusedError, UnavailableError, VerificationError

ANNOUNCED = 3.0
"""Seconds beyond which a wait, or the failed attempt before it, is reported."""

_LONGEST_PAUSE = 30.0
_RECONNECT = 1.0

_logger = logging.getLogger(__name__)


class RetryPolicy:
    """What a run is willing to wait for, and what ends its waits; safe to be used from several threads."""

    def __init__(
        self, *, retries: int = RETRIES, max_wait: float = MAX_WAIT, pause: Callable[[float], object] | None = None
    ) -> None:
        """Wait for nothing yet.

        Args:
            retries: attempts after the first one; 0 tries everything once.
            max_wait: seconds that a server may make us wait at a time; one that asks for more ends the run.
            pause: waits some seconds, but no longer than until `stop`; for tests.
        """
        self.retries = retries
        self.max_wait = min(max_wait, LONGEST_WAIT)
        self._stopped = threading.Event()
        self._given = pause
        self._pause = pause or self._stopped.wait

    def fresh(self) -> RetryPolicy:
        """Return as much patience as this was at first, for another run."""
        return RetryPolicy(retries=self.retries, max_wait=self.max_wait, pause=self._given)

    def stop(self) -> None:
        """End every wait, now and from now on."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        """Whether nothing is to be tried again."""
        return self._stopped.is_set()

    def attempts(self, limit: int | None = None, *, refused: int | None = None) -> Retrier:
        """Return the attempts at one thing.

        Args:
            limit: attempts at most, fewer than usual.
            refused: attempts at most where nobody listens.
        """
        return Retrier(self, limit, refused)

    def wait(self, seconds: float) -> bool:
        """Wait, and tell whether it makes sense to go on."""
        if not self.is_stopped:
            self._pause(seconds)
        return not self.is_stopped


class Retrier:
    """The attempts at one thing.

    To be used in a loop that ends when the thing is done, or by the exception of `failed`::

        attempts = patience.attempts()
        while True:
            try:
                return ask()
            except ImgfetchError as error:
                attempts.failed(error)
    """

    def __init__(self, patience: RetryPolicy, limit: int | None, refused: int | None) -> None:
        """Begin the first attempt."""
        self._patience = patience
        self._limit = patience.retries + 1 if limit is None else min(limit, patience.retries + 1)
        self._refused = refused
        self._counts: Counter[type[ImgfetchError]] = Counter()
        self._all = 0
        self._began = self._last = time.monotonic()

    def failed(self, error: ImgfetchError, *, progressed: bool = False, has_other: bool = False) -> int:
        """Return the number of attempts that are left, when it is time for the next one.

        Args:
            error: why the last one failed.
            progressed: whether it brought enough to count for nothing.
            has_other: whether the caller can try something else.  Then 0 is returned, at once and without counting this
                failure, where no further attempt of this kind makes sense.

        Raises:
            ImgfetchError: ``error``, where no further attempt makes sense, with the number of attempts.
        """
        self._all += 1
        # Wrong bytes are counted apart: what came of them is no progress, and other failures are no fault of theirs.
        kind = type(error) if isinstance(error, VerificationError) else ImgfetchError
        is_anew = kind is ImgfetchError and progressed
        count = 1 if is_anew else self._counts[kind] + 1
        limit = self._limit_for(error)
        wait = self._wait(error, count, is_anew=is_anew)
        if count >= limit or wait is None:
            if has_other and not self._patience.is_stopped:
                return 0
            raise self._final(error)
        self._counts[kind] = count
        self._report(error, f"attempt {count + 1} of {limit} in {wait:.0f} s", wait)
        if not self._patience.wait(wait):
            raise error
        self._last = time.monotonic()
        return self._limit - count

    def _report(self, error: ImgfetchError, plan: str, wait: float) -> None:
        """Report a failure, by default only where the user has waited for a while or is going to."""
        is_long = max(wait, time.monotonic() - self._last) > ANNOUNCED
        _logger.log(logging.WARNING if is_long else logging.INFO, "%s; %s", error, plan)

    def _limit_for(self, error: ImgfetchError) -> int:
        limit = self._limit if error.tries >= OFTEN else min(self._limit, error.tries)
        return min(limit, self._refused) if self._refused and isinstance(error, RefusedError) else limit

    def _wait(self, error: ImgfetchError, count: int, *, is_anew: bool) -> float | None:
        """Return the seconds until the next attempt, or ``None`` if the server asks for too many."""
        asked = error.retry_after if isinstance(error, UnavailableError) else None
        if asked is not None and asked >= 1:
            return asked if asked <= self._patience.max_wait else None
        if is_anew:
            pause = _RECONNECT + random.uniform(0, 0.1)  # noqa: S311  # spreads clients, and hides nothing
        else:
            pause = min(2.0 ** (count - 1), _LONGEST_PAUSE) * random.uniform(0.75, 1.25)  # noqa: S311
        return min(pause, self._patience.max_wait)

    def _final(self, error: ImgfetchError) -> ImgfetchError:
        """Return the error with the number of attempts (M10), and such that no outer loop retries it again."""
        seconds = time.monotonic() - self._began
        tried = (f"Tried {self._all} times in {seconds:.0f} s.",) if self._all > 1 else ()
        return error.replace(details=(*error.details, *tried), tries=1)
