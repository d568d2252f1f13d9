"""Checks of the responses to requests for blobs, and the other URLs of a blob.

A piece of a blob is accepted only if its response leaves no doubt (docs/registries.md#several-connections).

Source: OCI distribution specification, "Pulling blobs"; RFC 9110, sections 8.8 and 14 (validators and ranges).
"""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack
from http import HTTPStatus

from imgfetch.errors import RegistryError, TransportError, VerificationError
from imgfetch.http.client import HttpClient
from imgfetch.http.origin import Origin
from imgfetch.http.response import Response
from imgfetch.oci.descriptor import Descriptor

MAX_URLS = 8


class PieceError(TransportError):
    """A response that is not exactly the requested piece of a blob."""


_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')

_logger = logging.getLogger(__name__)


def validator(response: Response) -> str:
    """Return the strong ``ETag`` of a response, which identifies its bytes (RFC 9110, section 8.8.1), or nothing."""
    etag = response.header("ETag").as_sent
    return etag if _STRONG_ETAG.fullmatch(etag) else ""


def refuses_range(response: Response, descriptor: Descriptor, offset: int) -> bool:
    """Return whether the response to a request with ``Range`` is a 416, or a 206 with another range."""
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        return not response.continues(offset, descriptor.size)
    return response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE


def check_size(response: Response, descriptor: Descriptor, what: str) -> None:
    """Raise an error if a response's length is not the number of missing bytes (docs/registries.md#lengths)."""
    wanted, got = descriptor.size - response.start, response.content_length
    if got is not None and not response.codings and got != wanted:
        raise VerificationError(
            f"{what} ({descriptor.digest}) from {response.origin} has the wrong size",
            wanted=f"{wanted} bytes",
            got=f"{got} bytes",
            hint="try again with --no-mirror; if it still fails, check your proxy, or tell the registry's operator",
            tries=2,
        )


def check_piece(response: Response, descriptor: Descriptor, offset: int, length: int) -> None:
    """Refuse every response but a 206 with exactly the requested bytes, as they are.

    Raises:
        PieceError: it is another response.
    """
    got = response.content_length
    if response.status != HTTPStatus.PARTIAL_CONTENT:
        fault = f"status {response.status}"
    elif not response.continues(offset, descriptor.size, length):
        fault = "another range"
    elif response.codings:
        fault = "a content coding"
    elif got is not None and got != length:
        fault = f"a length of {got}"
    else:
        return
    raise PieceError(f"{response.origin} answered a request for {length} bytes from byte {offset} with {fault}")


def foreign(stack: ExitStack, transport: HttpClient, descriptor: Descriptor, home: Origin) -> Response | None:
    """Request a foreign layer from its descriptor's URLs, without credentials (docs/registries.md#foreign-layers).

    ``stack`` closes the response, and ``home`` is the registry's origin.
    """
    for url in descriptor.urls[:MAX_URLS]:
        try:
            if not home.may_send_to(Origin.of(url)):
                continue  # see docs/registries.md#forbidden-addresses
            response = stack.enter_context(transport.get(url, downgrade=True, identify=False))
        except (TransportError, RegistryError) as error:
            _logger.info("%s", error)
            continue
        if response.status == HTTPStatus.OK:
            return response
    return None
