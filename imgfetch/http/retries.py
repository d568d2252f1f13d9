"""Retries, and the pauses between them (docs/registries.md#retries, docs/registries.md#retry-after).

`RetryPolicy.repeat` repeats a request that failed, and a `Retrier` counts the attempts and waits between them:

* The statuses of `TEMPORARY`, among them 429, and most failures without a response are retried.  An error may allow
  fewer attempts than the limit (`ImgfetchError.tries`): one, for example, if it is another status, or a 429 that
  reports Docker Hub's pull limit without a ``Retry-After``.
* The limit is 5 attempts, or ``--retries`` plus one; at most 3 for a token (`imgfetch.auth.tokens.TOKEN_TRIES`), and 1
  at a mirror (`imgfetch.pull.client` for manifests, `imgfetch.pull.fetch` for blobs); others are asked meanwhile
  (`imgfetch.registry.route`).
* The pause is that of ``Retry-After``, if it is at least a second; if it exceeds ``--max-wait``, by default 60 s, there
  is no further attempt.  Otherwise it is 1 s after progress, or else 1, 2, 4, 8 s and so on up to 30 s, a quarter more
  or less, and never more than ``--max-wait``.
* The last error has the number of attempts.  An outer `repeat` raises it at once; only if the request was to resume a
  blob does another follow, from byte 0 (`imgfetch.pull.start`).

Only progress restarts the count: new bytes of a blob, as its caller reports and bounds them (`imgfetch.pull.start`).
Elapsed time is not progress: a silent server fails like any other.  Attempts that bring nothing have a time together,
without the pauses: `RetryPolicy.idle_limit`.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from email.utils import mktime_tz, parsedate_tz
from typing import TypeVar

from imgfetch.defaults import LONGEST_WAIT, MAX_WAIT, READ_TIMEOUT, RETRIES
from imgfetch.errors import OFTEN, ImgfetchError, RefusedError, UnavailableError, VerificationError
from imgfetch.text import ServerText

T = TypeVar("T")
Postpone = Callable[[float], object]

ANNOUNCED = 3.0
"""Seconds beyond which a wait, or the failed attempt before it, is reported."""

TEMPORARY = frozenset({408, 429, 499, 500, 502, 503, 504, *range(520, 525)})
"""The statuses after which a request is repeated."""
MAX_DIGITS = 12
"""Digits of a ``Retry-After`` that are read."""

NONE_LEFT = 0
"""The result of `Retrier.failed` for a failure after which only the caller's alternative is left."""

_LONGEST_PAUSE = 30.0
_RECONNECT = 1.0

_logger = logging.getLogger(__name__)


