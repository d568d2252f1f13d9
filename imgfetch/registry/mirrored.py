"""A registry and its mirrors as one source.

`Mirrors.endpoints` lists them, and a `Route` searches them (docs/registries.md#mirror-failures):

* A mirror for digests only is never used to resolve a tag.
* A mirror's manifest is checked before it is returned: it must have the requested digest, or under a tag be a manifest
  or an index.  The caller verifies the upstream's manifest, as with any registry.
* A mirror receives the image's name there, and only credentials for its own host
  (docs/registries.md#mirror-credentials).  Messages have the user's name of the image.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar, runtime_checkable

from imgfetch.errors import ImgfetchError, TransportError, UnsupportedError
from imgfetch.http.ratelimit import RateLimit, Share
from imgfetch.http.retries import Postpone
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import parse_document, wrong_digest
from imgfetch.oci.reference import Reference
from imgfetch.oci.referrers import is_of_referrers, list_tag
from imgfetch.oci.source import Body, Source
from imgfetch.registry.endpoints import Endpoint
from imgfetch.registry.mirror_rules import Mirrors
from imgfetch.registry.optional import LacksError
from imgfetch.registry.race import Races
from imgfetch.registry.route import Asker, Entrant, Route
from imgfetch.registry.server import LIMITS, Limits, Server
from imgfetch.registry.stream import Stream
from imgfetch.tolerance import Tolerance

T = TypeVar("T")


@runtime_checkable
class Listing(Protocol):
    """A source that lists tags too, such as a `Registry`."""

    pulls_left: int | None
    """The number of pulls left, if it is known."""

    def tags(self, reference: Reference, *, label: str = "") -> Iterator[str]:
        """Yield the tags of a repository; ``label`` is the list's name in messages."""


@runtime_checkable
class Referring(Protocol):
    """A source that lists the referrers of manifests, such as a `Registry`."""

    def referrers(self, reference: Reference, digest: Digest, *, label: str = "") -> tuple[Descriptor, ...] | None:
        """Return the entries of the list, or ``None`` if there are no such lists; ``label`` is for messages."""


