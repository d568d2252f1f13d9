"""The two reads of the OCI distribution specification: manifests and blobs."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

from imgfetch.auth import challenges
from imgfetch.auth.authenticator import Authenticator
from imgfetch.auth.credentials import Credentials
from imgfetch.auth.realms import RealmPolicy
from imgfetch.defaults import CONNECT_TIMEOUT, READ_TIMEOUT
from imgfetch.errors import (
    AuthenticationError,
    ImgfetchError,
    InvalidReferenceError,
    NotTlsError,
    RegistryError,
    TransportError,
    VerificationError,
)
from imgfetch.http.client import HttpClient
from imgfetch.http.origin import Origin
from imgfetch.http.response import Response
from imgfetch.http.retries import RetryPolicy
from imgfetch.http.status_errors import not_the_protocol, rejection
from imgfetch.oci import mediatypes
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import MAX_DOCUMENT, Document
from imgfetch.oci.reference import DOCKER_HUB, Reference
from imgfetch.oci.source import Source
from imgfetch.registry import tags as taglists
from imgfetch.registry.access import Access
from imgfetch.text import clean, quoted
from imgfetch.tolerance import Oddities
from imgfetch.version import USER_AGENT

MAX_TOKEN_ROUNDS = 2
MAX_URLS = 8
MAX_PAGES = 10_000
_HUB_HOST = "registry-1.docker.io"

_OK = 200
_PARTIAL = 206
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_NOT_FOUND = 404
_NOT_ACCEPTABLE = 406
_NOT_SATISFIABLE = 416
_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')

_logger = logging.getLogger(__name__)


class Registry(Source):
    """A registry; safe to be used from several threads.

    Its manifests and blobs are what the server sent: nothing is verified here but lengths.
    """

    def __init__(
        self,
        name: str,
        *,
        access: Access | None = None,
        scheme: str = "",
        connect_timeout: float = CONNECT_TIMEOUT,
        timeout: float = READ_TIMEOUT,
        oddities: Oddities | None = None,
        patience: RetryPolicy | None = None,
    ) -> None:
        """Open no connection yet.

        Args:
            name: host and port, as in :attr:`Reference.registry`.
            access: what to reach it with; by default no login, no proxy, and the system's certificates.
            scheme: ``http`` or ``https``, where that is settled.
            connect_timeout: seconds for a connection.
            timeout: seconds between two bytes at most.
            oddities: told of what is wrong but tolerable; by default it is logged.
            patience: how often to ask for a document or a token; by default once.

        Raises:
            InvalidReferenceError: no host and port can be named so.
        """
        self.name = name
        self._access = access or Access()
        self._oddities = oddities or Oddities()
        self._patience = patience or RetryPolicy(retries=0)
        self._transport = HttpClient(
            oddities=self._oddities,
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
        self._authenticator = self._new_authenticator()
        self._has_answered = False
        self._lock = threading.Lock()
        self._has_ranges = True
        self._validators: dict[Digest, dict[Origin, str]] = {}
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
        attempts = self._patience.attempts()
        while True:
            try:
                return self._acceptable(reference, label or f"the manifest of {reference}")
            except ImgfetchError as error:
                attempts.failed(error)

    def _acceptable(self, reference: Reference, what: str) -> Document:
        """Ask for a manifest in the ways that registries are known to need."""
        document, status = self._manifest(reference, what, mediatypes.ACCEPT)
        if document is None and status == _NOT_ACCEPTABLE:
            document, _ = self._manifest(reference, what, "*/*", last=True)
        elif document is not None and mediatypes.essence(document.content_type) in mediatypes.SCHEMA1:
            # An old Harbor answers schema 1 to a joined list of types (containerd/containerd#5632).
            with suppress(RegistryError):
                document = self._manifest(reference, what, mediatypes.DOCKER_MANIFEST)[0] or document
        assert document is not None  # noqa: S101  # ``last`` raises instead
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
        path = f"/v2/{reference.repository}/tags/list"
        seen: set[str] = set()
        while path:
            if path in seen or len(seen) >= MAX_PAGES:
                raise RegistryError(
                    f"{what} does not end: {len(seen)} pages came", url=f"{self._base}{path}", status=_OK
                )
            seen.add(path)
            page, path = self._page(path, reference, what)
            yield from page

    def _page(self, path: str, reference: Reference, what: str) -> tuple[list[str], str]:
        """Return some tags, and where there are more, if there are."""
        attempts = self._patience.attempts()
        while True:
            try:
                with self._get(path, reference, what, downgrade=False) as response:
                    if response.status != _OK:
                        raise self._refused(
                            response, what, f"check the name; {self._authenticator.hint(reference.repository)}"
                        )
                    raw = response.document(MAX_DOCUMENT, what)
                    if raw.lstrip().startswith(b"<"):
                        raise not_the_protocol(response, raw, what)
                    return taglists.tags(raw, what), taglists.following(response.headers("Link"))
            except ImgfetchError as error:
                attempts.failed(error)

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
            response = self._blob(stack, reference, descriptor, what, offset)
            if offset and response.status != _OK and not self._is_continued(response, descriptor, offset):
                # Not what was asked for, so all of it from the first byte, and no such question again (F46, F48).
                self._has_ranges = self._has_ranges and response.status != _PARTIAL
                stack.close()
                offset = 0
                response = self._blob(stack, reference, descriptor, what, offset)
            if response.status == _PARTIAL:
                response.start = offset
            self._check_blob(response, reference, descriptor, what)
            if etag := _strong(response.header("ETag")):
                self._validators.setdefault(descriptor.digest, {})[response.origin] = etag
            yield response

    def _blob(self, stack: ExitStack, reference: Reference, descriptor: Descriptor, what: str, offset: int) -> Response:
        """Ask for a blob: the registry, then where its storage wants a token of its own, then its ``urls``."""
        path = f"/v2/{reference.repository}/blobs/{descriptor.digest}"
        validators = self._validators.get(descriptor.digest, {})
        request = self._get(path, reference, what, downgrade=True, offset=offset, validators=validators)
        response = stack.enter_context(request)
        if response.status == _UNAUTHORIZED and self._is_elsewhere(response):
            response = self._anonymously(stack, response, reference, what, offset) or response
        if response.status == _NOT_FOUND:
            response = self._elsewhere(stack, descriptor) or response
        return response

    def _is_continued(self, response: Response, descriptor: Descriptor, offset: int) -> bool:
        """Tell whether an answer to a question for the rest is one: that rest, or a failure that says why not."""
        if response.status == _PARTIAL:
            return response.continues(offset, descriptor.size)
        return response.status != _NOT_SATISFIABLE

    def _check_blob(self, response: Response, reference: Reference, descriptor: Descriptor, what: str) -> None:
        """Refuse an answer that does not hold the blob."""
        if response.status == _NOT_FOUND:
            hint = "the manifest lists it, but the registry does not have it: push it again, or take another tag"
            raise rejection(response, f"{what} ({descriptor.digest})", hint=hint)
        if response.status != _OK and not (response.status == _PARTIAL and response.start):
            raise self._refused(response, what, self._authenticator.hint(reference.repository))
        length = response.content_length
        wanted = descriptor.size - response.start
        if length is not None and not response.codings and length != wanted:
            raise VerificationError(
                f"{what} ({descriptor.digest}) from {response.origin} has the wrong size",
                wanted=f"{wanted} bytes",
                got=f"{length} bytes",
                hint="try again; if it stays so, a proxy or mirror alters the data (--no-mirror asks none), "
                "or the registry's copy is damaged",
                tries=2,  # P75
            )

    def _anonymously(
        self, stack: ExitStack, refusal: Response, reference: Reference, what: str, offset: int
    ) -> Response | None:
        """Ask a storage host that wants a token once more, with one that it gives to anybody (F53).

        Nothing of ours goes there: the token is asked for without a login, and sent to that host alone (S07).
        """
        offered = challenges.parse(refusal.headers("WWW-Authenticate"))
        if not any(challenge.scheme == "bearer" for challenge in offered):
            return None
        authenticator = Authenticator(
            self._transport,
            str(refusal.origin),
            refusal.origin.url,
            credentials=Credentials(),
            realms=RealmPolicy(),
            patience=self._patience,
        )
        try:
            header = authenticator.answer(refusal, reference.repository, None, what)
            request = self._transport.get(refusal.address, authorization=header, downgrade=True, offset=offset)
            return stack.enter_context(request)
        except (AuthenticationError, RegistryError, TransportError) as error:
            _logger.info("%s", error)
            return None

    def _elsewhere(self, stack: ExitStack, descriptor: Descriptor) -> Response | None:
        """Look for a foreign layer where its descriptor says; nothing of ours goes there (P79, S08)."""
        for url in descriptor.urls[:MAX_URLS]:
            try:
                if not Origin.of(self._base).may_send_to(Origin.of(url)):
                    continue  # nobody keeps layers there (S04)
                response = stack.enter_context(self._transport.get(url, downgrade=True, identify=False))
            except (TransportError, RegistryError) as error:
                _logger.info("%s", error)
                continue
            if response.status == _OK:
                return response
        return None

    def _manifest(
        self, reference: Reference, what: str, accept: str, *, last: bool = False
    ) -> tuple[Document | None, int]:
        path = f"/v2/{reference.repository}/manifests/{reference.target}"
        with self._get(path, reference, what, accept=accept, downgrade=reference.digest is not None) as response:
            if response.status == _NOT_ACCEPTABLE and not last:
                return None, response.status
            if response.status != _OK:
                raise self._refused(
                    response, what, f"{_hint(reference)}; {self._authenticator.hint(reference.repository)}"
                )
            raw = response.document(MAX_DOCUMENT, what)
            if raw.lstrip().startswith(b"<"):
                raise not_the_protocol(response, raw, what)
            if reference.digest is None:
                self._compare_header(response, raw, what)
            self._note_limit(response)
            return Document(raw, response.header("Content-Type"), response.url), response.status

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
            self._oddities.tolerate(
                f"{what} is {digest}, but the Docker-Content-Digest of {response.origin} says {clean(header, 80)}"
            )

    @contextmanager
    def _get(
        self,
        path: str,
        reference: Reference,
        what: str,
        *,
        downgrade: bool,
        accept: str = "*/*",
        offset: int = 0,
        validators: Mapping[Origin, str] | None = None,
    ) -> Iterator[Response]:
        """Ask the registry, and answer its challenges (P33, P50)."""
        header = self._authenticator.authorization(reference.repository)
        for rounds_left in range(MAX_TOKEN_ROUNDS, -1, -1):
            with ExitStack() as stack:

                def ask(base: str, header: str | None = header, stack: ExitStack = stack) -> Response:
                    request = self._transport.get(
                        f"{base}{path}",
                        accept=accept,
                        authorization=header,
                        downgrade=downgrade,
                        offset=offset,
                        validators=validators,
                    )
                    return stack.enter_context(request)

                response = self._open(ask)
                if response.status != _UNAUTHORIZED or self._is_elsewhere(response) or not rounds_left:
                    yield response
                    return
                header = self._authenticator.answer(response, reference.repository, header, what)

    def _open(self, ask: Callable[[str], Response]) -> Response:
        """Ask by https, or by http where the registry is on the loopback and does not speak TLS (P31)."""
        base = self._base
        response = None
        try:
            response = ask(base)
        except NotTlsError as error:
            if error.host != Origin.of(base).host_and_port or not self._fall_back(base):
                raise
        except TransportError:
            self._has_answered = True  # as with a certificate that is not trusted; in any case not to be asked in clear
            raise
        if response is None:
            response = ask(self._base)
        self._has_answered = True
        return response

    def _fall_back(self, base: str) -> bool:
        """Turn to http for good, unless the registry has ever spoken TLS (P32)."""
        with self._lock:
            if self._base == base and self._may_fall_back and not self._has_answered:
                self._base = f"http://{self._host}"
                self._authenticator = self._new_authenticator()
            return self._base != base

    def _new_authenticator(self) -> Authenticator:
        credentials, realms = self._access.credentials, self._access.realms
        return Authenticator(
            self._transport,
            self.name,
            self._base,
            credentials=credentials,
            realms=realms,
            patience=self._patience,
        )

    def _is_elsewhere(self, response: Response) -> bool:
        return response.origin != Origin.of(self._base)

    def _refused(self, response: Response, what: str, hint: str) -> ImgfetchError:
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
        return rejection(response, what, hint=hint)


def _strong(etag: str) -> str | None:
    """Return an ``ETag`` that tells representations apart byte by byte (RFC 9110, section 8.8.1)."""
    return etag if _ETAG.fullmatch(etag) else None


def _hint(reference: Reference) -> str:
    if reference.registry == DOCKER_HUB and reference.repository.startswith("library/"):
        return (
            "check the name and the tag; a Docker Hub name without a user is looked for below library/, "
            "another publisher's is USER/NAME"
        )
    return "check the name and the tag"
