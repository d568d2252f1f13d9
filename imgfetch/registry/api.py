"""Requests to a registry's API: with credentials, by http if it does not speak TLS, and with errors that say why."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from http import HTTPStatus
from urllib.parse import quote

from imgfetch.auth.authenticator import Authenticator
from imgfetch.auth.exchange import Exchange
from imgfetch.auth.tokens import TokenClient
from imgfetch.errors import ImgfetchError, InvalidReferenceError, NotTlsError, TransportError, VerificationError
from imgfetch.http.body import Body
from imgfetch.http.client import HttpClient
from imgfetch.http.origin import Origin
from imgfetch.http.response import Response
from imgfetch.http.retries import RetryPolicy
from imgfetch.http.status_errors import not_the_protocol, rejection
from imgfetch.oci.manifest import MAX_DOCUMENT
from imgfetch.oci.reference import DOCKER_HUB, Reference
from imgfetch.redaction import KNOWN
from imgfetch.registry import elsewhere
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.elsewhere import Elsewhere
from imgfetch.registry.endpoints import HUB_HOST
from imgfetch.text import quoted

ANYTHING = "*/*"
"""The ``Accept`` header for any type."""
_UNACCEPTED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE})

_logger = logging.getLogger(__name__)


class Api:
    """The API of one registry.  Several threads may use it.

    Attributes:
        base: the URL below which it is; it changes once if the registry does not speak TLS.
        authenticator: the credentials and tokens for it.
    """

    def __init__(
        self,
        name: str,
        transport: HttpClient,
        access: RegistryConfig,
        *,
        scheme: str,
        path: str,
        namespace: str,
        headers: Iterable[tuple[str, str]],
        retries: RetryPolicy,
        pushes: bool,
    ) -> None:
        """Store the settings, which `Registry` documents.

        Raises:
            InvalidReferenceError: the name is malformed.
        """
        self._name = name
        self._transport = transport
        self._access = access
        self._retries = retries
        self._pushes = pushes
        self._root = f"{HUB_HOST if name == DOCKER_HUB else name}{path}"
        self._query = f"ns={quote(namespace, safe='')}" if namespace else ""
        self._headers = dict(headers)
        KNOWN.note(*self._headers.values())
        self.base = f"{scheme or ('http' if self._access.plain_http else 'https')}://{self._root}"
        try:
            origin = Origin.of(self.base)
        except TransportError:
            raise InvalidReferenceError(f"{quoted(name)} is not a valid registry: expected HOST or HOST:PORT") from None
        self._may_fall_back = not scheme and (
            origin.is_loopback or self._access.trust.is_insecure(origin.host, origin.port)
        )
        self.authenticator = self._new_authenticator(name, self.base, self._access)
        self._elsewhere = Elsewhere(
            lambda origin: self._new_authenticator(str(origin), origin.url, RegistryConfig(), identify=False)
        )
        self._has_answered = False
        self._lock = threading.Lock()

    @contextmanager
    def get(
        self,
        path: str,
        reference: Reference,
        what: str,
        *,
        downgrade: bool,
        method: str = "GET",
        accept: str = ANYTHING,
        offset: int = 0,
        length: int | None = None,
        validators: Mapping[Origin, str] | None = None,
        body: Body | None = None,
    ) -> Iterator[Response]:
        """Yield the registry's response, after the further requests that the registry demands.

        These are: once by http, if it does not speak TLS; those with credentials or a token; and once with
        ``Accept: */*``, if it refuses the requested types (docs/registries.md#accept-header).
        """
        expects_nothing = self._pushes and method in ("HEAD", "GET")
        exchange = Exchange(self.authenticator, reference.repository, what, expects_nothing)
        while True:
            base = self.base
            with ExitStack() as stack:
                request = partial(
                    self._transport.get,
                    method=method,
                    accept=accept,
                    downgrade=downgrade,
                    offset=offset,
                    length=length,
                    validators=validators,
                    body=body,
                )
                try:
                    url = self._url(base, path)
                    is_own = Origin.of(url) == Origin.of(base)
                    header, more = (exchange.header, self._headers) if is_own else (None, {})
                    response = stack.enter_context(request(url, authorization=header, more=more, identify=is_own))
                except TransportError as error:
                    if not self._falls_back(base, error):
                        raise
                    # By http, there are no credentials yet.
                    exchange = Exchange(self.authenticator, reference.repository, what, expects_nothing)
                    continue
                self._has_answered = True
                if exchange.goes_on(response):
                    response.skip()
                    continue
                if body is None and response.status == HTTPStatus.UNAUTHORIZED and self.is_elsewhere(response):
                    response = self._elsewhere.answer(
                        response, request, stack, repository=reference.repository, what=what
                    )
                if response.status in _UNACCEPTED and accept != ANYTHING:
                    accept = ANYTHING
                    response.skip()
                    continue
                is_missing = expects_nothing and response.status == HTTPStatus.NOT_FOUND and exchange.header is not None
                if response.status < HTTPStatus.BAD_REQUEST or is_missing:
                    exchange.succeeded()
                yield response
                return

    def body(self, response: Response, reference: Reference, what: str, hint: str) -> bytes:
        """Read a JSON response, and refuse any other."""
        if response.status != HTTPStatus.OK:
            raise self.refused(response, reference, what, hint)
        raw = response.document(MAX_DOCUMENT, what)
        if not raw.strip():
            hint = "run the same command again; if it still fails, tell the registry's operator"
            raise VerificationError(f"{what} is empty: {response.origin} sent no content", hint=hint, tries=2)
        if raw.lstrip().startswith(b"<"):
            raise not_the_protocol(response, raw, what)
        return raw

    def refused(self, response: Response, reference: Reference, what: str, hint: str = "") -> ImgfetchError:
        """Return the error for a response with another status than was wanted; ``hint`` comes before the usual one."""
        if self.is_elsewhere(response) and (
            error := elsewhere.rejected(response, self.base, what, hint, self._retries.max_wait)
        ):
            return error
        hints = filter(None, (hint, self.authenticator.hint(reference.repository)))
        return rejection(response, what, hint="; ".join(hints), max_wait=self._retries.max_wait)

    def is_elsewhere(self, response: Response) -> bool:
        """Return whether a response comes from another server, after a redirect."""
        return response.origin != Origin.of(self.base)

    def _url(self, base: str, path: str) -> str:
        if path.startswith(("http://", "https://")):  # the address of an upload
            return path
        separator = "&" if "?" in path else "?"
        return f"{base}{path}{separator}{self._query}" if self._query else f"{base}{path}"

    def _falls_back(self, base: str, error: TransportError) -> bool:
        """Switch to http if the registry has never spoken TLS (docs/registries.md#plain-http); return ``True`` then."""
        if not isinstance(error, NotTlsError):
            self._has_answered = True  # for example with an untrusted certificate: no http after that
            return False
        if error.host != Origin.of(base).host_and_port:
            return False  # the error is that of the storage after a redirect
        with self._lock:
            if self.base == base and self._may_fall_back and not self._has_answered:
                self.base = f"http://{self._root}"
                self.authenticator = self._new_authenticator(self._name, self.base, self._access)
                self._report_http(Origin.of(base))
            return self.base != base

    def _report_http(self, origin: Origin) -> None:
        if not origin.is_loopback:
            _logger.log(
                self._access.trust.level_of(origin.host, origin.port),
                "%s does not answer with TLS, and its certificate would not be verified; continuing with plain http, "
                "so credentials and images are not encrypted",
                origin,
            )

    def _new_authenticator(
        self, name: str, base: str, access: RegistryConfig, *, identify: bool = True
    ) -> Authenticator:
        return Authenticator(
            self._transport,
            name,
            base,
            credentials=access.credentials,
            realms=access.realms,
            fetch_token=TokenClient(self._transport, base, self._retries, identify=identify).fetch,
            pushes=self._pushes,
        )