class Mirrored(Source):
    """Registries and their mirrors as one source.  Several threads may use it.

    Its methods raise the upstream's error, or an `UnsupportedError` for an image that the configuration blocks.
    """

    def __init__(
        self,
        mirrors: Mirrors,
        open_endpoint: Callable[[Endpoint], Source],
        *,
        is_serial: bool = False,
        limits: Limits = LIMITS,
        rate_limit: RateLimit | None = None,
    ) -> None:
        """Take the mirrors, and a function that opens a registry at its first request; its owner closes it.

        ``is_serial`` sends one request at a time for each manifest or blob.  ``rate_limit`` is that of its registries.
        """
        self._mirrors = mirrors
        self._open_endpoint = open_endpoint
        self._opened: dict[Endpoint, Source] = {}
        self._servers: dict[Endpoint, Server] = {}
        self._races = Races(is_serial=is_serial)
        self._limits = limits
        self._documents = Share(rate_limit or RateLimit())
        self._lock = threading.Lock()

    def abort(self) -> None:
        """End every read, and send no more requests."""
        self._races.stop()
        self._documents.end()
        with self._lock:
            opened = tuple(self._opened.values())
        for source in opened:
            source.abort()

    def manifest(self, reference: Reference, *, label: str = "") -> Document:
        """Return the manifest or index that ``reference`` points at, which messages call ``label``."""
        return self._first(reference, lambda candidate: candidate.manifest(reference, label=label))

    def resolve(self, reference: Reference, *, label: str = "") -> Digest | Document:
        """Return the digest or the document that ``reference`` points at, from the place that `manifest` asks."""
        return self._first(reference, lambda candidate: candidate.resolve(reference, label=label))

    def referrers(self, reference: Reference, digest: Digest, *, label: str = "") -> tuple[Descriptor, ...] | None:
        """Return the list of a manifest's referrers, or ``None`` without such lists.

        A mirror's list counts unless it is empty, because a mirror may not fetch what its upstream lists.
        """
        repository = replace(reference, tag=list_tag(digest), digest=None)
        return self._first(repository, lambda candidate: candidate.referrers(reference, digest, label=label))

    def _first(self, reference: Reference, ask: Callable[[Candidate], T]) -> T:
        """Return the answer of the first mirror that has one and may resolve the reference, or the upstream's."""
        self._documents.await_others()  # before the race, in which the pause would look like a silent server
        route = self.route(reference, lambda candidate: _Question(candidate, ask), resolves=reference.digest is None)
        with route.open() as (_, answer):
            return answer

    @contextmanager
    def blob(
        self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0, length: int | None = None
    ) -> Iterator[Body]:
        """Open a blob at the upstream."""
        with self._candidates(reference)[-1].blob(reference, descriptor, what, offset=offset, length=length) as body:
            yield body

    def piece(self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int, length: int) -> bytes:
        """Return some bytes of a blob from the first mirror that is well, or from the upstream without any.

        Raises:
            UnsupportedError: it has no pieces.
        """
        *mirrors, upstream = self._candidates(reference)
        candidate = next((mirror for mirror in mirrors if not mirror.server.is_ill), upstream)
        if not candidate.has_pieces:
            raise UnsupportedError(f"{candidate.server.name} has no pieces")
        return candidate.piece(reference, descriptor, what, offset=offset, length=length)

    def route(
        self, reference: Reference, asker: Callable[[Candidate], Asker[T]], *, resolves: bool = False
    ) -> Route[T]:
        """Return the search for something of an image; ``resolves`` leaves out the mirrors for digests only."""
        found = [
            Entrant(each.server, asker(each))
            for each in self._candidates(reference)
            if not (resolves and each.endpoint.by_digest_only)
        ]
        if not found:
            raise UnsupportedError(f"the configuration allows no place to resolve the tag of {reference}")
        *mirrors, upstream = found
        is_optional = resolves and is_of_referrers(reference.tag or "")
        return Route(mirrors, upstream, races=self._races, limits=self._limits, is_optional=is_optional)

    def _candidates(self, reference: Reference) -> list[Candidate]:
        return [Candidate(self, endpoint, self._server(endpoint)) for endpoint in self._mirrors.endpoints(reference)]

    def _server(self, endpoint: Endpoint) -> Server:
        name = f"mirror {endpoint.registry}" if endpoint.is_mirror else endpoint.registry
        with self._lock:
            return self._servers.setdefault(_anywhere(endpoint), Server(name, self._limits))

    @property
    def received(self) -> dict[str, int]:
        """The bytes of blobs by the mirrors and registries that sent them, if an image has mirrors."""
        with self._lock:
            servers = list(self._servers.items())
        if not any(endpoint.is_mirror for endpoint, _ in servers):
            return {}
        received: Counter[str] = Counter()
        for _, server in servers:
            received[server.name] += server.received
        return dict(received)

    def tags(self, reference: Reference) -> Iterator[str]:
        """Yield the tags of a repository at the upstream, because a mirror may have only some."""
        *mirrors, upstream = self._mirrors.endpoints(reference)
        registry = self.open(upstream)
        if not isinstance(registry, Listing):
            raise UnsupportedError(f"{reference.registry} cannot list tags")
        try:
            yield from registry.tags(upstream.renamed(reference), label=f"the list of tags of {reference.name}")
        except TransportError as error:
            if not mirrors:
                raise
            listed = mirrors[0].renamed(reference).name
            hint = (
                f"mirrors are not asked, because they may have only some tags; for those of one: imgfetch tags {listed}"
            )
            raise error.replace(hint=hint) from error.__cause__

    @property
    def pulls_left(self) -> dict[str, int]:
        """The numbers of pulls left, by the registries and mirrors that report them."""
        with self._lock:
            opened = {endpoint.registry: source for endpoint, source in self._opened.items()}
        left = {name: source.pulls_left for name, source in opened.items() if isinstance(source, Listing)}
        return {name: count for name, count in left.items() if count is not None}

    def open(self, endpoint: Endpoint) -> Source:
        """Return the registry at an endpoint, opened at its first request and never after `abort`."""
        anywhere = _anywhere(endpoint)
        with self._lock:
            if self._races.is_stopped:
                raise TransportError("stopped because another download failed")
            if anywhere not in self._opened:
                self._opened[anywhere] = self._open_endpoint(endpoint)
            return self._opened[anywhere]


