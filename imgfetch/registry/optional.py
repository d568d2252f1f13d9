"""Tags and lists that most images lack, such as those of signatures, where only mirrors can be reached."""

from __future__ import annotations

from imgfetch.errors import ImgfetchError, NotFoundError, TransportError, UnsupportedError
from imgfetch.registry.server import Server, is_outage


class LacksError(UnsupportedError):
    """A mirror lacks a list that its upstream may have."""


class OnlyMirrorsError(NotFoundError):
    """A mirror lacks something that its upstream may have, but the upstream cannot be reached."""


class Question:
    """A question about something optional, at mirrors and their upstream.

    An upstream that cannot be reached is not asked again for a while, because each time would cost a timeout.
    """

    def __init__(self, upstream: Server) -> None:
        self._upstream = upstream
        self._is_lacking = False

    def known_failure(self) -> TransportError | None:
        """Return the last failure of an upstream that is ill, unless it is time to try it again."""
        upstream = self._upstream
        return TransportError(upstream.failure) if upstream.is_ill and not upstream.may_try() else None

    def mirror_failed(self, error: ImgfetchError) -> None:
        """Note the failure of a mirror."""
        self._is_lacking = self._is_lacking or isinstance(error, NotFoundError | LacksError)

    def upstream_failed(self, error: ImgfetchError) -> None:
        """Note the failure of the upstream."""
        if is_outage(error):
            self._upstream.failed(error)
            self._upstream.failure = str(error)

    def require_upstream(self, error: ImgfetchError) -> None:
        """Raise an `OnlyMirrorsError` if the upstream's error means only that a mirror's answer cannot be confirmed."""
        if self._is_lacking and is_outage(error):
            message = f"no mirror has it, and its registry cannot be reached: {error}"
            raise OnlyMirrorsError(message, url="", status=404) from error
