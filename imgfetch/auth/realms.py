"""Which token servers a registry may name, and which of them may be told a login.

A registry names its token server itself, in the challenge of a 401.  So whoever can answer in the registry's place, or
sets it up wrongly, chooses where a login goes.  The rules are S01 to S04 and F10 of the protocol notes; every one of
them stands for an advisory against another client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit, urlunsplit

from imgfetch.errors import AuthenticationError, TransportError
from imgfetch.http.origin import Origin
from imgfetch.text import sanitize
from imgfetch.text import url as shown_url

# Domains all of whose registries and token servers are one another's kin (S03).
_KNOWN = ("docker.io", "aliyuncs.com")

# Second labels below which a country's registrar sells names to anybody: evil.co.uk is no kin of registry.co.uk.
_SHARED_LABELS = frozenset(
    (
        *("ac", "asn", "co", "com", "edu", "firm", "gen", "go", "gob", "gouv", "gov", "govt", "gr", "gv", "id", "ind"),
        *("info", "ltd", "me", "mil", "ne", "net", "nom", "or", "org", "pe", "plc", "re", "sch", "web"),
    )
)
_COUNTRY = 2

_DOWN = "a login never goes from https down to http"


@dataclass(frozen=True, slots=True)
class Realm:
    """A token server.

    Attributes:
        announced: the URL that the registry announced, complete.
        url: the URL to ask.
        own: the same path at the registry's own origin, if that is worth a try when the announced one fails (F10).
        refused: why no login may go there, or empty.
    """

    announced: str
    url: str
    own: str = ""
    refused: str = ""


@dataclass(frozen=True)
class RealmPolicy:
    """The user's say about token servers.

    Attributes:
        trusted: hosts that may be told a login, whatever registry names them (``--trust-realm``).
        overrides: origins to ask instead, by ``host[:port]`` of the announced realm (``--realm-override``).
    """

    trusted: frozenset[str] = frozenset()
    overrides: Mapping[str, str] = field(default_factory=dict)

    def find(self, text: str, asked: str) -> Realm:
        """Return the token server that a challenge names.

        Args:
            text: the challenge's ``realm``.
            asked: the URL whose answer the challenge is, from which a relative realm starts (P42).

        Raises:
            AuthenticationError: it names none that can be used (S01, S04).
        """
        registry = Origin.of(asked)
        if not text.strip():
            raise AuthenticationError(
                f"{registry} asks for a token, but names no token server (its challenge has no realm)"
            )
        try:
            if "://" in text:
                Origin.of(text.strip())  # else a URL without a host would become one of the registry's (S01)
            announced = urljoin(asked, text.strip()).partition("#")[0]
            origin = Origin.of(announced)
        except (ValueError, TransportError) as error:
            raise AuthenticationError(
                f"{registry} announced a token server that cannot be used: {sanitize(str(error))}"
            ) from None
        override = self.overrides.get(origin.host_and_port) or self.overrides.get(origin.host)
        if override:
            url = _moved(announced, override)
            is_down = registry.scheme == "https" and Origin.of(url).scheme == "http"
            return Realm(announced, url, refused=_DOWN if is_down else "")
        if not registry.may_send_to(origin):
            raise AuthenticationError(
                f"{registry} announced a token server that cannot be used: {shown_url(announced)}, where none can be"
            )
        is_near = origin.host == registry.host and origin != registry
        is_weaker = origin.scheme == "https" and registry.scheme == "http"
        own = _moved(announced, asked) if is_near and not is_weaker else ""
        return Realm(announced, announced, own, self._refusal(registry, origin))

    def _refusal(self, registry: Origin, realm: Origin) -> str:
        """Say why a login for ``registry`` must not go to ``realm``, or nothing."""
        if registry.scheme == "https" and realm.scheme == "http":
            return _DOWN
        if {realm.host, f"[{realm.host}]", realm.host_and_port} & self.trusted or is_kin(registry, realm):
            return ""
        return (
            f"{realm.host} does not belong to {registry.host}; if it is to be told the login: "
            f"--trust-realm {realm.host}"
        )


def is_kin(registry: Origin, realm: Origin) -> bool:
    """Tell whether a token server is its registry's own by its name (S03)."""
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
    """Tell whether a domain is somebody's, not one below which anybody can have a name."""
    labels = domain.split(".")
    is_shared = len(labels) == 2 and len(labels[1]) == _COUNTRY and labels[0] in _SHARED_LABELS  # noqa: PLR2004
    return len(labels) > 1 and not is_shared


def _moved(url: str, origin: str) -> str:
    """Return a URL at another URL's origin."""
    parts, target = urlsplit(url), urlsplit(origin)
    return urlunsplit((target.scheme, target.netloc, parts.path, parts.query, ""))
