"""The write side of a registry: uploads of blobs, manifests and tags.

Source: OCI distribution specification, "Push".
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote

from imgfetch.errors import (
    AuthenticationError,
    ImgfetchError,
    NotFoundError,
    RateLimitedError,
    RegistryError,
    TransportError,
    UnavailableError,
    UnusableError,
    VerificationError,
)
from imgfetch.http.body import Body
from imgfetch.http.origin import Origin
from imgfetch.http.redirects import resolved
from imgfetch.http.response import Response
from imgfetch.http.retries import TEMPORARY, RetryPolicy
from imgfetch.http.status_errors import answer_of, rejection
from imgfetch.oci import mediatypes
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference
from imgfetch.registry.client import Registry

PIECE = 64 * 1024
"""Bytes that are sent at a time; each must leave this machine within the timeout for a connection."""
MAX_CHUNK = 1024**3
STORING = 10e6
"""Bytes a second that a registry verifies and stores at least, at the end of an upload."""
_STORED = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT)
_ACCEPTED = (HTTPStatus.ACCEPTED, *_STORED)
_ENDED = frozenset({"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "RANGE_INVALID"})
_DECIDED = (HTTPStatus.OK, HTTPStatus.NOT_FOUND)
"""The statuses for HEAD after which the connection is kept; see docs/registries.md#head-requests."""
_FINAL = (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
"""The statuses for HEAD after which no GET follows: it would send a wrong password again, or disregard a pause."""
_LOST = (HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
_PARTS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.CONFLICT,
    HTTPStatus.GONE,
    HTTPStatus.LENGTH_REQUIRED,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.NOT_IMPLEMENTED,
)
"""Statuses by which a registry may refuse chunks, or an upload that it has broken."""
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")

_logger = logging.getLogger(__name__)


class LostUploadError(RegistryError):
    """The registry knows an upload no longer, so the blob is sent from its beginning."""

    tries = 3


class Upload(NamedTuple):
    """An upload in progress.

    Attributes:
        address: its URL, which may hold a secret.
        offset: the number of bytes that the registry has.
        least: the number of bytes that a chunk must have, unless it is the last.
    """

    address: str
    offset: int = 0
    least: int = 0


class Uploads:
    """The uploads to one registry.  Several threads may use it.

    Attributes:
        name: the registry's.
        takes_chunks: whether large blobs may be sent in chunks, which not every registry supports.

    Raises:
        AuthenticationError: access was denied.
        RegistryError: the registry refuses the request.
        TransportError: the registry does not respond.
        VerificationError: the registry has stored other content.
    """

    def __init__(self, registry: Registry, retries: RetryPolicy) -> None:
        self._registry = registry
        self._retries = retries
        self.name = registry.name
        self.takes_chunks = True

    def digest(self, reference: Reference) -> Digest | None:
        """Return the digest of a tag or manifest in the registry, or ``None`` if it does not exist."""

        def ask() -> Digest | None:
            path = f"/v2/{reference.repository}/manifests/{reference.target}"
            with self._found(path, reference, str(reference), accept=mediatypes.ACCEPT) as response:
                if response is None:
                    return None
                return _stated(response) or Digest.of(self._registry.manifest(reference).raw)

        return self._retries.repeat(ask)

    def document(self, reference: Reference) -> bytes | None:
        """Return a manifest or index, or ``None`` if it does not exist."""
        try:
            return self._registry.manifest(reference).raw
        except NotFoundError:
            return None

    def has(self, repository: Reference, blob: Descriptor) -> bool:
        """Return whether a repository has a blob, going by the registry's statement."""

        def ask() -> bool:
            path = f"/v2/{repository.repository}/blobs/{blob.digest}"
            with self._found(path, repository, _label(blob, repository), is_404_final=True) as response:
                return response is not None and response.content_length in (None, blob.size)

        return self._retries.repeat(ask)

    @contextmanager
    def _found(
        self, path: str, reference: Reference, what: str, *, accept: str = "*/*", is_404_final: bool = False
    ) -> Iterator[Response | None]:
        """Yield the response to HEAD, or to GET if HEAD proves nothing (docs/registries.md#head-requests).

        It is ``None`` for content that does not exist; with ``is_404_final``, HEAD decides this alone.
        """
        for method in ("HEAD", "GET"):
            with self._registry.send(method, path, reference, what, accept=accept) as response:
                if method == "HEAD" and response.status in _DECIDED:
                    response.keep()
                if response.status == HTTPStatus.OK:
                    yield response
                    return
                if response.status == HTTPStatus.NOT_FOUND and (is_404_final or method == "GET"):
                    response.skip()
                    yield None
                    return
                if response.status in _FINAL or method == "GET":
                    raise self._rejected(response, reference, what)

    def begin(self, repository: Reference, blob: Descriptor, mount_from: str = "") -> Upload | None:
        """Begin an upload, or return ``None`` if the blob was mounted from another repository.

        A mount only saves time, so a registry that refuses it receives the blob (docs/registries.md#uploads).
        """
        begin = partial(self._begin, repository, blob)
        if mount_from:
            query = f"?mount={quote(str(blob.digest), safe='')}&from={quote(mount_from, safe='')}"
            try:
                return self._retries.repeat(partial(begin, query), 1)
            except (AuthenticationError, RegistryError, TransportError) as error:
                _logger.info("cannot mount %s from %s: %s", _label(blob, repository), mount_from, error)
        return self._retries.repeat(begin)

    def _begin(self, repository: Reference, blob: Descriptor, query: str = "") -> Upload | None:
        path, what = f"/v2/{repository.repository}/blobs/uploads/{query}", _label(blob, repository)
        with self._registry.send("POST", path, repository, what) as response:
            if response.status == HTTPStatus.CREATED and query:
                response.skip()
                _check_digest(response, blob.digest, what)
                return None
            if response.status != HTTPStatus.ACCEPTED:
                raise self._rejected(response, repository, what)
            response.skip()
            return Upload(self._address(response, what), least=_least(response))

    def status(
        self, repository: Reference, blob: Descriptor, upload: Upload, *, limit: int | None = None
    ) -> Upload | None:
        """Return an upload as the registry has it, or ``None`` if it can only be begun anew.

        ``limit`` is that of `RetryPolicy.attempts`.
        """
        what = _label(blob, repository)

        def ask() -> Upload | None:
            with self._registry.send("GET", upload.address, repository, what) as response:
                if response.status in TEMPORARY:
                    raise self._rejected(response, repository, what)
                if response.status not in _ACCEPTED:
                    return None
                response.skip()
                address = self._next(response, upload, what)
                received = _received(response)
                is_usable = received is not None and received <= blob.size
                return upload._replace(address=address, offset=received or 0) if is_usable else None

        return self._retries.repeat(ask, limit)

    def append(self, repository: Reference, blob: Descriptor, upload: Upload, body: Body) -> Upload:
        """Send a chunk of a blob, and return the upload with it."""
        what = _label(blob, repository)
        with self._registry.send("PATCH", upload.address, repository, what, body=body) as response:
            if response.status not in _ACCEPTED:
                raise self._refused(response, repository, what, is_part=True)
            response.skip()
            received, expected = _received(response), upload.offset + body.size
            if received is not None and not upload.offset < received <= expected:
                raise self._lost(response, what, f"it has {received} bytes instead of {expected}")
            return upload._replace(address=self._next(response, upload, what), offset=received or expected)

    def finish(self, repository: Reference, blob: Descriptor, upload: Upload, body: Body) -> None:
        """Send the last chunk of a blob, which the registry then verifies."""
        what = _label(blob, repository)
        address = f"{upload.address}{'&' if '?' in upload.address else '?'}digest={quote(str(blob.digest), safe='')}"
        body = body._replace(patience=blob.size / STORING)
        with self._registry.send("PUT", address, repository, what, body=body) as response:
            if response.status not in _STORED:
                raise self._refused(response, repository, what, is_part=upload.offset > 0)
            response.skip()
            _check_digest(response, blob.digest, what)

    def put(self, reference: Reference, manifest: Descriptor, raw: bytes) -> bool:
        """Store a manifest or index under its tag or digest; return whether the registry has noted its subject."""
        what = str(reference)

        def pieces() -> Iterator[bytes]:
            yield from (raw[start : start + PIECE] for start in range(0, len(raw), PIECE))

        def send() -> bool:
            path = f"/v2/{reference.repository}/manifests/{reference.target}"
            body = Body(len(raw), pieces, manifest.media_type)
            with self._registry.send("PUT", path, reference, what, body=body) as response:
                if response.status not in _ACCEPTED:  # 202 is that of older versions of Quay
                    raise self._rejected(response, reference, what)
                response.skip()
                _check_digest(response, manifest.digest, what)
                return bool(response.header("OCI-Subject"))

        return self._retries.repeat(send)

    def _next(self, response: Response, upload: Upload, what: str) -> str:
        """Return the address for the next request of an upload, by default the last one, as in docker."""
        return self._address(response, what) if response.header("Location") else upload.address

    def _address(self, response: Response, what: str) -> str:
        """Return the address of an upload, for its next request (docs/registries.md#uploads)."""
        location = response.header("Location")
        if not location:
            raise _wrong(response, f"cannot push {what}: {response.origin} sent no Location for the upload")
        address = resolved(response.address.as_sent, location.as_sent)
        home = Origin.of(self._registry.base)
        try:
            there = Origin.of(address)
        except UnusableError as error:
            raise _wrong(response, f"cannot push {what}: {home} sent an invalid address for it: {error}") from None
        if home.scheme == "https" and there.scheme == "http":
            if home.host != there.host:
                raise _wrong(response, f"cannot push {what}: {home} sent an upload to {there} without TLS")
            # A proxy that ends TLS does not tell the registry.
            address = f"{home.url}/{address.partition('://')[2].partition('/')[2]}"
        elif not home.may_send_to(there):
            raise _wrong(response, f"cannot push {what}: {home} sent an upload to an unsafe address, {there}")
        return address

    def _refused(self, response: Response, repository: Reference, what: str, *, is_part: bool) -> ImgfetchError:
        """Return the error for a refused chunk, after which the upload may be continued or begun anew.

        With ``is_part``, the registry may dislike the parts rather than the blob.
        """
        error = self._rejected(response, repository, what)
        codes = set(error.codes) if isinstance(error, RegistryError) else set()
        if "DIGEST_INVALID" in codes:
            return VerificationError(
                f"cannot push {what}: {response.origin} received other content than was sent",
                hint="run the command again; if it still fails, a proxy or the registry's disk changes the content",
                tries=2,
            )
        if response.status in _LOST or (is_part and response.status in _PARTS) or codes & _ENDED:
            return self._lost(response, what, answer_of(response))
        return error

    def _lost(self, response: Response, what: str, reason: str) -> LostUploadError:
        message = f"the upload of {what} was lost: {reason}"
        return LostUploadError(message, url=response.url, status=response.status)

    def _rejected(self, response: Response, reference: Reference, what: str) -> ImgfetchError:
        """Return the error for a response with an unexpected status."""
        status = response.status
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            denied = f"cannot push {what}: {answer_of(response)}"
            return AuthenticationError(denied, hint=self._registry.hint(reference.repository))
        error = rejection(response, what, max_wait=self._retries.max_wait)
        if isinstance(error, RateLimitedError) or error.tries > 1:
            return error
        is_passing = isinstance(error, UnavailableError) and status != HTTPStatus.NOT_IMPLEMENTED
        if not isinstance(error, RegistryError) or is_passing:
            return error.within(f"cannot push {what}")
        said = str(error).removeprefix(what)
        for beginning in (" is unavailable: ", " is temporarily unavailable: ", " was not found: "):
            said = said.removeprefix(beginning)
        return RegistryError(
            f"cannot push {what}: {said}",
            url=error.url,
            status=status,
            codes=error.codes,
            hint=_hint(status, error),
            tries=3 if _LACKING & set(error.codes) else 1,  # see docs/registries.md#uploads
        )


def _hint(status: int, error: RegistryError) -> str | None:
    """Return the next step after a refusal; a registry's own code proves that it is one, and its text may say more."""
    if _LACKING & set(error.codes):
        return "run the command again; if it still fails, the registry has lost a blob: tell its operator"
    return _HINTS.get(status) or (None if error.codes else error.hint)


_LACKING = frozenset({"BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN"})
_NO_PUSHES = "the registry is read-only, or this is not a registry: check the host and the port"
_HINTS: Mapping[int, str] = {
    HTTPStatus.METHOD_NOT_ALLOWED: _NO_PUSHES,
    HTTPStatus.NOT_IMPLEMENTED: _NO_PUSHES,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the registry, or a proxy in front of it, limits the size of a request; raise "
    "that limit (nginx: client_max_body_size)",
    HTTPStatus.NOT_FOUND: "check the name; some registries must have a repository or project before a push",
}


def _label(blob: Descriptor, repository: Reference) -> str:
    return f"blob {blob.digest} to {repository.name}"


def _received(response: Response) -> int | None:
    """Return the number of bytes that a registry has of an upload, or ``None`` if it does not state it."""
    header = response.header("Range").as_sent.strip()
    match = _RANGE.fullmatch(header)
    if match is None:
        return None
    return int(match[1]) + 1 if int(match[1]) else 0


def _least(response: Response) -> int:
    """Return the number of bytes that a registry wants in a chunk, if it states a sensible one."""
    text = response.header("OCI-Chunk-Min-Length").as_sent.strip()
    return min(int(text), MAX_CHUNK) if text.isascii() and text.isdigit() and len(text) < 20 else 0  # noqa: PLR2004


def _stated(response: Response) -> Digest | None:
    """Return the digest in a response's header, or ``None`` if there is no valid one."""
    try:
        return Digest.parse(response.header("Docker-Content-Digest").as_sent.strip())
    except VerificationError:
        return None


def _check_digest(response: Response, expected: Digest, what: str) -> None:
    """Refuse a registry's statement that it has stored something else."""
    stated = _stated(response)
    if stated is not None and stated.algorithm == expected.algorithm and stated != expected:
        raise VerificationError(
            f"{response.origin} stored {what} under another digest",
            wanted=str(expected),
            got=str(stated),
            hint="do not use this content: the registry, or a proxy in between, changed it",
        )


def _wrong(response: Response, message: str) -> RegistryError:
    return RegistryError(
        message, url=response.url, status=response.status, hint="the response is wrong; tell the registry's operator"
    )
