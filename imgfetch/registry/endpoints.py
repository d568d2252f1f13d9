"""The endpoints of an image: places that may have it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from imgfetch.errors import InvalidReferenceError, TransportError, UnsupportedError
from imgfetch.http.origin import Origin
from imgfetch.oci.reference import DOCKER_HUB, Reference, parse_location
from imgfetch.text import quoted

_API = "v2"
_SEGMENT = re.compile(r"(?!\.\.?$)[\w.~+-]+", re.ASCII)


class Endpoint(NamedTuple):
    """A registry, and an image's name there.

    Attributes:
        registry: host and port, as in :attr:`Reference.registry`.
        repository: the path within that registry.
        scheme: ``http`` for a mirror with an http URL, else empty.
        insecure: allow http, and certificates that cannot be verified, because the user's configuration does.
        by_digest_only: never use it to resolve a tag.
        is_mirror: false for the registry itself.
        path: the path below which the API is, such as ``/repository/hub`` if that is at ``/repository/hub/v2/``.
    """

    registry: str
    repository: str
    scheme: str = ""
    insecure: bool = False
    by_digest_only: bool = False
    is_mirror: bool = True
    path: str = ""

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
            api, path = split_api(url.partition("://")[2].partition("/")[2])
            _, path = parse_location(f"{origin.host_and_port}/{path}")
            scheme = "" if origin.scheme == "https" else "http"
            return parse_location(registry)[0].lower(), Endpoint(str(origin), path, scheme, path=api)
    raise InvalidReferenceError(f"{shown} is not a valid mirror", hint="write [REGISTRY=]http(s)://HOST[:PORT][/PATH]")


def split_api(path: str) -> tuple[str, str]:
    """Split a mirror's path at its ``v2``: the path below which the API is, and the start of the repositories.

    A path that begins or ends with ``v2`` contains the API's root (docs/registries.md#api-below-a-path).

    Raises:
        InvalidReferenceError: the path is malformed.
    """
    parts = path.strip("/").split("/")
    if parts[0] == _API:
        return "", "/".join(parts[1:])
    if parts[-1] != _API:
        return "", "/".join(parts)
    if not all(map(_SEGMENT.fullmatch, parts)):
        raise InvalidReferenceError("the path is malformed")
    return "/" + "/".join(parts[:-1]), ""


def below(root: Endpoint, reference: Reference, rest: str) -> Endpoint:
    """Return the endpoint for a reference, whose name there is that of ``root`` with ``rest`` appended."""
    if not root.registry:
        return root._replace(registry=reference.registry, repository=reference.repository)
    if not root.repository and not rest:
        raise UnsupportedError(f"{reference} has no name at {root.registry}, because its location has no path")
    return root._replace(repository=f"{root.repository}{rest}".lstrip("/"))
