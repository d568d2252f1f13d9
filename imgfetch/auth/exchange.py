"""The authentication of one request: the header that it is sent with, and those that follow a refusal."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus

from imgfetch.auth.authenticator import Authenticator
from imgfetch.auth.grants import Token
from imgfetch.http.origin import Origin
from imgfetch.http.response import Response

MAX_ROUNDS = 2
"""Answers to a 401, the second with another token because the first was refused."""

_HIDDEN = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
"""Statuses by which some registries hide private images (docs/registries.md#missing-or-private)."""
_ENDED = (HTTPStatus.BAD_REQUEST, *_HIDDEN)
"""Statuses by which some registries refuse a token that has ended (docs/registries.md#ended-tokens)."""


@dataclass(eq=False, repr=False)
class Exchange:
    """The exchange with a registry that leads to one response.

    Attributes:
        authenticator: the registry's.
        repository: the requested one.
        label: its name in messages.
        expects_nothing: whether a 404 is a usual answer, as before a push, and so no sign of a token that has ended.
        header: the ``Authorization`` header of the next request, if any.
    """

    authenticator: Authenticator
    repository: str
    label: str
    expects_nothing: bool = False
    header: str | None = field(init=False)

    def __post_init__(self) -> None:
        self.header = self.authenticator.authorization(self.repository)
        self._rounds = MAX_ROUNDS
        self._anonymous: Token | None = None
        self._is_renewed = False

    def goes_on(self, response: Response) -> bool:
        """Return whether the request should be repeated with the new `header`.

        Raises:
            AuthenticationError: there is no answer to the registry's challenge.
        """
        if response.origin != Origin.of(self.authenticator.base):
            return False
        if response.status == HTTPStatus.UNAUTHORIZED and self._rounds:
            self._rounds -= 1
            self.header = self.authenticator.answer(response, self.repository, self.header, self.label)
            return True
        if response.status in _HIDDEN and self.header is None:
            self.header = self.authenticator.volunteer(response, self.repository, self.label)
            return self.header is not None
        is_usual = self.expects_nothing and response.status == HTTPStatus.NOT_FOUND
        if response.status in _ENDED and not is_usual and self._renews():
            return True
        return response.status == HTTPStatus.FORBIDDEN and self._leaves_credentials_out()

    def succeeded(self) -> None:
        """Note that the request succeeded, with or without credentials."""
        if self.header is None:
            self.authenticator.settle(self.repository)
        elif self._anonymous is not None:
            self.authenticator.leave_out(self.repository, self._anonymous)
        else:
            self.authenticator.prove(self.repository, self.header, is_renewed=self._is_renewed)

    def _renews(self) -> bool:
        """Replace a token that was accepted before, once."""
        if self._is_renewed or self.header is None:
            return False
        renewed = self.authenticator.renew(self.repository, self.header)
        self._is_renewed = renewed is not None
        self.header = renewed or self.header
        return self._is_renewed

    def _leaves_credentials_out(self) -> bool:
        """Replace a token for stored credentials by an anonymous one, once (docs/registries.md#expired-credentials)."""
        if self._anonymous is not None or self.header is None:
            return False
        self._anonymous = self.authenticator.anonymous(self.repository, self.header)
        if self._anonymous is None:
            return False
        self.header = self._anonymous.authorization
        self._rounds = 0
        return True
