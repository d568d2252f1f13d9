"""Every failure that imgfetch reports on purpose.

The class names the step that failed; ``raise … from`` carries the cause.
A message is one line: what was wanted, what was got, where.  ``hint`` says what to try next.
"""

from __future__ import annotations

from typing import Required, Self, TypedDict, Unpack

_MAX_NAMED = 16


OFTEN = 5
"""`ImgfetchError.tries` of what is worth as many attempts as the user allows, which is five unless told otherwise."""


class _Advice(TypedDict, total=False):
    """What any error may be given besides its message; see `ImgfetchError`."""

    hint: str | None
    details: tuple[str, ...]
    tries: int | None


class _Particulars(_Advice):
    """What an error about an answer is given; see `RegistryError`."""

    url: Required[str]
    status: Required[int]
    codes: tuple[str, ...]


class ImgfetchError(Exception):
    """Base of all errors that imgfetch raises on purpose; an error does not change once it is made.

    Attributes:
        hint: what to try next, one line, or ``None``.
        details: lines that say more than the message can, mostly none.
        tries: maximum attempts for a request that fails this way, including the first (2.0); each class has its own.
    """

    tries: int = 1

    def __init__(
        self, message: str, *, hint: str | None = None, details: tuple[str, ...] = (), tries: int | None = None
    ) -> None:
        """Keep the message and the advice."""
        super().__init__(message)
        self.hint = hint
        self.details = details
        if tries is not None:
            self.tries = tries

    def replace(self, **changes: Unpack[_Advice]) -> Self:
        """Return a copy with other advice, and with the same cause, context and traceback."""
        copy = type(self).__new__(type(self), *self.args)
        copy.__dict__.update(self.__dict__, **changes)
        copy.__cause__, copy.__suppress_context__ = self.__cause__, self.__suppress_context__
        return copy.with_traceback(self.__traceback__)


class InvalidReferenceError(ImgfetchError, ValueError):
    """The text is no reference to an image."""


class InvalidPlatformError(ImgfetchError, ValueError):
    """The text is no platform."""


class TransportError(ImgfetchError):
    """No HTTP answer came, or not all of one: name, connection, TLS, time-out, cut off."""

    tries = OFTEN


class NotTlsError(TransportError):
    """The other side does not speak TLS; on the loopback http may do (P31).

    Attributes:
        host: whom this is about, as ``host:port``.
    """

    tries = 1

    def __init__(self, message: str, *, host: str, **advice: Unpack[_Advice]) -> None:
        """Keep whom it is about."""
        super().__init__(message, **advice)
        self.host = host


class RefusedError(NotTlsError):
    """The other side refuses the connection (F02); on the loopback http may do (P31)."""

    tries = 3


class CertificateError(TransportError):
    """The other side's certificate is not trusted; no other way to it is tried (P32)."""

    tries = 1


class ProxyError(TransportError):
    """A proxy does not let us through."""

    tries = 1


class UnusableError(TransportError):
    """There is nothing that could be sent: a URL that is none, a name or a header that cannot be encoded."""

    tries = 1


class RegistryError(ImgfetchError):
    """A registry, or the server it sent us to, answered with an error or with no registry's answer.

    Attributes:
        url: what was asked, with secrets taken out.
        status: the HTTP status of the answer.
        codes: the codes of the error body, such as ``MANIFEST_UNKNOWN``; often empty.
    """

    def __init__(
        self, message: str, *, url: str, status: int, codes: tuple[str, ...] = (), **advice: Unpack[_Advice]
    ) -> None:
        """Keep the answer's particulars."""
        super().__init__(message, **advice)
        self.url = url
        self.status = status
        self.codes = codes


class NotFoundError(RegistryError):
    """There is no such repository, tag, manifest or blob."""


class UnavailableError(RegistryError):
    """The server does not serve now; later it may.

    Attributes:
        retry_after: the seconds that the server asks to wait, or ``None`` where it does not say.
    """

    tries = OFTEN

    def __init__(self, message: str, *, retry_after: float | None = None, **particulars: Unpack[_Particulars]) -> None:
        """Keep the answer's particulars and the time to wait."""
        super().__init__(message, **particulars)
        self.retry_after = retry_after


class RateLimitedError(UnavailableError):
    """The server asks for fewer requests."""


class AuthenticationError(ImgfetchError):
    """Access was refused, or the token step failed; the cause says how."""


class VerificationError(ImgfetchError):
    """Bytes are not what was promised.

    Attributes:
        wanted: what was promised, if it has a short form.
        got: what came.
    """

    def __init__(
        self, message: str, *, wanted: str | None = None, got: str | None = None, **advice: Unpack[_Advice]
    ) -> None:
        """Keep both sides of the comparison, and say them."""
        if wanted is not None or got is not None:
            message = f"{message}: expected {wanted}, got {got}"
        super().__init__(message, **advice)
        self.wanted = wanted
        self.got = got


class ResumeError(VerificationError):
    """What was continued is not what was promised; begun anew it may be."""

    tries = 2


class UnsupportedError(ImgfetchError):
    """Well-formed, but not for us: schema 1, a chart, an encrypted layer, a compression."""


class PlatformNotFoundError(ImgfetchError):
    """The image is not there for the platform.

    Attributes:
        wanted: the platform asked for.
        available: the platforms that are there, in the index's order.
    """

    def __init__(self, message: str, *, wanted: str, available: tuple[str, ...]) -> None:
        """Keep both sides, and hint at the available ones."""
        there = ", ".join(available[:_MAX_NAMED]) or "none"
        if len(available) > _MAX_NAMED:
            there += f" and {len(available) - _MAX_NAMED} more"
        super().__init__(message, hint=f"available: {there}; choose one with --platform")
        self.wanted = wanted
        self.available = available


class StorageError(ImgfetchError):
    """The local disk: full, not writable, not there; the cause is the ``OSError``."""
