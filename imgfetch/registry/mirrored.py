"""A registry and its mirrors as one source, which asks them one after the other.

`Mirrors.endpoints` lists them (P82 to P85):

* The upstream is asked last, and only its error is raised.  A mirror's error is a warning, and a note on that error.
* A mirror for digests only is not asked what a tag means.
* A mirror's manifest is checked before it is passed on: under a digest it must have that, under a tag be a manifest or
  an index.  The upstream's is for the caller to verify, as with any registry.
* Each blob begins with the first mirror again: one that lacks a blob, or sends something else, is skipped for that.
  What it sent before it broke off is resumed at the next.
* A registry is told the name that the image has there, while messages have the user's.  The login for it is found by
  its own host (S09), for it is a registry of its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace

from imgfetch.defaults import CONNECT_TIMEOUT
from imgfetch.errors import ImgfetchError, StorageError, TransportError, UnsupportedError, VerificationError
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import parse_document
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Body, Source
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.client import Registry
from imgfetch.registry.mirror_rules import Endpoint, Mirrors
from imgfetch.tolerance import Tolerance

_MIRROR_CONNECT_TIMEOUT = 5.0
"""Seconds for a connection to a mirror, for there is somebody else to ask (P08)."""

_logger = logging.getLogger(__name__)


def open_source(
    stack: ExitStack,
    access: RegistryConfig,
    *,
    tolerance: Tolerance,
    patience: RetryPolicy,
    timeout: float,
    open_registry: Callable[[str], Source] | None = None,
) -> Mirrored:
    """Return a source of all registries and their mirrors, each of which is opened when it is asked first.

    Args:
        stack: closes what was opened.
        access: logins, certificates, proxies and mirrors.
        tolerance: told of what is tolerated.
        patience: how often and how long to try.
        timeout: seconds between two bytes at most.
        open_registry: opens the registry of a name; by default a `Registry`.
    """

    def open_endpoint(endpoint: Endpoint) -> Source:
        if open_registry is not None:
            return open_registry(endpoint.registry)
        own = access
        if endpoint.insecure:
            own = replace(own, trust=replace(own.trust, insecure=own.trust.insecure | {endpoint.registry}))
        if endpoint.is_mirror:
            own = replace(own, credentials=own.credentials.without_explicit(), plain_http=False)
        registry = Registry(
            endpoint.registry,
            access=own,
            scheme=endpoint.scheme,
            connect_timeout=_MIRROR_CONNECT_TIMEOUT if endpoint.is_mirror else CONNECT_TIMEOUT,
            timeout=timeout,
            tolerance=tolerance,
            patience=RetryPolicy(retries=0) if endpoint.is_mirror else patience,  # there is somebody else to ask (P84)
        )
        return stack.enter_context(registry)

    return Mirrored(access.mirrors, open_endpoint)


class Mirrored(Source):
    """Registries and their mirrors in one; safe to be used from several threads.

    What ``open_endpoint`` opens is for its owner to close.
    """

    def __init__(self, mirrors: Mirrors, open_endpoint: Callable[[Endpoint], Source]) -> None:
        """Open nothing yet.

        Args:
            mirrors: lists the endpoints for an image.
            open_endpoint: called when a registry is asked for the first time, with the endpoint that is first there.
        """
        self._mirrors = mirrors
        self._open_endpoint = open_endpoint
        self._opened: dict[Endpoint, Source] = {}
        self._told: set[str] = set()
        self._is_aborted = False
        self._lock = threading.Lock()

    def abort(self) -> None:
        """End every read, and ask nobody any more."""
        with self._lock:
            self._is_aborted = True
            opened = tuple(self._opened.values())
        for source in opened:
            source.abort()

    def manifest(self, reference: Reference, *, label: str = "") -> Document:
        """Return the manifest or index that ``reference`` points at, which is ``label`` in messages.

        Raises:
            UnsupportedError: the configuration blocks it.
            ImgfetchError: what the upstream raises.
        """
        *mirrors, upstream = self.mirrors(reference)
        for mirror in mirrors:
            if reference.digest or not mirror.endpoint.by_digest_only:
                with suppress(ImgfetchError):  # it has been reported
                    return mirror.manifest(reference, label=label)
        return upstream.manifest(reference, label=label)

    @contextmanager
    def blob(self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0) -> Iterator[Body]:
        """Open a blob at the upstream; `mirrors` has the mirrors too.

        Raises:
            UnsupportedError: the configuration blocks it.
            ImgfetchError: what the upstream raises.
        """
        with self.mirrors(reference)[-1].blob(reference, descriptor, what, offset=offset) as body:
            yield body

    def mirrors(self, reference: Reference) -> tuple[_Candidate, ...]:
        """Return whom to ask for an image, mirrors first.

        Raises:
            UnsupportedError: the configuration blocks it.
        """
        failures: list[str] = []
        return tuple(_Candidate(self, endpoint, failures) for endpoint in self._mirrors.endpoints(reference))

    def tags(self, reference: Reference) -> Iterator[str]:
        """Yield the tags of a repository at the upstream, for a mirror may have only some.

        Raises:
            UnsupportedError: the configuration blocks it, or the upstream has no list of tags.
            ImgfetchError: what the upstream raises.
        """
        upstream = self._mirrors.endpoints(reference)[-1]
        registry = self.open(upstream)
        if not isinstance(registry, Registry):
            raise UnsupportedError(f"{reference.registry} lists no tags")
        yield from registry.tags(upstream.renamed(reference), label=f"the list of tags of {reference.name}")

    @property
    def pulls_left(self) -> dict[str, int]:
        """How many pulls are left, by the registries and mirrors that say so."""
        with self._lock:
            opened = {endpoint.registry: source for endpoint, source in self._opened.items()}
        left = {name: source.pulls_left for name, source in opened.items() if isinstance(source, Registry)}
        return {name: count for name, count in left.items() if count is not None}

    def open(self, endpoint: Endpoint) -> Source:
        """Return the registry at an endpoint, opened when it is first asked.

        Raises:
            TransportError: all is to end.
        """
        anywhere = replace(endpoint, repository="", by_digest_only=False)
        with self._lock:
            if self._is_aborted:
                raise TransportError("stopped, for something else failed")
            if anywhere not in self._opened:
                self._opened[anywhere] = self._open_endpoint(endpoint)
            return self._opened[anywhere]

    def report(self, failure: str) -> None:
        """Warn of a mirror's failure, once, and not of reads that `abort` ends."""
        with self._lock:
            is_new = not self._is_aborted and failure not in self._told
            self._told.add(failure)
        if is_new:
            _logger.warning("%s; going on", failure)


