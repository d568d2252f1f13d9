"""The client for a registry's manifests, blobs and tags."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Self

from imgfetch.defaults import CONNECT_TIMEOUT, READ_TIMEOUT
from imgfetch.errors import (
    AuthenticationError,
    ImgfetchError,
    RegistryError,
)
from imgfetch.http.body import Body
from imgfetch.http.client import HttpClient
from imgfetch.http.origin import Origin
from imgfetch.http.ratelimit import RateLimit
from imgfetch.http.response import Response
from imgfetch.http.retries import RetryPolicy
from imgfetch.http.status_errors import rejection
from imgfetch.oci import mediatypes
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import DOCKER_HUB, Reference
from imgfetch.oci.source import Source
from imgfetch.registry import blobs
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.api import ANYTHING, Api
from imgfetch.tolerance import Tolerance

_ALGORITHM = "sha256"
_NO_SUCH_API = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})

_logger = logging.getLogger(__name__)


class Registry(Source):
    """A registry.  Several threads may use it.

    It verifies only the lengths of manifests and blobs; the caller verifies their digests.

    Raises:
        NotFoundError: there is no such manifest, blob or repository.
        AuthenticationError: access was denied, or the token request failed.
        RegistryError: the registry responds with another error, or is not a registry.
        TransportError: the registry does not respond.
        VerificationError: the response has another size, is too large or malformed, or there is a warning under
            ``strict``.
    """

    has_pieces = True

    def __init__(
        self,
        name: str,
        *,
        access: RegistryConfig | None = None,
        scheme: str = "",
        path: str = "",
        namespace: str = "",
        headers: Iterable[tuple[str, str]] = (),
        connect_timeout: float = CONNECT_TIMEOUT,
        timeout: float = READ_TIMEOUT,
        pause: float = READ_TIMEOUT,
        rate_limit: RateLimit | None = None,
        tolerance: Tolerance | None = None,
        patience: RetryPolicy | None = None,
        oddities: Tolerance | None = None,
        pushes: bool = False,
    ) -> None:
        """Store the settings; the first request opens a connection.

        Args:
            name: host and port, as in :attr:`Reference.registry`.
            access: credentials, certificates and proxies.
            scheme: ``http`` or ``https``; by default https, with a fallback to http for loopback and insecure hosts.
            path: the path below which the API is, such as ``/repository/hub``; by default the API is at ``/v2/``.
            namespace: the registry that it is a mirror of, if that must be told (docs/registries.md#which-mirrors).
            headers: further headers for its own origin, such as those of a gateway; their values are secret.
            connect_timeout: the longest time to connect, in seconds.
            timeout: the longest time without data, in seconds.
            pause: a lower limit for that time within a response.
            rate_limit: the bytes a second of all bodies, shared by the registries of a run; by default none.
            tolerance: receives warnings; by default they are logged.
            patience: the attempts for a document or a token; by default one.
            oddities: the old name of ``tolerance``.
            pushes: request the access that a push needs; see `imgfetch.registry.uploads`.

        Raises:
            InvalidReferenceError: the name is malformed.
        """
        self.name = name
        if oddities is not None:
            warnings.warn("Registry's argument oddities is now tolerance", DeprecationWarning, stacklevel=2)
        self._tolerance = tolerance or oddities or Tolerance()
        self._retries = patience or RetryPolicy(retries=0)
        access = access or RegistryConfig()
        self._transport = HttpClient(
            tolerance=self._tolerance,
            trust=access.trust,
            proxies=access.proxies,
            connect_timeout=connect_timeout,
            timeout=timeout,
            pause=pause,
            rate_limit=rate_limit or RateLimit(),
        )
        self._api = Api(
            name,
            self._transport,
            access,
            scheme=scheme,
            path=path,
            namespace=namespace,
            headers=headers,
            retries=self._retries,
            pushes=pushes,
        )
        self._sends_range = True
        self._validators: dict[Digest, dict[Origin, str]] = {}  # of each blob, by the origin that sent it
        self.pulls_left: int | None = None
        """The number of pulls left, if the registry reports it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def abort(self) -> None:
        """End every read and wait of other threads, now and later."""
        self._retries.stop()
        self._transport.abort()

    def manifest(self, reference: Reference, *, label: str = "") -> Document:
        """Return the manifest or index that ``reference`` points at; ``label`` replaces its name in messages.

        Source: OCI distribution specification, "Pulling manifests".
        """
        what = label or f"the manifest of {reference}"
        return self._retries.repeat(partial(self._manifest, reference, what))

    def resolve(self, reference: Reference, *, label: str = "") -> Digest | Document:
        """Return the digest in the response to a HEAD request, or the document if that states none.

        The digest is not verified (docs/registries.md#head-requests).
        """
        what = label or f"the manifest of {reference}"
        return self._stated_digest(reference, what) or self.manifest(reference, label=what)

    @contextmanager
    def send(
        self,
        method: str,
        path: str,
        reference: Reference,
        what: str,
        *,
        accept: str = ANYTHING,
        body: Body | None = None,
    ) -> Iterator[Response]:
        """Yield the response to a request of a push, whatever its status; see `imgfetch.registry.uploads`.

        ``path`` may also be the address of an upload; only the registry's own origin receives credentials.
        """
        with self._api.get(path, reference, what, method=method, accept=accept, body=body, downgrade=False) as response:
            yield response

    @property
    def base(self) -> str:
        """The URL below which the API is."""
        return self._api.base

    def hint(self, repository: str) -> str:
        """Return a hint that names the credentials, if any, that a repository was requested with."""
        return self._api.authenticator.hint(repository)

    def tags(self, reference: Reference, *, label: str = "") -> Iterator[str]:
        """Yield the tags of a repository, page by page, in the registry's order; ``label`` is for messages.

        Source: OCI distribution specification, "Listing Tags".
        """
        from imgfetch.registry import links  # noqa: PLC0415
        from imgfetch.registry.tags import Page, listed, parse_page  # noqa: PLC0415

        what = label or f"the list of tags of {reference.name}"

        def read(path: str) -> Page:
            with self._api.get(path, reference, what, downgrade=False) as response:
                raw = self._api.body(response, reference, what, "check the name")
                place = links.Page(self._api.base, path, response.address.as_sent, what)
                return Page(parse_page(raw, what), response.url, place.following(response.headers("Link")))

        first = f"/v2/{reference.repository}/tags/list"
        yield from listed(lambda path: self._retries.repeat(partial(read, path)), first, what)

    def referrers(self, reference: Reference, digest: Digest, *, label: str = "") -> tuple[Descriptor, ...] | None:
        """Return the list of a manifest's referrers, or ``None`` if the registry has no such lists.

        Source: OCI distribution specification, "Listing Referrers".
        """
        from imgfetch.registry import links  # noqa: PLC0415
        from imgfetch.registry.referrers import Page, listed, parse_list  # noqa: PLC0415

        what = label or f"the list of referrers of {reference.name}@{digest}"
        first = f"/v2/{reference.repository}/referrers/{digest}"

        def read(path: str) -> Page | None:
            with self._api.get(path, reference, what, downgrade=False, accept=mediatypes.OCI_INDEX) as response:
                if path == first and response.status in _NO_SUCH_API:
                    return None
                raw = self._api.body(response, reference, what, "")
                place = links.Page(self._api.base, path, response.address.as_sent, what)
                return Page(parse_list(raw, what), response.url, place.following(response.headers("Link")))

        return listed(lambda path: self._retries.repeat(partial(read, path)), first, what)

    def check_login(self) -> bool:
        """Send the credentials to the registry's root, as docker does; return ``False`` if it asks for none.

        Source: OCI distribution specification, "Determining Support".
        """
        from imgfetch.registry import logins  # noqa: PLC0415

        root = Reference(self.name, "")

        def ask() -> bool:
            with self._api.get("/v2/", root, logins.root(self.name), downgrade=False) as response:
                if response.status >= HTTPStatus.BAD_REQUEST:
                    hint, max_wait = self._api.authenticator.hint(""), self._retries.max_wait
                    elsewhere = self._api.is_elsewhere(response)
                    raise logins.refused(response, self.name, hint, max_wait, is_elsewhere=elsewhere)
                logins.require_registry(response, self.name)
            return self._api.authenticator.sent("") is not None

        is_sent = self._retries.repeat(ask)
        if not is_sent and self._api.authenticator.is_challenged(""):
            raise AuthenticationError(
                f"cannot check the credentials for {self.name}", hint=self._api.authenticator.hint("")
            )
        return is_sent

    @contextmanager
    def blob(
        self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0, length: int | None = None
    ) -> Iterator[Response]:
        """Yield the response with a blob, named ``what`` in messages, before its body is read.

        ``offset`` is the first missing byte; the response's ``start`` is that or 0.  With ``length``, it is a piece.

        Source: OCI distribution specification, "Pulling blobs".
        """
        with ExitStack() as stack:
            if length is not None:
                yield self._open_piece(stack, reference, descriptor, what, offset=offset, length=length)
                return
            rest = self._open_rest(stack, reference, descriptor, what, offset) if offset and self._sends_range else None
            response = rest or self._open_blob(stack, reference, descriptor, what)
            if response.status == HTTPStatus.NOT_FOUND:
                hint = "the registry has lost this blob: use another tag, or ask the publisher to push the image again"
                raise rejection(response, f"{what} ({descriptor.digest})", hint=hint)
            if response.status != HTTPStatus.OK and not response.start:
                raise self._api.refused(response, reference, what)
            blobs.check_size(response, descriptor, what)
            if etag := blobs.validator(response):
                self._validators.setdefault(descriptor.digest, {})[response.origin] = etag
            yield response

    def _open_rest(
        self, stack: ExitStack, reference: Reference, descriptor: Descriptor, what: str, offset: int
    ) -> Response | None:
        """Request the rest of a blob; return ``None`` if that is refused (docs/registries.md#range-refused)."""
        with ExitStack() as until_refused:
            response = self._open_blob(until_refused, reference, descriptor, what, offset=offset)
            if blobs.refuses_range(response, descriptor, offset):
                if response.status == HTTPStatus.PARTIAL_CONTENT:
                    self._sends_range = False  # nor will later ones be right
                return None
            response.start = offset if response.status == HTTPStatus.PARTIAL_CONTENT else 0
            stack.enter_context(until_refused.pop_all())
            return response

    def _open_piece(
        self, stack: ExitStack, reference: Reference, descriptor: Descriptor, what: str, *, offset: int, length: int
    ) -> Response:
        """Request a piece of a blob, and refuse anything else."""
        if not self._sends_range:
            raise blobs.PieceError(f"{self.name} sent another range than the requested one")
        response = self._open_blob(stack, reference, descriptor, what, offset=offset, length=length)
        blobs.check_piece(response, descriptor, offset, length)
        response.start = offset
        return response

    def _open_blob(
        self,
        stack: ExitStack,
        reference: Reference,
        descriptor: Descriptor,
        what: str,
        *,
        offset: int = 0,
        length: int | None = None,
    ) -> Response:
        """Request a blob from the registry, then from the descriptor's ``urls``; a piece only from the registry."""
        path = f"/v2/{reference.repository}/blobs/{descriptor.digest}"
        validators = self._validators.get(descriptor.digest)
        request = self._api.get(
            path, reference, what, downgrade=True, offset=offset, length=length, validators=validators
        )
        response = stack.enter_context(request)
        if response.status == HTTPStatus.NOT_FOUND and length is None:
            response = blobs.foreign(stack, self._transport, descriptor, Origin.of(self._api.base)) or response
        return response

    def _manifest(self, reference: Reference, what: str) -> Document:
        document = self._document(reference, what, mediatypes.ACCEPT)
        if document.is_schema1:
            # An old Harbor responds with schema 1 to a joined list of types (containerd/containerd#5632).
            with suppress(RegistryError):
                return self._document(reference, what, mediatypes.DOCKER_MANIFEST)
        return document

    def _document(self, reference: Reference, what: str, accept: str) -> Document:
        path = f"/v2/{reference.repository}/manifests/{reference.target}"
        with self._api.get(path, reference, what, accept=accept, downgrade=reference.digest is not None) as response:
            raw = self._api.body(response, reference, what, _hint(reference))
            document = Document(raw, response.header("Content-Type").as_sent, response.url)
            if reference.digest is None and not document.is_schema1:  # whose digest is that of a part
                self._compare_header(response, raw, what)
            self._note_limit(response)
            return document

    def _stated_digest(self, reference: Reference, what: str) -> Digest | None:
        """Return the digest that a HEAD request gets; ``None`` after a failure, which a GET request must confirm.

        Only the failure of a token server is final, because it does not know for which request a token is.
        """
        path = f"/v2/{reference.repository}/manifests/{reference.target}"
        is_pinned = reference.digest is not None
        try:
            with self._api.get(
                path, reference, what, method="HEAD", accept=mediatypes.ACCEPT, downgrade=is_pinned
            ) as head:
                digest = Digest.parse(head.header("Docker-Content-Digest").as_sent.strip())
                is_schema1 = mediatypes.essence(head.header("Content-Type").as_sent) in mediatypes.SCHEMA1
                is_wanted = digest == reference.digest if is_pinned else digest.algorithm == _ALGORITHM
                if head.status != HTTPStatus.OK or is_schema1 or not is_wanted:
                    return None  # and close the connection, because some servers send a body
                head.keep()
                return digest
        except ImgfetchError as error:
            if self._api.authenticator.lacks_token(reference.repository):
                raise
            _logger.info("a HEAD request for %s does not suffice: %s", reference, error)
            return None

    def _note_limit(self, response: Response) -> None:
        """Keep Docker Hub's number of pulls left."""
        remaining = response.header("RateLimit-Remaining").as_sent.partition(";")[0].strip()
        if remaining.isascii() and remaining.isdigit() and len(remaining) < 10:  # noqa: PLR2004  # no larger limit makes sense
            self.pulls_left = int(remaining)

    def _compare_header(self, response: Response, raw: bytes, what: str) -> None:
        """Warn of a header that contradicts the body; the body counts (docs/registries.md#digests-from-headers)."""
        header = response.header("Docker-Content-Digest")
        digest, said = Digest.of(raw), header.as_sent.strip()
        if said.startswith("sha256:") and said != str(digest):
            self._tolerance.warn(
                f"{response.origin} sent a wrong Docker-Content-Digest header, {header.shown(80)}; "
                f"{what} has the digest {digest}"
            )


def _hint(reference: Reference) -> str:
    if reference.digest:
        check = "check the name and digest"
    else:
        check = f"check the name and tag (imgfetch tags {reference.name} prints the tags)"
    if reference.registry == DOCKER_HUB and reference.repository.startswith("library/"):
        check += "; on Docker Hub, NAME alone means library/NAME; for another publisher's image, write USER/NAME"
    return check
