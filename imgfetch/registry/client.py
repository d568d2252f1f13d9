"""A registry: its manifests, blobs and tags, and its answers to challenges on the way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Self

from imgfetch.auth import challenges
from imgfetch.auth.authenticator import Authenticator
from imgfetch.defaults import CONNECT_TIMEOUT, READ_TIMEOUT
from imgfetch.errors import (
    AuthenticationError,
    ImgfetchError,
    InvalidReferenceError,
    NotTlsError,
    RegistryError,
    TransportError,
)
from imgfetch.http.client import HttpClient
from imgfetch.http.origin import Origin
from imgfetch.http.response import Response
from imgfetch.http.retries import RetryPolicy
from imgfetch.http.status_errors import not_the_protocol, rejection
from imgfetch.oci import mediatypes
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import MAX_DOCUMENT
from imgfetch.oci.reference import DOCKER_HUB, Reference
from imgfetch.oci.source import Source
from imgfetch.registry import blobs
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.tags import Page, listed
from imgfetch.text import quoted, sanitize
from imgfetch.tolerance import Tolerance
from imgfetch.version import USER_AGENT

MAX_TOKEN_ROUNDS = 2
_HUB_HOST = "registry-1.docker.io"

_OK = 200
_PARTIAL = 206
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_NOT_FOUND = 404
_NOT_ACCEPTABLE = 406
_ANYTHING = "*/*"

_logger = logging.getLogger(__name__)


class Registry(Source):
    """A registry; safe to be used from several threads.

    Its manifests and blobs are what the server sent: nothing is verified here but lengths.
    """

    def __init__(
        self,
        name: str,
        *,
        access: RegistryConfig | None = None,
        scheme: str = "",
        connect_timeout: float = CONNECT_TIMEOUT,
        timeout: float = READ_TIMEOUT,
        tolerance: Tolerance | None = None,
        patience: RetryPolicy | None = None,
    ) -> None:
        """Open no connection yet.

        Args:
            name: host and port, as in :attr:`Reference.registry`.
            access: what to reach it with; by default no login, no proxy, and the system's certificates.
            scheme: ``http`` or ``https``, where that is settled.
            connect_timeout: seconds for a connection.
            timeout: seconds between two bytes at most.
            tolerance: told of what is wrong but tolerable; by default it is logged.
            patience: how often to ask for a document or a token; by default once.

        Raises:
            InvalidReferenceError: no host and port can be named so.
        """
        self.name = name
        self._access = access or RegistryConfig()
        self._tolerance = tolerance or Tolerance()
        self._patience = patience or RetryPolicy(retries=0)
        self._transport = HttpClient(
            tolerance=self._tolerance,
            user_agent=USER_AGENT,
            trust=self._access.trust,
            proxies=self._access.proxies,
            connect_timeout=connect_timeout,
            timeout=timeout,
        )
        self._host = _HUB_HOST if name == DOCKER_HUB else name
        self._base = f"{scheme or ('http' if self._access.plain_http else 'https')}://{self._host}"
        try:
            origin = Origin.of(self._base)
        except TransportError:
            raise InvalidReferenceError(
                f"{quoted(name)} is no registry: a host name or address, and perhaps a port"
            ) from None
        self._may_fall_back = not scheme and (
            origin.is_loopback or self._access.trust.is_insecure(origin.host, origin.port)
        )
        self._authenticator = self._new_authenticator(name, self._base, self._access)
        self._has_answered = False
        self._lock = threading.Lock()
        self._has_ranges = True
        self._validators = blobs.Validators()
        self.pulls_left: int | None = None
        """How many pulls are left, if the registry says so."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._transport.close()

    def abort(self) -> None:
        """End every read, and every wait, that another thread is in, for good."""
        self._patience.stop()
        self._transport.abort()

    def manifest(self, reference: Reference, *, label: str = "") -> Document:
        """Return the manifest or index that ``reference`` points at.

        Source: OCI distribution specification, "Pulling manifests".

        Args:
            reference: the image or index.
            label: its name in messages, by default that of ``reference``.

        Raises:
            NotFoundError: there is none.
            AuthenticationError: it is not for everybody, or the token step failed.
            RegistryError: the registry answers with another error, or is no registry.
            TransportError: the registry does not answer.
            VerificationError: the answer is too large, or under ``strict`` an odd one.
        """
        what = label or f"the manifest of {reference}"
        attempts = self._patience.attempts()
        while True:
            try:
                with self._get_manifest(reference, what, mediatypes.ACCEPT) as response:
                    document = self._document(response, reference, what)
                if mediatypes.essence(document.content_type) in mediatypes.SCHEMA1:
                    # An old Harbor answers schema 1 to a joined list of types (containerd/containerd#5632).
                    with (
                        suppress(RegistryError),
                        self._get_manifest(reference, what, mediatypes.DOCKER_MANIFEST) as response,
                    ):
                        document = self._document(response, reference, what)
            except ImgfetchError as error:
                attempts.failed(error)
            else:
                return document

    def tags(self, reference: Reference, *, label: str = "") -> Iterator[str]:
        """Yield the tags of a repository, page by page, in the registry's order.

        Source: OCI distribution specification, "Listing Tags".

        Args:
            reference: the repository.
            label: the list's name in messages.

        Raises:
            NotFoundError: there is no such repository.
            AuthenticationError: it is not for everybody, or the token step failed.
            RegistryError: the registry answers with another error, or pages without end.
            TransportError: the registry does not answer.
            VerificationError: the answer is malformed.
        """
        what = label or f"the list of tags of {reference.name}"

        def read(path: str) -> Page:
            attempts = self._patience.attempts()
            while True:
                try:
                    with self._get(path, reference, what, downgrade=False) as response:
                        raw = self._body(response, reference, what, "check the name")
                        return Page.parse(raw, response.headers("Link"), response.url, what)
                except ImgfetchError as error:
                    attempts.failed(error)

        yield from listed(read, f"/v2/{reference.repository}/tags/list", what)

    @contextmanager
    def blob(self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0) -> Iterator[Response]:
        """Yield the answer that holds a blob, its body not yet read.

        Source: OCI distribution specification, "Pulling blobs".

        Args:
            reference: whose blob it is.
            descriptor: the blob.
            what: its name in messages.
            offset: the first byte that is wanted; the answer's ``start`` tells whether it begins there or at 0.

        Raises:
            NotFoundError: the registry does not have it, nor has any of the descriptor's ``urls``.
            AuthenticationError: it is not for everybody.
            RegistryError: the registry answers with another error.
            TransportError: the registry does not answer.
            VerificationError: the answer announces another size.
        """
        with ExitStack() as stack:
            offset = offset if self._has_ranges else 0
            response = self._open_blob(stack, reference, descriptor, what, offset)
            if offset and not blobs.is_continued(response, descriptor, offset):
                # Not what was asked for, so all of it from the first byte, and no such question again (F46, F48).
                self._has_ranges = self._has_ranges and response.status != _PARTIAL
                stack.close()
                offset = 0
                response = self._open_blob(stack, reference, descriptor, what, offset)
            if response.status == _NOT_FOUND:
                hint = "the manifest lists it, but the registry does not have it: push it again, or take another tag"
                raise rejection(response, f"{what} ({descriptor.digest})", hint=hint)
            if response.status == _PARTIAL and offset:
                response.start = offset
            elif response.status != _OK:
                raise self._refused(response, reference, what)
            blobs.check_size(response, descriptor, what)
            self._validators.note(descriptor, response)
            yield response

    def _open_blob(
        self, stack: ExitStack, reference: Reference, descriptor: Descriptor, what: str, offset: int
    ) -> Response:
        """Ask for a blob: the registry, then where its storage wants a token of its own, then its ``urls``."""
        path = f"/v2/{reference.repository}/blobs/{descriptor.digest}"
        validators = self._validators.of(descriptor)
        request = self._get(path, reference, what, downgrade=True, offset=offset, validators=validators)
        response = stack.enter_context(request)
        if response.status == _UNAUTHORIZED and self._is_elsewhere(response):
            response = self._anonymously(stack, response, reference, what, offset) or response
        if response.status == _NOT_FOUND:
            response = blobs.foreign(stack, self._transport, descriptor, Origin.of(self._base)) or response
        return response

    def _anonymously(
        self, stack: ExitStack, refusal: Response, reference: Reference, what: str, offset: int
    ) -> Response | None:
        """Ask a storage host that wants a token once more, with one that it gives to anybody (F53).

        Nothing of ours goes there: the token is asked for without a login, and sent to that host alone (S07).
        """
        offered = challenges.parse(refusal.headers("WWW-Authenticate"))
        if not any(challenge.scheme == "bearer" for challenge in offered):
            return None
        authenticator = self._new_authenticator(str(refusal.origin), refusal.origin.url, RegistryConfig())
        try:
            header = authenticator.answer(refusal, reference.repository, None, what)
            request = self._transport.get(refusal.address, authorization=header, downgrade=True, offset=offset)
            return stack.enter_context(request)
        except (AuthenticationError, RegistryError, TransportError) as error:
            _logger.info("%s", error)
            return None

    def _get_manifest(self, reference: Reference, what: str, accept: str) -> AbstractContextManager[Response]:
        path = f"/v2/{reference.repository}/manifests/{reference.target}"
        return self._get(path, reference, what, accept=accept, downgrade=reference.digest is not None)

    def _document(self, response: Response, reference: Reference, what: str) -> Document:
        """Read a manifest or index, and what comes with it."""
        raw = self._body(response, reference, what, _hint(reference))
        if reference.digest is None:
            self._compare_header(response, raw, what)
        self._note_limit(response)
        return Document(raw, response.header("Content-Type"), response.url)

    def _body(self, response: Response, reference: Reference, what: str, hint: str) -> bytes:
        """Read an answer of JSON, and refuse any other."""
        if response.status != _OK:
            raise self._refused(response, reference, what, hint)
        raw = response.document(MAX_DOCUMENT, what)
        if raw.lstrip().startswith(b"<"):
            raise not_the_protocol(response, raw, what)
        return raw

    def _note_limit(self, response: Response) -> None:
        """Remember what Docker Hub says of its limit."""
        remaining = response.header("RateLimit-Remaining").partition(";")[0].strip()
        if remaining.isascii() and remaining.isdigit() and len(remaining) < 10:  # noqa: PLR2004  # no larger limit makes sense
            self.pulls_left = int(remaining)

    def _compare_header(self, response: Response, raw: bytes, what: str) -> None:
        """Warn of a header that contradicts the body; the body counts (P63)."""
        header = response.header("Docker-Content-Digest").strip()
        digest = Digest.of(raw)
        if header.startswith("sha256:") and header != str(digest):
            self._tolerance.warn(
                f"{what} is {digest}, but the Docker-Content-Digest of {response.origin} says {sanitize(header, 80)}"
            )

    @contextmanager
    def _get(
        self,
        path: str,
        reference: Reference,
        what: str,
        *,
        downgrade: bool,
        accept: str = _ANYTHING,
        offset: int = 0,
        validators: Mapping[Origin, str] | None = None,
    ) -> Iterator[Response]:
        """Yield the registry's answer, after whatever it asks for first.

        That is, each at most as often as makes sense: http, where it does not speak TLS; a login or a token; and that
        we accept anything, where it has no type that we name.
        """
        header = self._authenticator.authorization(reference.repository)
        rounds = MAX_TOKEN_ROUNDS
        while True:
            base = self._base
            with ExitStack() as stack:
                try:
                    request = self._transport.get(
                        f"{base}{path}",
                        accept=accept,
                        authorization=header,
                        downgrade=downgrade,
                        offset=offset,
                        validators=validators,
                    )
                    response = stack.enter_context(request)
                except TransportError as error:
                    if not self._falls_back(base, error):
                        raise
                    continue
                self._has_answered = True
                if response.status == _UNAUTHORIZED and rounds and not self._is_elsewhere(response):
                    rounds -= 1
                    header = self._authenticator.answer(response, reference.repository, header, what)
                elif response.status == _NOT_ACCEPTABLE and accept != _ANYTHING:
                    accept = _ANYTHING
                else:
                    yield response
                    return

    def _falls_back(self, base: str, error: TransportError) -> bool:
        """Turn to http for good where a registry does not speak TLS and never has (P31, P32), and say so."""
        if not isinstance(error, NotTlsError):
            self._has_answered = True  # as with a certificate that is not trusted; in any case not to be asked in clear
            return False
        if error.host != Origin.of(base).host_and_port:
            return False  # the storage it redirects to
        with self._lock:
            if self._base == base and self._may_fall_back and not self._has_answered:
                self._base = f"http://{self._host}"
                self._authenticator = self._new_authenticator(self.name, self._base, self._access)
            return self._base != base

    def _new_authenticator(self, name: str, base: str, access: RegistryConfig) -> Authenticator:
        return Authenticator(
            self._transport, name, base, credentials=access.credentials, realms=access.realms, patience=self._patience
        )

    def _is_elsewhere(self, response: Response) -> bool:
        return response.origin != Origin.of(self._base)

    def _refused(self, response: Response, reference: Reference, what: str, hint: str = "") -> ImgfetchError:
        if self._is_elsewhere(response) and response.status in (_UNAUTHORIZED, _FORBIDDEN):
            return RegistryError(
                f"{what} is not served: {self._base} redirects to {response.origin}, "
                f"which answers {response.status} {response.reason}",
                url=response.url,
                status=response.status,
                hint="the registry's storage is set up wrongly, or its signed URL has expired; try again",
                # The registry gives a fresh URL when it is asked again (F49).
                tries=3 if response.status == _FORBIDDEN else 1,
            )
        hints = filter(None, (hint, self._authenticator.hint(reference.repository)))
        return rejection(response, what, hint="; ".join(hints))


def _hint(reference: Reference) -> str:
    if reference.registry == DOCKER_HUB and reference.repository.startswith("library/"):
        return (
            "check the name and the tag; a Docker Hub name without a user is looked for below library/, "
            "another publisher's is USER/NAME"
        )
    return "check the name and the tag"
