"""Downloads one blob from the first place that serves it, and resumes interrupted downloads.

Every attempt sends a new request to the registry, for the missing bytes only, because the last redirect's URL or the
token may have expired (docs/registries.md#expired-signed-urls).  `PartialBlob` accepts the missing bytes and the whole
blob alike.  A `Route` finds the place; a mirror gets one attempt, the upstream as many as the `RetryPolicy` and the
error allow: `imgfetch.pull.start` bounds their number.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial

from imgfetch.errors import ImgfetchError, ResumeError, StorageError, UnsupportedError, VerificationError
from imgfetch.http.retries import Postpone, RetryPolicy
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Body, Source
from imgfetch.pull.arrivals import Arrivals
from imgfetch.pull.crew import Crew
from imgfetch.pull.place import Mixture, Place
from imgfetch.pull.start import Start
from imgfetch.pull.team import Team
from imgfetch.registry.mirrored import Candidate, Mirrored
from imgfetch.registry.route import Asker, Entrant, Route
from imgfetch.registry.server import Server
from imgfetch.registry.stream import LeftError, MixedError, Stream
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
    crew: Crew | None = None,
    small: Descriptor | None = None,
    arrivals: Arrivals | None = None,
) -> LayerInfo | None:
    """Download the missing bytes of a claimed blob, verify all of it, and return the findings about a layer.

    The blob is of the image ``reference``, and is called ``what`` in messages; ``retries`` has the attempts at the
    upstream, whose last error is raised.  ``interrupted`` receives a sentence for each response that ends in the middle
    of the blob, if another request follows.  ``crew`` lets it come over several connections; ``small`` is another blob
    of the image, with which a mirror shows that its bytes are right; ``arrivals`` receives the bytes of pieces.
    """
    part.rehash()
    if part.size:
        _logger.info("%s: resuming at %d of %d bytes", what, part.size, part.descriptor.size)
    if part.is_full:  # an earlier run ended after the last byte
        with suppress(ResumeError):
            return part.finish()
    route = _route(source, reference, part, what, retries)
    with Mixture(arrivals) as mixture:
        while True:
            with route.open() as (entrant, body):
                if isinstance(body, Stream):
                    body.is_left = partial(route.is_left, entrant, part.descriptor.size)
                try:
                    others = [_place(each, small) for each in route.helpers(entrant)]
                    return _receive(part, body, entrant, mixture, crew=crew, others=others)
                except StorageError:  # of the store's disk
                    raise
                except ImgfetchError as error:
                    failure = error
            if isinstance(failure, MixedError):
                crew = None
            if retries.is_stopped:
                raise failure
            route.failed(entrant, failure)
            if route.has_next and not isinstance(failure, LeftError):
                place = f"{format_size(part.size)} of {format_size(part.descriptor.size)}"
                interrupted(f"{what}: interrupted at {place}, resuming ({failure})")


def _place(entrant: Entrant[Body], small: Descriptor | None = None) -> Place:
    """Return a place that sends pieces of a blob."""
    asker = entrant.asker
    if not isinstance(asker, _Asker):
        raise TypeError("a blob has askers of its own")
    return Place(entrant.server, asker.piece, partial(asker.check, small) if small else None)


def _receive(
    part: PartialBlob,
    body: Body,
    entrant: Entrant[Body],
    mixture: Mixture,
    *,
    crew: Crew | None,
    others: Sequence[Place],
) -> LayerInfo | None:
    """Receive a blob from one response, or from several if that is faster, and note that the place sent it rightly."""
    asker, server = entrant.asker, entrant.server
    if crew and isinstance(body, Stream) and isinstance(asker, _Asker) and asker.has_pieces(server, body, others):
        with Team(body, _place(entrant), part, crew, mixture, others=others) as team:
            return _receive_pieces(part, team, mixture)
    found = part.receive(body)
    server.sent(is_whole=body.start == 0)
    return found


def _receive_pieces(part: PartialBlob, team: Team, mixture: Mixture) -> LayerInfo | None:
    """Receive a blob that may come from several responses.

    Raises:
        MixedError: bytes of several responses do not match the descriptor; none are kept.
    """
    try:
        found = part.receive(team)
    except VerificationError as error:
        team.judge(is_right=False)
        if not mixture.is_mixed or part.is_full:
            raise
        mixture.limit_to_one(error)
        _logger.warning("%s; downloading it again over one connection", error)
        raise MixedError(str(error)) from error
    team.judge(is_right=True)
    return found


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

    def has_pieces(self, server: Server, answer: Stream, others: Sequence[Place]) -> bool:
        """Return whether the rest may come in pieces, if that is faster, from this place or from others too."""
        limits = server.connections.limits
        is_large = self.part.descriptor.size >= (min(limits.large, limits.shared) if others else limits.large)
        return is_large and not answer.codings and getattr(self.source, "has_pieces", False)

    def piece(self, offset: int, length: int) -> AbstractContextManager[Body]:
        """Open a piece."""
        if not getattr(self.source, "has_pieces", False):
            raise UnsupportedError("the source has no pieces")
        return self.source.blob(self.reference, self.part.descriptor, self.what, offset=offset, length=length)

    def check(self, small: Descriptor) -> None:
        """Let the place send a small blob, and raise an error if it is wrong."""
        what = f"the config of {self.reference}"
        with self.source.blob(self.reference, small, what) as body:
            content = b"".join(body.chunks(small.size + 1))
        if len(content) != small.size or Digest.of(content, small.digest.algorithm) != small.digest:
            raise VerificationError(f"{what} from {body.name} does not match the manifest")

    def answered(self, answer: Body) -> None:
        self._start.answered(answer.start)

    def failed(self, error: ImgfetchError, postpone: Postpone | None = None) -> None:
        self._start.failed(error, postpone)

    def begin_anew(self) -> None:
        self._start = Start(self.part, self.what, self.retries.attempts())
