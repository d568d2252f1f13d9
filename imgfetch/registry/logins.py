"""Responses to the request for a registry's root, by which credentials are checked."""

from __future__ import annotations

from http import HTTPStatus

from imgfetch.errors import ImgfetchError, RateLimitedError, RegistryError
from imgfetch.http.response import Response
from imgfetch.http.status_errors import not_the_protocol, rejection

_MAX_ROOT = 64 * 1024


def root(name: str) -> str:
    """Return the name of a registry's root, for messages."""
    return f"{name}/v2/"


def refused(response: Response, name: str, hint: str, max_wait: float, *, is_elsewhere: bool) -> ImgfetchError:
    """Return the error for a response with an error status; ``hint`` names the credentials that were sent."""
    if is_elsewhere:
        there = response.origin
        return RegistryError(
            f"cannot check the credentials for {name}: it redirected {root(name)} to {there}, which receives none and "
            f"returned {response.status} {response.reason}".rstrip(),
            url=response.url,
            status=response.status,
            hint=f"if {there} is the registry, log in there: imgfetch login {there}; "
            "otherwise check the host and the port",
        )
    if response.status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        hint = "name the registry's own host and port"
    error = rejection(response, root(name), hint=hint, max_wait=max_wait)
    if isinstance(error, RateLimitedError):
        return error.replace(hint=(error.hint or "").removesuffix(", or log in"))
    return error


def require_registry(response: Response, name: str) -> None:
    """Refuse a page, which comes from another server.

    Raises:
        RegistryError: the response is a page.
    """
    raw = response.document(_MAX_ROOT, root(name))
    if raw.lstrip().startswith(b"<"):
        raise not_the_protocol(response, raw, root(name))
