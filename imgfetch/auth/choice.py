"""The choice among a registry's challenges, and the check of the credentials for it."""

from __future__ import annotations

from imgfetch.auth.challenges import Challenge
from imgfetch.auth.login import Login, login_again
from imgfetch.errors import AuthenticationError
from imgfetch.http.origin import login_command
from imgfetch.http.response import Response
from imgfetch.http.status_errors import answer_of, rejection
from imgfetch.text import sanitize

_SCHEMES = ("bearer", "basic")
_MAX_SCHEMES = 8


def is_usable(offered: tuple[Challenge, ...]) -> bool:
    """Return whether there is a challenge that imgfetch can answer."""
    return any(challenge.scheme in _SCHEMES for challenge in offered)


def choose(offered: tuple[Challenge, ...], refusal: Response, label: str, registry: str) -> Challenge:
    """Prefer Bearer to Basic, as docker does (docs/registries.md#challenges)."""
    for scheme in _SCHEMES:
        for challenge in offered:
            if challenge.scheme == scheme:
                return challenge
    schemes = ", ".join(sanitize(challenge.scheme, 40) for challenge in offered[:_MAX_SCHEMES])
    if schemes:
        raise AuthenticationError(
            f"{label} needs credentials: {refusal.origin} offers only {schemes}, which imgfetch does not support",
            hint="ask the operator of the registry, or of the proxy in front of it, to offer Basic or Bearer",
        )
    raise rejection(
        refusal,
        label,
        hint=f"check the name; if the image needs credentials, log in: {login_command(registry)}",
    )


def check(
    login: Login | None, challenge: Challenge, refusal: Response, used: str | None, *, label: str, registry: str
) -> Login:
    """Return ``login`` if it can be sent to the registry itself and has not been rejected yet."""
    if login is None or not login.authorization:
        realm = challenge.parameter("realm").shown(80)
        raise AuthenticationError(
            f'{label} needs credentials: {refusal.origin} expects a user name and password (Basic, realm "{realm}")',
            hint=f"log in: {login_command(registry)}, or pass --username with --password-stdin{_nexus(realm)}",
        )
    if login.authorization == used:
        raise AuthenticationError(
            f"{refusal.origin} rejected {login.description} for {label}", hint=login_again(registry, login)
        ) from AuthenticationError(answer_of(refusal))
    return login


def _nexus(realm: str) -> str:
    """Return advice for Nexus, which may demand a password for public images (docs/registries.md#first-request)."""
    if "nexus" not in realm.lower():
        return ""
    return "; for anonymous pulls, enable Nexus's Docker Bearer Token realm and anonymous access"
