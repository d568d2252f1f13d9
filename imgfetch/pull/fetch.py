"""Downloads one blob from the first place that serves it, and resumes interrupted downloads.

Every attempt sends a new request to the registry, for the missing bytes only, because the last redirect's URL or the
token may have expired (docs/registries.md#expired-signed-urls).  `PartialBlob` accepts the missing bytes and the whole
blob alike.  A `Route` finds the place; a mirror gets one attempt, the upstream as many as the `RetryPolicy` and the
error allow: `imgfetch.pull.start` bounds their number.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial

from imgfetch.errors import ImgfetchError, ResumeError, StorageError
from imgfetch.http.retries import Postpone, RetryPolicy
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Body, Source
from imgfetch.pull.start import Start
from imgfetch.registry.mirrored import Candidate, Mirrored
from imgfetch.registry.route import Asker, Entrant, Route
from imgfetch.registry.server import Server
from imgfetch.registry.stream import LeftError, Stream
from imgfetch.store.partial import PartialBlob
from imgfetch.text import format_size

_logger = logging.getLogger(__name__)


def receive(
    source: Source,
    reference: Reference,
    part: PartialBlob,
    what: str,
    *,
    retries: RetryPolicy,
    interrupted: Callable[[str], None] = lambda _: None,
) -> LayerInfo | None:
    """Download the missing bytes of a claimed blob, verify all of it, and return the findings about a layer.

    The blob is of the image ``reference``, and is called ``what`` in messages; ``retries`` has the attempts at the
    upstream, whose last error is raised.  ``interrupted`` receives a sentence for each response that ends in the middle
    of the blob, if another request follows.
    """
    part.rehash()
    if part.size:
        _logger.info("%s: resuming at %d of %d bytes", what, part.size, part.descriptor.size)
    if part.is_full:  # an earlier run ended after the last byte
        with suppress(ResumeError):
            return part.finish()
    route = _route(source, reference, part, what, retries)
    while True:
        with route.open() as (entrant, body):
            if isinstance(body, Stream):
                body.is_left = partial(route.is_left, entrant, part.descriptor.size)
            try:
                return part.receive(body)
            except StorageError:  # of the store's disk
                raise
            except ImgfetchError as error:
                failure = error
        if retries.is_stopped:
            raise failure
        route.failed(entrant, failure)
        if route.has_next and not isinstance(failure, LeftError):
            place = f"{format_size(part.size)} of {format_size(part.descriptor.size)}"
            interrupted(f"{what}: interrupted at {place}, resuming ({failure})")


def _route(source: Source, reference: Reference, part: PartialBlob, what: str, retries: RetryPolicy) -> Route[Body]:
    def asker(source: Source) -> _Asker:
        return _Asker(source, reference, part, what, retries)

    if isinstance(source, Mirrored):
        return source.route(reference, asker)
    return Route((), Entrant(Server(), asker(source)))


@dataclass(eq=False)
class _Asker(Asker[Body]):
    """The requests for a blob at one place."""

    source: Source
    reference: Reference
    part: PartialBlob
    what: str
    retries: RetryPolicy

    def __post_init__(self) -> None:
        is_mirror = isinstance(self.source, Candidate) and self.source.endpoint.is_mirror
        self._start = Start(self.part, self.what, self.retries.attempts(1 if is_mirror else None))

    def request(self) -> Callable[[], AbstractContextManager[Body]]:
        offset = self._start.next()
        return lambda: self.source.blob(self.reference, self.part.descriptor, self.what, offset=offset)

    def answered(self, answer: Body) -> None:
        self._start.answered(answer.start)

    def failed(self, error: ImgfetchError, postpone: Postpone | None = None) -> None:
        self._start.failed(error, postpone)

    def begin_anew(self) -> None:
        self._start = Start(self.part, self.what, self.retries.attempts())
