"""The endpoints of an image: places that may have it."""

from __future__ import annotations

import posixpath
import re
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import urlsplit

from imgfetch.errors import InvalidReferenceError, TransportError, UnsupportedError
from imgfetch.http.origin import Origin
from imgfetch.http.tls import HostTls
from imgfetch.oci.reference import DOCKER_HUB, Reference, parse_location
from imgfetch.text import quoted

HUB_HOST = "registry-1.docker.io"
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
        namespace: the registry that the place stands for, if it must be told.
        tls: further authorities, and client certificates, for this place alone.
        headers: names and secret values of headers for this place alone.
    """

    registry: str
    repository: str
    scheme: str = ""
    insecure: bool = False
    by_digest_only: bool = False
    is_mirror: bool = True
    path: str = ""
    namespace: str = ""
    tls: HostTls = HostTls()
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port that https requests go to."""
        origin = Origin.of(f"https://{HUB_HOST if self.registry == DOCKER_HUB else self.registry}")
        return origin.host, origin.port

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


def api_root(url: str, *, is_whole: bool) -> Endpoint:
    """Return the place at a URL of containerd's, whose path is the API's root if it ``is_whole``, else lacks a ``/v2``.

    The part of the path that follows ``/v2`` is the start of the repositories' names.

    Raises:
        InvalidReferenceError: the URL is malformed, or has a query, a fragment, credentials, or a path without ``/v2``.
    """
    with suppress(TransportError, InvalidReferenceError, ValueError):
        origin, parts = Origin.of(url), urlsplit(url)
        segments = [segment for segment in posixpath.normpath(f"/{parts.path}").split("/") if segment]
        segments += [] if (is_whole or segments[-1:] == [_API]) else [_API]
        place = len(segments) - 1 - segments[::-1].index(_API)
        if not (parts.query or parts.fragment) and all(map(_SEGMENT.fullmatch, segments[:place])):
            # A name without a dot would be taken for a part of Docker Hub.
            host = str(origin) if "." in origin.host else origin.host_and_port
            registry, name = parse_location("/".join([host, *segments[place + 1 :]]))
            registry = DOCKER_HUB if registry == HUB_HOST else registry
            return Endpoint(registry, name, origin.scheme, path="".join(f"/{one}" for one in segments[:place]))
    shown = "a URL with credentials, a query or a fragment" if not set("@?#").isdisjoint(url) else quoted(url)
    raise InvalidReferenceError(f"{shown} does not lead to the /v2 of a registry")


def below(root: Endpoint, reference: Reference, rest: str) -> Endpoint:
    """Return the endpoint for a reference, whose name there is that of ``root`` with ``rest`` appended."""
    if not root.registry:
        return root._replace(registry=reference.registry, repository=reference.repository)
    if not root.repository and not rest:
        raise UnsupportedError(f"{reference} has no name at {root.registry}, because its location has no path")
    return root._replace(repository=f"{root.repository}{rest}".lstrip("/"))
