"""A registry and its mirrors as one source, which tries them one after the other.

`Mirrors.endpoints` lists them (docs/registries.md#mirror-failures):

* The upstream is tried last, and only its error is raised.  A mirror's error is a warning, and a note on that error.
* A mirror for digests only is never used to resolve a tag.
* A mirror's manifest is checked before it is returned: it must have the requested digest, or under a tag be a manifest
  or an index.  The caller verifies the upstream's manifest, as with any registry.
* Each blob begins with the first mirror again: a mirror that lacks a blob, or sends other bytes, is skipped for that
  blob.  The next one resumes an interrupted download.
* A mirror receives the image's name there, and only credentials for its own host
  (docs/registries.md#mirror-credentials).  Messages have the user's name of the image.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from imgfetch.errors import ImgfetchError, StorageError, TransportError, UnsupportedError, VerificationError
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import parse_document
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Body, Source
from imgfetch.registry.endpoints import Endpoint
from imgfetch.registry.mirror_rules import Mirrors
from imgfetch.tolerance import Tolerance

T = TypeVar("T")

_logger = logging.getLogger(__name__)


@runtime_checkable
class Listing(Protocol):
    """A source that lists tags too, such as a `Registry`."""

    pulls_left: int | None
    """The number of pulls left, if it is known."""

    def tags(self, reference: Reference, *, label: str = "") -> Iterator[str]:
        """Yield the tags of a repository; ``label`` is the list's name in messages."""


class Mirrored(Source):
    """Registries and their mirrors as one source.  Several threads may use it.

    Its methods raise the upstream's error, or an `UnsupportedError` for an image that the configuration blocks.
    """

    def __init__(self, mirrors: Mirrors, open_endpoint: Callable[[Endpoint], Source]) -> None:
        """Take the mirrors, and a function that opens a registry at its first request; its owner closes it."""
        self._mirrors = mirrors
        self._open_endpoint = open_endpoint
        self._opened: dict[Endpoint, Source] = {}
        self._told: set[str] = set()
        self._is_aborted = False
        self._lock = threading.Lock()

    def abort(self) -> None:
        """End every read, and send no more requests."""
        with self._lock:
            self._is_aborted = True
            opened = tuple(self._opened.values())
        for source in opened:
            source.abort()

    def manifest(self, reference: Reference, *, label: str = "") -> Document:
        """Return the manifest or index that ``reference`` points at, which messages call ``label``."""
        return self._first(reference, lambda place: place.manifest(reference, label=label))

    def resolve(self, reference: Reference, *, label: str = "") -> Digest | Document:
        """Return the digest or the document that ``reference`` points at, from the place that `manifest` asks."""
        return self._first(reference, lambda place: place.resolve(reference, label=label))

    def _first(self, reference: Reference, ask: Callable[[Source], T]) -> T:
        """Return the answer of the first mirror that has one and may resolve the reference, or the upstream's."""
        *mirrors, upstream = self.mirrors(reference)
        for mirror in mirrors:
            if reference.digest or not mirror.endpoint.by_digest_only:
                with suppress(ImgfetchError):  # the mirror has reported it
                    return ask(mirror)
        return ask(upstream)

    @contextmanager
    def blob(self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0) -> Iterator[Body]:
        """Open a blob at the upstream, the last of `mirrors`."""
        with self.mirrors(reference)[-1].blob(reference, descriptor, what, offset=offset) as body:
            yield body

    def mirrors(self, reference: Reference) -> tuple[_Candidate, ...]:
        """Return the mirrors of an image, and last the upstream."""
        failures: list[str] = []
        return tuple(_Candidate(self, endpoint, failures) for endpoint in self._mirrors.endpoints(reference))

    def tags(self, reference: Reference) -> Iterator[str]:
        """Yield the tags of a repository at the upstream, because a mirror may have only some."""
        upstream = self._mirrors.endpoints(reference)[-1]
        registry = self.open(upstream)
        if not isinstance(registry, Listing):
            raise UnsupportedError(f"{reference.registry} cannot list tags")
        yield from registry.tags(upstream.renamed(reference), label=f"the list of tags of {reference.name}")

    @property
    def pulls_left(self) -> dict[str, int]:
        """The numbers of pulls left, by the registries and mirrors that report them."""
        with self._lock:
            opened = {endpoint.registry: source for endpoint, source in self._opened.items()}
        left = {name: source.pulls_left for name, source in opened.items() if isinstance(source, Listing)}
        return {name: count for name, count in left.items() if count is not None}

    def open(self, endpoint: Endpoint) -> Source:
        """Return the registry at an endpoint, opened at its first request and never after `abort`."""
        anywhere = endpoint._replace(repository="", by_digest_only=False)
        with self._lock:
            if self._is_aborted:
                raise TransportError("stopped because another download failed")
            if anywhere not in self._opened:
                self._opened[anywhere] = self._open_endpoint(endpoint)
            return self._opened[anywhere]

    def report(self, failure: str) -> None:
        """Warn once of a mirror's failure, and not of reads that `abort` ends."""
        with self._lock:
            is_new = not self._is_aborted and failure not in self._told
            self._told.add(failure)
        if is_new:
            _logger.warning("%s; trying the next source", failure)


