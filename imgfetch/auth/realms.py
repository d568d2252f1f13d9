"""Policy for token servers: the allowed ones, and those that may receive credentials.

A registry names its token server in the challenge of a 401, so a hostile or misconfigured registry would choose the
destination of credentials.  The rules come from advisories against other clients
(docs/registries.md#trusted-token-servers, docs/registries.md#unreachable-token-server).  The first row that applies
counts:

============================================================================  =====================================
token server                                                                  credentials
============================================================================  =====================================
malformed, or neither http nor https                                          error, no request
named by ``--realm-override``                                                 yes, but never from https to http
on a link-local, metadata, unspecified or multicast address, or on the        error, no request
loopback unless the registry is there too
reached by http, for a registry with https                                    no
named by ``--trust-realm``                                                    yes
on the registry's host, or both on the loopback                               yes
on another address, or the registry is on an address                          no
below the registry's host                                                     yes
in ``docker.io`` or ``aliyuncs.com``, as the registry is                      yes
in the domain above the registry's host, unless that is one label (``com``)   yes
or one of `_SHARED_LABELS` below a country (``co.uk``)
any other                                                                     no
============================================================================  =====================================

Without credentials, the token is requested anonymously.  Another port than the registry's makes no difference.  If
only scheme or port differ, the same path at the registry's own origin may be requested instead: see `Realm.own`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit, urlunsplit

from imgfetch.errors import AuthenticationError, TransportError
from imgfetch.http.origin import Origin
from imgfetch.text import sanitize, shown_url

# Domains whose owner runs all registries and token servers below them.
_KNOWN = ("docker.io", "aliyuncs.com")

# Second-level labels under which anyone can register a name: evil.co.uk is unrelated to registry.co.uk.
_SHARED_LABELS = frozenset(
    (
        *("ac", "asn", "co", "com", "edu", "firm", "gen", "go", "gob", "gouv", "gov", "govt", "gr", "gv", "id", "ind"),
        *("info", "ltd", "me", "mil", "ne", "net", "nom", "or", "org", "pe", "plc", "re", "sch", "web"),
    )
)
_COUNTRY = 2

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
            raise AuthenticationError(
                f"{registry} named a token server that cannot be used: {sanitize(str(error))}"
            ) from None
        override = self.overrides.get(origin.host_and_port) or self.overrides.get(origin.host)
        if override:
            url = _moved(announced, override)
            is_down = registry.scheme == "https" and Origin.of(url).scheme == "http"
            return Realm(announced, url, refused=_DOWN if is_down else "")
        if not registry.may_send_to(origin):
            raise AuthenticationError(
                f"{registry} named a token server that cannot be used: {shown_url(announced)} is forbidden"
            )
        is_near = origin.host == registry.host and origin != registry  # only scheme or port differ
        is_weaker = origin.scheme == "https" and registry.scheme == "http"  # http at the registry's own address
        own = _moved(announced, asked) if is_near and not is_weaker else ""
        return Realm(announced, announced, own, self._refusal(registry, origin))

    def _refusal(self, registry: Origin, realm: Origin) -> str:
        """Return the reason not to send credentials for ``registry`` to ``realm``, or ``""``."""
        if registry.scheme == "https" and realm.scheme == "http":
            return _DOWN
        if {realm.host, f"[{realm.host}]", realm.host_and_port} & self.trusted or is_kin(registry, realm):
            return ""
        return f"{realm.host} does not belong to {registry.host}; to send them anyway, pass --trust-realm {realm.host}"


def is_kin(registry: Origin, realm: Origin) -> bool:
    """Return whether a token server's name is in its registry's domain."""
    if registry.host == realm.host or (registry.is_loopback and realm.is_loopback):
        return True
    if registry.is_address or realm.is_address:
        return False
    if _is_within(realm.host, registry.host):
        return True
    if any(_is_within(registry.host, domain) and _is_within(realm.host, domain) for domain in _KNOWN):
        return True
    parent = registry.host.partition(".")[2]
    return _has_an_owner(parent) and _is_within(realm.host, parent)


def _is_within(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _has_an_owner(domain: str) -> bool:
    """Return whether a domain seems to have one owner, unlike ``com`` and ``co.uk``; ``github.io`` is not known."""
    labels = domain.split(".")
    is_shared = len(labels) == 2 and len(labels[1]) == _COUNTRY and labels[0] in _SHARED_LABELS  # noqa: PLR2004
    return len(labels) > 1 and not is_shared


def _moved(url: str, origin: str) -> str:
    """Return a URL at another URL's origin."""
    parts, target = urlsplit(url), urlsplit(origin)
    return urlunsplit((target.scheme, target.netloc, parts.path, parts.query, ""))
