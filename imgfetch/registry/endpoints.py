"""The endpoints of an image: places that may have it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from imgfetch.errors import InvalidReferenceError, TransportError, UnsupportedError
from imgfetch.http.origin import Origin
from imgfetch.oci.reference import DOCKER_HUB, Reference, parse_location
from imgfetch.text import quoted


class Endpoint(NamedTuple):
    """A registry, and an image's name there.

    Attributes:
        registry: host and port, as in :attr:`Reference.registry`.
        repository: the path within that registry.
        scheme: ``http`` for a mirror with an http URL, else empty.
        insecure: allow http, and certificates that cannot be verified, because the user's configuration does.
        by_digest_only: never use it to resolve a tag.
        is_mirror: false for the registry itself.
    """

    registry: str
    repository: str
    scheme: str = ""
    insecure: bool = False
    by_digest_only: bool = False
    is_mirror: bool = True

    def renamed(self, reference: Reference) -> Reference:
        """Return the image's name at this endpoint."""
        return replace(reference, registry=self.registry, repository=self.repository)


def parse_mirror(text: str) -> tuple[str, Endpoint]:
    """Parse ``[REGISTRY=]URL``; return the registry, and the mirror's endpoint for all its repositories."""
    before, _, after = text.partition("=")
    registry, url = (before, after) if after and "/" not in before else (DOCKER_HUB, text)
    shown = quoted(text)
    if not set("@?#").isdisjoint(text):
        # The URL is not shown, because it may hold a secret (docs/registries.md#secrets-in-messages).
        shown = "a URL with credentials, a query or a fragment"
    else:
        with suppress(TransportError, InvalidReferenceError):
            origin = Origin.of(url)
            _, path = parse_location(f"{origin.host_and_port}/{url.partition('://')[2].partition('/')[2].strip('/')}")
            scheme = "" if origin.scheme == "https" else "http"
            return parse_location(registry)[0].lower(), Endpoint(str(origin), path, scheme)
    raise InvalidReferenceError(f"{shown} is not a valid mirror", hint="write [REGISTRY=]http(s)://HOST[:PORT][/PATH]")


def below(root: Endpoint, reference: Reference, rest: str) -> Endpoint:
    """Return the endpoint for a reference, whose name there is that of ``root`` with ``rest`` appended."""
    if not root.registry:
        return root._replace(registry=reference.registry, repository=reference.repository)
    if not root.repository and not rest:
        raise UnsupportedError(f"{reference} has no name at {root.registry}, because its location has no path")
    return root._replace(repository=f"{root.repository}{rest}".lstrip("/"))
