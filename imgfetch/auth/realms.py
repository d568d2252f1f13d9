"""Policy for token servers: the allowed ones, and those that may receive credentials.

A registry names its token server in the challenge of a 401, so a hostile or misconfigured registry would choose the
destination of credentials.  The rules come from advisories against other clients
(docs/registries.md#trusted-token-servers, docs/registries.md#unreachable-token-server).  The first row that applies
counts:

============================================================================  =====================================
token server                                                                  credentials
============================================================================  =====================================
named by ``--realm-override``, malformed or not                               yes, but never from https to http
malformed, or neither http nor https                                          error, no request
on a link-local, metadata, unspecified or multicast address, or on the        error, no request
loopback unless the registry is there too
reached by http, for a registry with https                                    no
named by ``--trust-realm``                                                    yes
on the registry's host, or both on the loopback                               yes
on another address, or the registry is on an address                          no
of the registry's owner: see `imgfetch.auth.kinship`                          yes
any other                                                                     no
============================================================================  =====================================

Without credentials, the token is requested anonymously.  Another port than the registry's makes no difference.  If
only scheme or port differ, the same path at the registry's own origin may be requested instead: see `Realm.own`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit, urlunsplit

from imgfetch.auth.kinship import is_kin
from imgfetch.errors import AuthenticationError, TransportError
from imgfetch.http.origin import Origin
from imgfetch.text import sanitize, shown_url

_BROKEN = re.compile(r"[^/?#]*://(?:[^/?#]*@)?([^/?#]*)([^#]*).*", re.DOTALL)
"""A URL, perhaps malformed; its groups are the host with a port, and the path with a query."""
_PORT = re.compile(r":[^:\]]*$")

_DOWN = "imgfetch never sends credentials from https down to http"


class Realm(NamedTuple):
    """A token server.

    Attributes:
        announced: the absolute URL that the registry announced.
        url: the URL to request.
        own: the same path at the registry's own origin, or empty: the fallback if ``url`` cannot be reached, and the
            only place for credentials if they are ``refused`` there.
        refused: the reason not to send credentials there, or empty.
    """

    announced: str
    url: str
    own: str = ""
    refused: str = ""


class RealmPolicy(NamedTuple):
    """The user's rules for token servers.

    Attributes:
        trusted: hosts that may receive credentials for any registry (``--trust-realm``).
        overrides: replacement origins by ``host[:port]`` of the announced realm (``--realm-override``).
    """

    trusted: frozenset[str] = frozenset()
    overrides: Mapping[str, str] = {}

    def find(self, text: str, asked: str) -> Realm:
        """Return the token server that a challenge names in its ``realm``, which is ``text``.

        A relative realm is resolved against ``asked``, the URL that was answered with the challenge.  If the token
        server is missing, malformed or forbidden, an `AuthenticationError` is raised.
        """
        registry = Origin.of(asked)
        if not text.strip():
            raise AuthenticationError(
                f"{registry} requires a token but names no token server (no realm in its challenge)"
            )
        try:
            if "://" in text:
                Origin.of(text.strip())  # otherwise a URL without a host would resolve to the registry's
            announced = urljoin(asked, text.strip()).partition("#")[0]
            origin = Origin.of(announced)
        except (ValueError, TransportError) as error:
            if replaced := self._replaced_broken(text.strip(), registry):
                return replaced
            raise AuthenticationError(
                f"{registry} named a token server that cannot be used: {sanitize(str(error))}"
            ) from None
        if replaced := self._replaced(announced, (origin.host_and_port, origin.host), registry):
            return replaced
        if not registry.may_send_to(origin):
            raise AuthenticationError(
                f"{registry} named a token server that cannot be used: {shown_url(announced)} is forbidden"
            )
        is_near = origin.host == registry.host and origin != registry  # only scheme or port differ
        is_weaker = origin.scheme == "https" and registry.scheme == "http"  # http at the registry's own address
        own = _moved(announced, asked) if is_near and not is_weaker else ""
        return Realm(announced, announced, own, self._refusal(registry, origin))

    def _replaced(self, announced: str, names: Iterable[str], registry: Origin) -> Realm | None:
        """Return the override for a token server that has one of these names, the first one first."""
        override = next((self.overrides[name] for name in names if name in self.overrides), "")
        if not override:
            return None
        url = _moved(announced, override)
        is_down = registry.scheme == "https" and Origin.of(url).scheme == "http"
        return Realm(announced, url, refused=_DOWN if is_down else "")

    def _replaced_broken(self, text: str, registry: Origin) -> Realm | None:
        """Return the override for the host in a malformed URL, and for the registry's where there is none."""
        if (match := _BROKEN.fullmatch(text)) is None:
            return None
        host = match[1].lower()
        names = (host, _PORT.sub("", host)) if host else (registry.host_and_port, registry.host)
        return self._replaced(f"https://{registry}{match[2]}", names, registry)

    def _refusal(self, registry: Origin, realm: Origin) -> str:
        """Return the reason not to send credentials for ``registry`` to ``realm``, or ``""``."""
        if registry.scheme == "https" and realm.scheme == "http":
            return _DOWN
        if {realm.host, f"[{realm.host}]", realm.host_and_port} & self.trusted or is_kin(registry, realm):
            return ""
        return f"{realm.host} does not belong to {registry.host}; to send them anyway, pass --trust-realm {realm.host}"


def _moved(url: str, origin: str) -> str:
    """Return a URL at another URL's origin."""
    parts, target = urlsplit(url), urlsplit(origin)
    return urlunsplit((target.scheme, target.netloc, parts.path, parts.query, ""))
