"""The search for a place that sends a manifest or a blob.

The rule (docs/registries.md#mirror-failures):

* Mirrors are asked in order.  One that has sent no byte after `Limits.first_byte` is raced by the next one.
* The registry itself is asked when all mirrors have failed, or have sent nothing for `Limits.upstream`.
* An ill mirror is skipped, or tried beside the next place; one that was overtaken while it was silent is ill.
* With one request at a time, each place is asked when the one before has failed.

Only the upstream's last error is raised.  A mirror's failure is a warning, and a note on that error.  If the upstream
cannot be reached, the mirrors that were skipped or interrupted are asked once more, because nothing else is left.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Generic, NamedTuple, Protocol, TypeVar

from imgfetch.errors import ImgfetchError, TransportError
from imgfetch.http.retries import Postpone
from imgfetch.registry.optional import Question
from imgfetch.registry.race import Race, Races, Runner
from imgfetch.registry.server import LIMITS, Limits, Server, is_outage
from imgfetch.registry.stream import AloneError, LeftError
from imgfetch.text import format_size

T = TypeVar("T")

_logger = logging.getLogger(__name__)


class Asker(Protocol[T]):
    """The requests for one thing at one place."""

    def request(self) -> Callable[[], AbstractContextManager[T]]:
        """Return a function that sends the next request, perhaps in another thread, and waits for the first bytes."""

    def answered(self, answer: T) -> None:
        """Take the answer that is used."""

    def failed(self, error: ImgfetchError, postpone: Postpone | None = None) -> None:
        """Prepare the next request after a failure, or raise the error if there is none.

        ``postpone`` takes the seconds until that request; otherwise they pass here.
        """

    def begin_anew(self) -> None:
        """Have all the attempts that the upstream has."""


class Entrant(NamedTuple, Generic[T]):
    """A place on a route."""

    server: Server
    asker: Asker[T]


class Route(Generic[T]):
    """The places that may have one thing, for one thread."""

    def __init__(
        self,
        mirrors: Sequence[Entrant[T]],
        upstream: Entrant[T],
        *,
        races: Races | None = None,
        limits: Limits = LIMITS,
        is_optional: bool = False,
    ) -> None:
        """Take the mirrors that are not ill, in order, and the upstream; a mirror may lack something optional."""
        self._question = Question(upstream.server) if is_optional and mirrors else None
        self._upstream = upstream
        self._all_mirrors = tuple(mirrors)
        self._error: ImgfetchError | None = self._question.known_failure() if self._question else None
        self._is_upstream_waiting = self._error is None
        self._upstream_from = 0.0
        self._races = races or Races()
        self._limits = limits
        self._trials = {each.server for each in mirrors if each.server.is_ill and each.server.may_try()}
        self._mirrors = [each for each in mirrors if not each.server.is_ill or each.server in self._trials]
        self._skipped = [each for each in mirrors if each not in self._mirrors]
        self._failures = [each.server.failure for each in self._skipped]
        self._undecided: dict[Entrant[T], ImgfetchError] = {}
        self._answered: set[Entrant[T]] = set()
        self._is_last_resort = False
        self._left: set[Server] = set()
        if self._mirrors and (faster := self._faster_than(self._mirrors[0].server, joins=True)):
            self._prefer(faster)

    @contextmanager
    def open(self) -> Iterator[tuple[Entrant[T], T]]:
        """Yield the first answer, and the place from which it comes.

        Raises:
            ImgfetchError: the upstream's error, if no place is left.
        """
        with self._races.begin() as race:
            runner = self._winner(race)
        try:
            yield runner.who, runner.answer
        finally:
            runner.close()

    def failed(
        self, entrant: Entrant[T], error: BaseException, seconds: float = 0.0, *, is_racing: bool = False
    ) -> None:
        """Take the failure of a request, perhaps after some seconds without a byte or in the middle of a blob.

        The upstream's pause passes here, unless other places are asked meanwhile.
        """
        if self._races.is_stopped or not isinstance(error, ImgfetchError):
            raise error
        if isinstance(error, AloneError):
            self._ask_again(entrant)
            return
        if isinstance(error, LeftError):
            self._mirrors.append(entrant)
            return
        if entrant is self._upstream:
            self._is_upstream_waiting = self._has_another(entrant, error, self._postpone if is_racing else None)
            return
        if self._question:
            self._question.mirror_failed(error)
        is_silent = seconds >= self._limits.first_byte and is_outage(error)
        self._report(entrant.server, error, "trying the next source", is_silent=is_silent)
        self._undecided[entrant] = error
        (self._skipped if is_silent and not self._is_last_resort else self._mirrors).append(entrant)

    def _ask_again(self, entrant: Entrant[T]) -> None:
        """Ask the same place next."""
        if entrant is self._upstream:
            self._is_upstream_waiting = True
        else:
            self._mirrors.insert(0, entrant)

    def _postpone(self, seconds: float) -> None:
        self._upstream_from = time.monotonic() + seconds

    def _has_another(self, entrant: Entrant[T], error: ImgfetchError, postpone: Postpone | None = None) -> bool:
        """Return whether there is another request after a failure."""
        try:
            entrant.asker.failed(error, postpone)
        except ImgfetchError as final:
            if entrant is self._upstream:
                self._error = final
                if self._question:
                    self._question.upstream_failed(final)
            elif entrant in self._answered and is_outage(final):
                self._skipped.append(entrant)
            return False
        return True

    @property
    def has_next(self) -> bool:
        """Return whether a place is left to be asked."""
        return bool(self._mirrors) or self._is_upstream_waiting

    def helpers(self, entrant: Entrant[T]) -> list[Entrant[T]]:
        """Return the other mirrors that may have parts of what a mirror sends."""
        if entrant is self._upstream:
            return []
        return [each for each in self._all_mirrors if each.server is not entrant.server and each not in self._undecided]

    def is_left(self, entrant: Entrant[T], size: int, count: int) -> bool:
        """Return whether the rest of a blob, after ``count`` bytes, is to be requested from a faster mirror."""
        server = entrant.server
        if entrant is self._upstream or server in self._left or server.seconds_for(size - count) <= self._limits.worth:
            return False
        if faster := self._faster_than(server):
            self._left.add(server)
            self._prefer(faster)
            if self._is_slow(server, faster):
                self._warn_of_slowness(server, "slow", f"trying {faster.name}")
            else:
                _logger.info("%s has several downloads: trying %s", server.name, faster.name)
        elif server.slow_for >= self._limits.slow_for:
            plan = "no other mirror is faster; the registry itself may be, with --no-mirror"
            self._warn_of_slowness(server, "kept", plan)
        return faster is not None

    def _winner(self, race: Race[Entrant[T], T]) -> Runner[Entrant[T], T]:
        """Ask one place after the other, until one answers."""
        began = time.monotonic()
        while True:
            mirror, upstream = self._waits(race, time.monotonic() - began)
            runner = race.take(min(mirror, upstream))
            if runner and runner.error is None:
                self._judge(runner.who, race)
                runner.who.asker.answered(runner.answer)
                return runner
            if runner and runner.error:
                self.failed(runner.who, runner.error, runner.seconds, is_racing=bool(race.running))
            elif self._is_upstream_waiting and upstream <= 0:
                self._is_upstream_waiting = False
                self._ask(self._upstream, race)
            elif self._mirrors and mirror <= 0:
                self._ask(self._mirrors.pop(0), race)
            elif not (race.running or self._is_upstream_waiting):
                self._start_over()

    def _waits(self, race: Race[Entrant[T], T], seconds: float) -> tuple[float, float]:
        """Return the time until the next mirror is asked, and until the upstream is, ``seconds`` after the start."""
        is_idle = all(runner.who.server in self._trials for runner in race.running)
        if is_idle and self._mirrors:
            return 0.0, math.inf
        pause = max(0.0, self._upstream_from - time.monotonic())
        if is_idle and (self._is_upstream_waiting or not race.running):
            return math.inf, pause
        mirror = max(0.0, self._limits.first_byte - race.running[-1].seconds) if self._mirrors else math.inf
        upstream = max(pause, self._limits.upstream - seconds) if self._is_upstream_waiting else math.inf
        return mirror, upstream

    def _ask(self, entrant: Entrant[T], race: Race[Entrant[T], T]) -> None:
        error = self._undecided.pop(entrant, None)
        if error and not self._has_another(entrant, error):
            return
        is_last = not (race.running or self._mirrors or self._is_upstream_waiting)
        race.start(entrant, entrant.asker.request(), is_alone=is_last)

    def _judge(self, winner: Entrant[T], race: Race[Entrant[T], T]) -> None:
        """Decide about the places that the winner overtook."""
        winner.server.answered()
        if winner is not self._upstream:
            self._answered.add(winner)
        for runner in reversed(race.running):
            if runner.who is self._upstream:
                self._is_upstream_waiting = True
            elif runner.seconds >= self._limits.first_byte:
                silence = TransportError(f"sent nothing for {runner.seconds:.1f} s")
                self._report(runner.who.server, silence, f"continuing with {winner.server.name}", is_silent=True)
                self._skipped.append(runner.who)
            else:
                self._mirrors.insert(0, runner.who)

    def _start_over(self) -> None:
        """Ask the mirrors that were skipped or interrupted, if the upstream cannot be reached, or raise its error."""
        if self._error is None:
            raise AssertionError("the upstream is asked before its error is raised")
        if self._question:
            self._question.require_upstream(self._error)
        if self._is_last_resort or not self._skipped or not is_outage(self._error):
            for failure in dict.fromkeys(self._failures):
                self._error.add_note(failure)
            raise self._error
        self._is_last_resort = True
        self._mirrors, self._skipped = self._skipped, []
        for each in self._answered:
            self._undecided.pop(each, None)
            each.asker.begin_anew()

    def _faster_than(self, server: Server, *, joins: bool = False) -> Server | None:
        """Return a mirror that is, or may be, better for a download there, or for one that ``joins``."""
        others = [each.server for each in self._mirrors if each.server is not server]
        factor = self._limits.better if joins or server.is_shared else self._limits.faster
        return server.faster_one(others, lambda other: 1.0 if other in self._left else factor, joins=joins)

    def _prefer(self, server: Server) -> None:
        """Ask a mirror before the others."""
        self._mirrors.sort(key=lambda each: each.server is not server)

    def _report(self, server: Server, error: ImgfetchError, plan: str, *, is_silent: bool) -> None:
        """Note the failure of a mirror; warn once that it is ill, and once that it lacks something."""
        server.failed(error)
        if is_silent and self._races.is_serial:
            server.give_up()
        cause = f" ({error.__cause__})" if isinstance(error.__cause__, ImgfetchError) else ""
        server.failure = f"{server.name}: {error}{cause}"
        self._failures.append(server.failure)
        is_expected = self._question is not None and not is_outage(error)
        is_new = not is_expected and server.is_news("illness" if server.is_ill else "failure")
        _logger.log(logging.WARNING if is_new else logging.INFO, "%s; %s", server.failure, plan)

    def _is_slow(self, server: Server, faster: Server) -> bool:
        """Return whether a mirror is slow in itself."""
        rate = server.rate or 0.0
        return rate < self._limits.slow or (faster.rate or 0.0) >= self._limits.faster * rate

    def _warn_of_slowness(self, server: Server, topic: str, plan: str) -> None:
        if server.is_news(topic):
            _logger.warning("%s is slow (%s/s): %s", server.name, format_size(int(server.rate or 0)), plan)