@dataclass(frozen=True)
class _Candidate(Source):
    """A registry or mirror to ask for one image.

    A mirror's errors are reported before they are raised, for the next candidate is asked then.  The upstream's get
    the mirrors' failures as notes (P84).
    """

    mirrored: Mirrored
    endpoint: Endpoint
    failures: list[str]

    def manifest(self, reference: Reference, *, label: str = "") -> Document:
        with self._noting():
            source, there = self.mirrored.open(self.endpoint), self.endpoint.renamed(reference)
            if there != reference:
                label = label or f"the manifest of {reference}"
            document = source.manifest(there, label=label) if label else source.manifest(there)
            if self.endpoint.is_mirror:
                _check(document, reference)
            return document

    @contextmanager
    def blob(self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0) -> Iterator[Body]:
        with ExitStack() as stack:
            with self._noting():
                source, there = self.mirrored.open(self.endpoint), self.endpoint.renamed(reference)
                body = stack.enter_context(source.blob(there, descriptor, what, offset=offset))
            with self._noting(ours=StorageError):  # the disk's that the body is written to
                yield body

    def abort(self) -> None:
        self.mirrored.abort()

    @contextmanager
    def _noting(self, ours: type[ImgfetchError] | tuple[()] = ()) -> Iterator[None]:
        """Report a mirror's error, or add to the upstream's what went wrong before; not to one that is ``ours``."""
        try:
            yield
        except ours:
            raise
        except ImgfetchError as error:
            if self.endpoint.is_mirror:
                cause = f" ({error.__cause__})" if isinstance(error.__cause__, ImgfetchError) else ""
                self.failures.append(f"mirror {self.endpoint.registry}: {error}{cause}")
                self.mirrored.report(self.failures[-1])
            else:
                for failure in self.failures:
                    if failure not in getattr(error, "__notes__", ()):
                        error.add_note(failure)
            raise


def _check(document: Document, reference: Reference) -> None:
    """Refuse what is not the document asked for, or under a tag no document of an image."""
    what = f"the manifest of {reference}"
    digest = Digest.of(document.raw, reference.digest.algorithm if reference.digest else "sha256")
    if reference.digest is None:
        parse_document(document, Descriptor("", digest, len(document.raw)), what, Tolerance())
    elif digest != reference.digest:
        raise VerificationError(f"{what} is not what was asked for", wanted=str(reference.digest), got=str(digest))