@dataclass(eq=False, repr=False)
class Candidate(Source):
    """A registry or mirror as the source of one image."""

    mirrored: Mirrored
    endpoint: Endpoint
    server: Server

    def manifest(self, reference: Reference, *, label: str = "") -> Document:
        """Return a manifest; that of a mirror is checked."""
        source, there, label = self._asked(reference, label)
        return self._checked(source.manifest(there, label=label), reference)

    def resolve(self, reference: Reference, *, label: str = "") -> Digest | Document:
        """Return a digest or a manifest; a mirror's manifest is checked."""
        source, there, label = self._asked(reference, label)
        found = source.resolve(there, label=label)
        return found if isinstance(found, Digest) else self._checked(found, reference)

    def referrers(self, reference: Reference, digest: Digest, *, label: str = "") -> tuple[Descriptor, ...] | None:
        """Return the list of a manifest's referrers, or ``None`` without such lists.

        Raises:
            LacksError: this is a mirror, and its list is missing or empty.
        """
        source = self.mirrored.open(self.endpoint)
        label = label or f"the list of referrers of {reference.name}@{digest}"
        listed = (
            source.referrers(self.endpoint.renamed(reference), digest, label=label)
            if isinstance(source, Referring)
            else None
        )
        if self.endpoint.is_mirror and not listed:
            raise LacksError(f"{self.server.name} lists no referrers of {reference.name}@{digest}")
        return listed

    def _asked(self, reference: Reference, label: str) -> tuple[Source, Reference, str]:
        """Return the source, the image's name there, and the name of its manifest in messages."""
        there = self.endpoint.renamed(reference)
        if there != reference:
            label = label or f"the manifest of {reference}"
        return self.mirrored.open(self.endpoint), there, label

    def _checked(self, document: Document, reference: Reference) -> Document:
        if self.endpoint.is_mirror:
            _check(document, reference)
        return document

    @contextmanager
    def blob(
        self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0, length: int | None = None
    ) -> Iterator[Stream]:
        """Open a blob, and wait for its first bytes."""
        source, there = self.mirrored.open(self.endpoint), self.endpoint.renamed(reference)
        with ExitStack() as stack:
            if length is None:
                body = stack.enter_context(source.blob(there, descriptor, what, offset=offset))
                stack.enter_context(self.server.download())
            else:
                body = stack.enter_context(source.blob(there, descriptor, what, offset=offset, length=length))
            yield Stream(body, self.server, stack.close)

    @property
    def has_pieces(self) -> bool:  # type: ignore[override]  # not a setting here
        """Return whether the source there has pieces."""
        return getattr(self.mirrored.open(self.endpoint), "has_pieces", False)

    def abort(self) -> None:
        """End every read everywhere."""
        self.mirrored.abort()


@dataclass(frozen=True, eq=False)
class _Question(Asker[T]):
    """A request for a document or a digest at one place."""

    candidate: Candidate
    ask: Callable[[Candidate], T]

    def request(self) -> Callable[[], AbstractContextManager[T]]:
        return lambda: nullcontext(self.ask(self.candidate))

    def answered(self, answer: T) -> None:
        pass

    def failed(self, error: ImgfetchError, postpone: Postpone | None = None) -> None:  # noqa: ARG002  # as in `Asker`
        raise error

    def begin_anew(self) -> None:
        pass


def _anywhere(endpoint: Endpoint) -> Endpoint:
    """Return the registry of an endpoint, without an image."""
    return endpoint._replace(repository="", by_digest_only=False)


def _check(document: Document, reference: Reference) -> None:
    """Refuse a document with another digest than the requested one, or under a tag one that describes no image."""
    what = f"the manifest of {reference}"
    digest = Digest.of(document.raw, reference.digest.algorithm if reference.digest else "sha256")
    if reference.digest is None:
        parse_document(document, Descriptor("", digest, len(document.raw)), what, Tolerance())
    elif digest != reference.digest:
        raise wrong_digest(document, reference.digest, digest, what)
