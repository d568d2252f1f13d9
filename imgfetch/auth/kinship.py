"""The rule by which a token server belongs to the owner of a registry.

The rule relies on the Public Suffix List (<https://publicsuffix.org>), which has the domains below which anybody can
get a name: top-level domains, domains such as ``co.uk``, and those of hosting services such as ``github.io``.  The list
comes with a package, so no request is made for it (docs/registries.md#trusted-token-servers).
"""

from __future__ import annotations

import functools
import re

from publicsuffixlist import PublicSuffixList

from imgfetch.http.origin import Origin

_SHARED = re.compile(
    r"(.+\.)?("
    # registries with a host for each customer
    r"azurecr\.(io|cn|us)|cr\.aliyuncs\.com|cr\.volces\.com|dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?"
    r"|jfrog\.io|tencentcloudcr\.com"
    # names for all addresses
    r"|nip\.io|sslip\.io|traefik\.me)"
)
"""Domains that the list lacks.  Hosts below them have no siblings."""

_PAIRS = (
    (r"(.+\.)?aliyuncs\.com", r"dockerauth[a-z-]*(\.[a-z0-9-]+)?\.aliyuncs\.com"),
    (r"registry\.hub\.docker\.com", r"auth\.docker\.io"),
    (r"registry\.(connect\.redhat\.com|redhat\.io)", r"sso\.redhat\.com"),
    (r"nvcr\.io", r"authn\.nvidia\.com"),
    (r"rg\.[a-z0-9-]+\.scw\.cloud", r"api\.scaleway\.com"),
)
"""Registries, and their token servers in another domain."""


def is_kin(registry: Origin, realm: Origin) -> bool:
    """Return whether a token server belongs to the owner of the registry that names it."""
    if registry.host == realm.host or (registry.is_loopback and realm.is_loopback):
        return True
    if registry.is_address or realm.is_address:
        return False
    own, other = (origin.host.removesuffix(".") for origin in (registry, realm))
    if any(re.fullmatch(first, own) and re.fullmatch(second, other) for first, second in _PAIRS):
        return True
    parent = own.partition(".")[2]
    # A single label is a host of the local network, unless the list has it.
    return _is_owned(other, own, is_listed=True) or (not _SHARED.fullmatch(parent) and _is_owned(other, parent))


def _is_within(host: str, domain: str) -> bool:
    """Return whether a host is a domain, or below it."""
    return host == domain or host.endswith(f".{domain}")


def _is_owned(host: str, domain: str, *, is_listed: bool = False) -> bool:
    """Return whether a host is within a domain, and no public suffix is between them.

    A top-level domain is a public suffix; with ``is_listed``, only if the list has it.
    """
    suffix = _suffixes().publicsuffix(host, accept_unknown=not is_listed)
    return _is_within(host, domain) and not (suffix and _is_within(suffix, domain))


@functools.cache
def _suffixes() -> PublicSuffixList:
    """Parse the list when it is needed, because that takes 0.1 s."""
    return PublicSuffixList()
