"""What an answer to a request for a blob is worth, and where else the blob may be.

Source: OCI distribution specification, "Pulling blobs"; RFC 9110, sections 8.8 and 14 (validators and ranges).
"""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack

from imgfetch.errors import RegistryError, TransportError, VerificationError
from imgfetch.http.client import HttpClient
from imgfetch.http.origin import Origin
from imgfetch.http.response import Response
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest

MAX_URLS = 8

_OK = 200
_PARTIAL = 206
_NOT_SATISFIABLE = 416
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')

_logger = logging.getLogger(__name__)


class Validators:
    """The strong ``ETag`` values of blobs, each with the origin that sent it, for which alone it means anything.

    A strong one tells representations apart byte by byte (RFC 9110, section 8.8.1).
    """

    def __init__(self) -> None:
        """Know none yet."""
        self._known: dict[Digest, dict[Origin, str]] = {}

    def of(self, descriptor: Descriptor) -> dict[Origin, str]:
        """Return those of a blob."""
        return self._known.get(descriptor.digest, {})

    def note(self, descriptor: Descriptor, response: Response) -> None:
        """Remember the one that came with a blob."""
        if _STRONG_ETAG.fullmatch(etag := response.header("ETag")):
            self._known.setdefault(descriptor.digest, {})[response.origin] = etag


def is_continued(response: Response, descriptor: Descriptor, offset: int) -> bool:
    """Tell whether an answer to a request for the rest is one: that rest, all of it, or a failure that says why not."""
    if response.status == _PARTIAL:
        return response.continues(offset, descriptor.size)
    return response.status != _NOT_SATISFIABLE


def check_size(response: Response, descriptor: Descriptor, what: str) -> None:
    """Refuse an answer that announces another size than that of what is missing.

    Raises:
        VerificationError: it does.
    """
    wanted, got = descriptor.size - response.start, response.content_length
    if got is not None and not response.codings and got != wanted:
        raise VerificationError(
            f"{what} ({descriptor.digest}) from {response.origin} has the wrong size",
            wanted=f"{wanted} bytes",
            got=f"{got} bytes",
            hint="try again; if it stays so, a proxy or mirror alters the data (--no-mirror asks none), "
            "or the registry's copy is damaged",
            tries=2,  # P75
        )


def foreign(stack: ExitStack, transport: HttpClient, descriptor: Descriptor, home: Origin) -> Response | None:
    """Look for a foreign layer where its descriptor says; nothing of ours goes there (P79, S08).

    Args:
        stack: closes what is opened.
        transport: sends the requests.
        descriptor: the blob.
        home: the registry, which has a say in which hosts can be meant.
    """
    for url in descriptor.urls[:MAX_URLS]:
        try:
            if not home.may_send_to(Origin.of(url)):
                continue  # nobody keeps layers there (S04)
            response = stack.enter_context(transport.get(url, downgrade=True, identify=False))
        except (TransportError, RegistryError) as error:
            _logger.info("%s", error)
            continue
        if response.status == _OK:
            return response
    return None
