"""Asks several registries for the same image, one after the other.

`Mirrors.places` says whom (P82 to P85):

* The upstream is asked last, and only what it raises is an error.  What a mirror raises is a warning, and a note on
  that error.
* A mirror for digests only is not asked what a tag means.
* What a mirror sends as a manifest is looked at before it is passed on: under a digest it must have that, under a tag
  be a manifest or an index.  What the upstream sends is for the caller to verify, as with any registry.
* Each blob begins with the first mirror again: one that lacks a blob, or sends something else, is skipped for that.
  What it sent before it broke off is continued by the next.
* A place is told the name that the image has there, while messages have the user's.  Who we are to a place is found
  out by its own host (S09), for it is a registry of its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from imgfetch.errors import ImgfetchError, TransportError, UnsupportedError, VerificationError
from imgfetch.oci.digest import Digest
from imgfetch.oci.image import Descriptor, Document, parse_document
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Body, Source
from imgfetch.registry.mirror_rules import Mirrors, Place
from imgfetch.tolerance import Oddities

_logger = logging.getLogger(__name__)


@runtime_checkable
class Lists(Protocol):
    """What a registry can do besides the two reads."""

    @property
    def pulls_left(self) -> int | None:
        """How many pulls are left, if it says so."""

    def tags(self, reference: Reference) -> Iterator[str]:
        """Yield the tags of a repository."""


class Mirrored:
    """Registries and their mirrors in one; safe to be used from several threads.

    What ``open_registry`` opens is for its owner to close.
    """

    def __init__(self, mirrors: Mirrors, open_registry: Callable[[Place], Source]) -> None:
        """Open nothing yet.

        Args:
            mirrors: says whom to ask.
            open_registry: called when a registry is asked for the first time, with the place that is first there.
        """
        self._mirrors = mirrors
        self._open_registry = open_registry
        self._opened: dict[Place, Source] = {}
        self._told: set[str] = set()
        self._is_aborted = False
        self._lock = threading.Lock()

    def abort(self) -> None:
        """End every read, and ask nobody any more."""
        with self._lock:
            self._is_aborted = True
            opened = tuple(self._opened.values())
        for registry in opened:
            registry.abort()

    def manifest(self, reference: Reference) -> Document:
        """Return the manifest or index that ``reference`` points at.

        Raises:
            UnsupportedError: the configuration blocks it.
            ImgfetchError: what the upstream raises.
        """
        *mirrors, upstream = self._mirrors.places(reference)
        failures: list[str] = []
        for mirror in mirrors:
            if mirror.by_digest_only and reference.digest is None:
                continue
            with self._going_on(mirror, failures):
                document = self._manifest(mirror, reference)
                _check(document, reference)
                return document
        with _noting(failures):
            return self._manifest(upstream, reference)

    def blob(
        self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0
    ) -> AbstractContextManager[Body]:
        """Open a blob at the upstream; `places` has the mirrors too.

        Raises:
            UnsupportedError: the configuration blocks it.
            ImgfetchError: what the upstream raises.
        """
        upstream = self._mirrors.places(reference)[-1]
        return self.open(upstream).blob(_named(reference, upstream), descriptor, what, offset=offset)

    def tags(self, reference: Reference) -> Iterator[str]:
        """Yield the tags of a repository at the upstream, for a mirror may have only some.

        Raises:
            UnsupportedError: the configuration blocks it, or the upstream has no list of tags.
            ImgfetchError: what the upstream raises.
        """
        upstream = self._mirrors.places(reference)[-1]
        registry = self.open(upstream)
        if not isinstance(registry, Lists):
            raise UnsupportedError(f"{reference.registry} lists no tags")
        yield from registry.tags(_named(reference, upstream))

    @property
    def pulls_left(self) -> dict[str, int]:
        """How many pulls are left, by the registries and mirrors that say so."""
        with self._lock:
            opened = {place.registry: registry for place, registry in self._opened.items()}
        return {
            name: registry.pulls_left
            for name, registry in opened.items()
            if isinstance(registry, Lists) and registry.pulls_left is not None
        }

    def places(self, reference: Reference) -> Iterator[_Turn]:
        """Yield whom to ask for a blob, mirrors first.

        Raises:
            UnsupportedError: the configuration blocks it.
        """
        *mirrors, upstream = self._mirrors.places(reference)
        failures: list[str] = []
        for mirror in mirrors:
            yield _Turn(self, mirror, failures, is_last=False)
        yield _Turn(self, upstream, failures, is_last=True)

    def _manifest(self, place: Place, reference: Reference) -> Document:
        return self.open(place).manifest(_named(reference, place))

    def open(self, place: Place) -> Source:
        """Return the registry at a place, opened when it is first asked.

        Raises:
            TransportError: all is to end.
        """
        anywhere = replace(place, repository="", by_digest_only=False)
        with self._lock:
            if self._is_aborted:
                raise TransportError("stopped, for something else failed")
            if anywhere not in self._opened:
                self._opened[anywhere] = self._open_registry(place)
            return self._opened[anywhere]

    @contextmanager
    def _going_on(self, mirror: Place, failures: list[str]) -> Iterator[None]:
        """Pass over a mirror's error, unless there is nobody to ask any more."""
        try:
            yield
        except ImgfetchError as error:
            self.pass_over(mirror, error, failures)

    def pass_over(self, mirror: Place, error: ImgfetchError, failures: list[str]) -> None:
        """Keep a mirror's error, and tell it once.

        Raises:
            ImgfetchError: ``error``, if all is to end.
        """
        if self._is_aborted:
            raise error
        failures.append(_reason(mirror, error))
        with self._lock:
            is_new = failures[-1] not in self._told
            self._told.add(failures[-1])
        if is_new:
            _logger.warning("%s; going on", failures[-1])


