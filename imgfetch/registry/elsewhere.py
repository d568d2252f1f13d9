"""Requests that a registry redirected to another host, which may be storage or another registry.

Such a host may require a token.  It gets an anonymous one of its own, and nothing of the user's: no credentials, no
token of the registry, and no client certificate (docs/registries.md#redirects-to-hosts-with-tokens).
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

from imgfetch.auth import challenges
from imgfetch.auth.authenticator import Authenticator
from imgfetch.errors import AuthenticationError, ImgfetchError, RegistryError, TransportError
from imgfetch.http.origin import Origin
from imgfetch.http.response import Response
from imgfetch.http.status_errors import rejection

_DENIED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_PATH = re.compile(r"/v2/([a-z0-9._/-]{1,255})/(manifests|blobs|tags)/[^/]+")

_logger = logging.getLogger(__name__)


class Elsewhere:
    """Anonymous tokens for the hosts that a registry redirects to; ``new`` returns an authenticator for one."""

    def __init__(self, new: Callable[[Origin], Authenticator]) -> None:
        self._new = new
        self._authenticators: dict[Origin, Authenticator] = {}
        self._lock = threading.Lock()

    def answer(
        self,
        refusal: Response,
        request: Callable[..., AbstractContextManager[Response]],
        stack: ExitStack,
        *,
        repository: str,
        what: str,
    ) -> Response:
        """Repeat a request after a 401 of such a host, and return the response, or the refusal.

        Args:
            refusal: the 401.
            request: sends the request to a URL.
            stack: closes the response.
            repository: the requested one, which may have another name there.
            what: its name in messages.
        """
        offered = challenges.parse(refusal.headers("WWW-Authenticate"))
        if not any(challenge.scheme == "bearer" for challenge in offered):
            return refusal
        with self._lock:
            authenticator = self._authenticators.get(refusal.origin) or self._new(refusal.origin)
            self._authenticators[refusal.origin] = authenticator
        ask = partial(request, refusal.address.as_sent, identify=False)
        repository, response = _repository(refusal) or repository, refusal
        try:
            header = authenticator.authorization(repository)
            if header is not None:
                response = stack.enter_context(ask(authorization=header))
            if response.status == HTTPStatus.UNAUTHORIZED:
                header = authenticator.answer(response, repository, header, what)
                response = stack.enter_context(ask(authorization=header))
        except (AuthenticationError, RegistryError, TransportError) as error:
            _logger.info("%s", error)
        return response


def rejected(response: Response, base: str, what: str, hint: str, max_wait: float) -> ImgfetchError | None:
    """Return the error for the response of another host than the registry ``base``; ``None`` if any other fits."""
    repository = _repository(response)
    if repository and not _is_blob(response):
        moved = f"{base} redirected to {response.origin}, which receives no credentials; if it needs some, "
        moved += f"use the image's name there, {response.origin}/{repository}"
        return rejection(response, what, hint="; ".join(filter(None, (hint, moved))), max_wait=max_wait)
    if response.status not in _DENIED:
        return None
    return RegistryError(
        f"cannot download {what}: {base} redirected to {response.origin}, "
        f"which returned {response.status} {response.reason}",
        url=response.url,
        status=response.status,
        hint="try again; if it still fails, tell the registry's operator",
        # Another request gets a fresh URL; see docs/registries.md#expired-signed-urls.
        tries=3 if response.status == HTTPStatus.FORBIDDEN else 1,
    )


def _match(response: Response) -> re.Match[str] | None:
    return _PATH.fullmatch(urlsplit(response.address.as_sent).path)


def _repository(response: Response) -> str:
    """Return the repository in the URL of a response, or nothing if it is not that of a registry."""
    match = _match(response)
    return match[1] if match else ""


def _is_blob(response: Response) -> bool:
    match = _match(response)
    return match is not None and match[2] == "blobs"