@dataclass(eq=False, repr=False)
class _Candidate(Source):
    """A registry or mirror as the source of one image.

    A mirror's error is reported before it is raised, because the caller tries the next candidate then.  The upstream's
    error gets the mirrors' failures as notes.
    """

    mirrored: Mirrored
    endpoint: Endpoint
    failures: list[str]

    def manifest(self, reference: Reference, *, label: str = "") -> Document:
        with self._noting():
            source, there, label = self._asked(reference, label)
            return self._checked(source.manifest(there, label=label), reference)

    def resolve(self, reference: Reference, *, label: str = "") -> Digest | Document:
        with self._noting():
            source, there, label = self._asked(reference, label)
            found = source.resolve(there, label=label)
            return found if isinstance(found, Digest) else self._checked(found, reference)

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
    def blob(self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0) -> Iterator[Body]:
        with ExitStack() as stack:
            with self._noting():
                source, there = self.mirrored.open(self.endpoint), self.endpoint.renamed(reference)
                body = stack.enter_context(source.blob(there, descriptor, what, offset=offset))
            with self._noting(local_errors=StorageError):  # an error of the disk to which the body is written
                yield body

    def abort(self) -> None:
        self.mirrored.abort()

    @contextmanager
    def _noting(self, local_errors: type[ImgfetchError] | tuple[()] = ()) -> Iterator[None]:
        """Report a mirror's error, or add the mirrors' failures to the upstream's; pass ``local_errors`` unchanged."""
        try:
            yield
        except ImgfetchError as error:
            if isinstance(error, local_errors):
                pass
            elif self.endpoint.is_mirror:
                cause = f" ({error.__cause__})" if isinstance(error.__cause__, ImgfetchError) else ""
                self.failures.append(f"mirror {self.endpoint.registry}: {error}{cause}")
                self.mirrored.report(self.failures[-1])
            else:
                for failure in self.failures:
                    if failure not in getattr(error, "__notes__", ()):
                        error.add_note(failure)
            raise


def _check(document: Document, reference: Reference) -> None:
    """Refuse a document with another digest than the requested one, or under a tag one that describes no image."""
    what = f"the manifest of {reference}"
    digest = Digest.of(document.raw, reference.digest.algorithm if reference.digest else "sha256")
    if reference.digest is None:
        parse_document(document, Descriptor("", digest, len(document.raw)), what, Tolerance())
    elif digest != reference.digest:
        raise VerificationError(f"{what} has the wrong digest", wanted=str(reference.digest), got=str(digest))