@dataclass(frozen=True, slots=True)
class _Turn:
    """A place's turn to be asked for a blob."""

    mirrored: Mirrored
    place: Place
    failures: list[str]
    is_last: bool

    def blob(
        self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0
    ) -> AbstractContextManager[Body]:
        registry = self.mirrored.open(self.place)
        return registry.blob(_named(reference, self.place), descriptor, what, offset=offset)

    def failed(self, error: ImgfetchError) -> bool:
        if not self.is_last:
            self.mirrored.pass_over(self.place, error, self.failures)
            return True
        _note(error, self.failures)
        return False


def _note(error: ImgfetchError, failures: list[str]) -> None:
    """Add to an error what went wrong before (P84)."""
    noted = getattr(error, "__notes__", ())
    for failure in failures:
        if failure not in noted:
            error.add_note(failure)


@contextmanager
def _noting(failures: list[str]) -> Iterator[None]:
    try:
        yield
    except ImgfetchError as error:
        _note(error, failures)
        raise


def _reason(mirror: Place, error: ImgfetchError) -> str:
    cause = f" ({error.__cause__})" if isinstance(error.__cause__, ImgfetchError) else ""
    return f"mirror {mirror.registry}: {error}{cause}"


def _check(document: Document, reference: Reference) -> None:
    """Refuse what is not the document asked for, or under a tag no document of an image."""
    what = f"the manifest of {reference}"
    digest = Digest.of(document.raw, reference.digest.algorithm if reference.digest else "sha256")
    if reference.digest is None:
        parse_document(document, Descriptor("", digest, len(document.raw)), what, Oddities())
    elif digest != reference.digest:
        raise VerificationError(f"{what} is not what was asked for", wanted=str(reference.digest), got=str(digest))


@dataclass(frozen=True, slots=True)
class _Named(Reference):
    """A reference by the name that a place has for it, shown by the name that the user has for it."""

    shown: str = ""

    def __str__(self) -> str:
        return self.shown


def _named(reference: Reference, place: Place) -> Reference:
    if (place.registry, place.repository) == (reference.registry, reference.repository):
        return reference
    return _Named(place.registry, place.repository, reference.tag, reference.digest, shown=str(reference))