class RetryPolicy:
    """A run's limits for retries and pauses; thread-safe.

    Args:
        retries: attempts after the first one.
        max_wait: the longest pause in seconds; a longer ``Retry-After`` is an error.
        timeout: the longest time without data, in seconds.
        pause: waits some seconds or until `stop`; for tests.
    """

    def __init__(
        self,
        *,
        retries: int = RETRIES,
        max_wait: float = MAX_WAIT,
        timeout: float = READ_TIMEOUT,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.retries = retries
        self.max_wait = min(max_wait, LONGEST_WAIT)
        self.timeout = timeout
        self._stopped = threading.Event()
        self._given = pause
        self._pause = pause or self._stopped.wait

    def fresh(self) -> RetryPolicy:
        """Return a policy with the same limits for another run."""
        return RetryPolicy(retries=self.retries, max_wait=self.max_wait, timeout=self.timeout, pause=self._given)

    @property
    def idle_limit(self) -> float:
        """Return the seconds after which no attempt follows others that brought nothing: a timeout for each."""
        return (self.retries + 1) * max(self.timeout, READ_TIMEOUT)

    def stop(self) -> None:
        """End all current and future pauses."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        """Return whether retrying has ended."""
        return self._stopped.is_set()

    def repeat(self, request: Callable[[], T], limit: int | None = None, *, refused: int | None = None) -> T:
        """Return the result of a request, which is repeated after an error as long as there are attempts left.

        The arguments are those of `attempts`.  The last error is raised.
        """
        attempts = self.attempts(limit, refused=refused)
        while True:
            try:
                return request()
            except ImgfetchError as error:
                attempts.failed(error)

    def attempts(self, limit: int | None = None, *, refused: int | None = None) -> Retrier:
        """Return a counter for one operation with lower limits, ``refused`` if the server refuses the connection."""
        return Retrier(self, limit, refused)

    def wait(self, seconds: float) -> bool:
        """Wait, and return whether retrying may continue."""
        if not self.is_stopped:
            self._pause(seconds)
        return not self.is_stopped


class Retrier:
    """Counter of one operation's attempts, by kind of failure; `RetryPolicy.repeat` is the loop that uses it."""

    def __init__(self, retries: RetryPolicy, limit: int | None, refused: int | None) -> None:
        self._retries = retries
        self._limit = retries.retries + 1 if limit is None else min(limit, retries.retries + 1)
        self._refused = refused
        self._counts: Counter[type[ImgfetchError]] = Counter()
        self._all = 0
        self._idle = 0.0
        self._began = self._last = time.monotonic()

    def failed(
        self,
        error: ImgfetchError,
        *,
        progressed: bool = False,
        has_other: bool = False,
        is_idle: bool = True,
        postpone: Postpone | None = None,
    ) -> int:
        """Wait until the next attempt, and return the number of attempts left by the operation's limit.

        If the last attempt ``progressed``, the count restarts; if it brought nothing, it ``is_idle``.  If no further
        attempt makes sense, also because of the ``error``'s own limit, it is raised, with the number of attempts.  If
        the caller ``has_other`` means, the result is `NONE_LEFT` at once instead, and this failure is not counted.
        ``postpone`` takes the seconds until the next attempt instead of a wait here.
        """
        self._all += 1
        # Each kind of wrong content has a count: its bytes are not progress, and it is unrelated to other failures.
        kind = type(error) if isinstance(error, VerificationError) else ImgfetchError
        is_anew = kind is ImgfetchError and progressed
        count = 1 if is_anew else self._counts[kind] + 1
        limit = self._limit_after(error)
        wait = self._wait(error, count, is_anew=is_anew)
        took = time.monotonic() - self._last
        self._idle = self._idle + took if is_idle and not progressed else 0.0
        if count >= limit or wait is None or self._idle >= self._retries.idle_limit:
            if has_other and not self._retries.is_stopped:
                self._last += took
                return NONE_LEFT
            raise self._final(error)
        self._counts[kind] = count
        self._report(error, f"retrying in {wait:.0f} s (attempt {count + 1} of {limit})", wait)
        if postpone:
            postpone(wait)
        elif not self._retries.wait(wait):
            raise error
        self._last = time.monotonic() + (wait if postpone else 0.0)
        return self._limit - count

    def _report(self, error: ImgfetchError, plan: str, wait: float) -> None:
        """Report a failure: as a warning only if the delay is noticeable."""
        is_long = max(wait, time.monotonic() - self._last) > ANNOUNCED
        _logger.log(logging.WARNING if is_long else logging.INFO, "%s; %s", error, plan)

    def _limit_after(self, error: ImgfetchError) -> int:
        limit = self._limit if error.tries >= OFTEN else min(self._limit, error.tries)
        return min(limit, self._refused) if self._refused and isinstance(error, RefusedError) else limit

    def _wait(self, error: ImgfetchError, count: int, *, is_anew: bool) -> float | None:
        """Return the seconds until the next attempt, or ``None`` if ``Retry-After`` exceeds the limit."""
        asked = error.retry_after if isinstance(error, UnavailableError) else None
        if asked is not None and asked >= 1:
            return asked if asked <= self._retries.max_wait else None
        if is_anew:
            pause = _RECONNECT + random.uniform(0, 0.1)  # noqa: S311  # jitter, not a secret
        else:
            pause = min(_LONGEST_PAUSE, 2.0 ** (count - 1)) * random.uniform(0.75, 1.25)  # noqa: S311
        return min(pause, self._retries.max_wait)

    def _final(self, error: ImgfetchError) -> ImgfetchError:
        """Return the error with the number of attempts, not to be retried by an outer loop."""
        seconds = time.monotonic() - self._began
        within = f" in {seconds:.0f} s" if round(seconds) else ""
        tried = (f"Tried {self._all} times{within}.",) if self._all > 1 else ()
        return error.replace(details=(*error.details, *tried), tries=1)


def retry_after(header: ServerText, now: float | None = None) -> float | None:
    """Return the seconds of a ``Retry-After``, or ``None`` if it is absent, past or malformed.

    Source: RFC 9110, section 10.2.3: ``Retry-After = HTTP-date / delay-seconds``.  urllib3's own
    ``Retry.parse_retry_after`` raises an error for some malformed values, which would hide the response's, and returns
    0 for past dates.
    """
    text = header.as_sent.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= MAX_DIGITS else None
    with suppress(ValueError, OverflowError, TypeError, IndexError, AttributeError):
        date = parsedate_tz(text)
        seconds = mktime_tz(date) - (time.time() if now is None else now) if date else 0
        return seconds if seconds > 0 else None
    return None
