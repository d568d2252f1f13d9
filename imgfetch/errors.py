"""All errors that imgfetch raises on purpose.

The class names the step that failed; ``raise … from`` carries the cause.  A message is one line with the image, the
place, and the expected and actual values.  ``hint`` is the next step for the user.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Required, Self, TypedDict, TypeVar, Unpack

from imgfetch.text import format_some

_MAX_NAMED = 16

OFTEN = 5
"""`ImgfetchError.tries` of failures that are retried as often as the user allows, by default up to five attempts."""


class _Advice(TypedDict, total=False):
    """Optional arguments of all errors; see `ImgfetchError`."""

    hint: str | None
    details: tuple[str, ...]
    tries: int | None


class _Particulars(_Advice):
    """Arguments of errors about an HTTP response; see `RegistryError`."""

    url: Required[str]
    status: Required[int]
    codes: tuple[str, ...]


class ImgfetchError(Exception):
    """Base of all errors that imgfetch raises on purpose; immutable.

    Attributes:
        hint: the next step for the user, one line, or ``None``.
        details: further lines below the message, usually none.
        tries: maximum attempts for a request that fails this way, including the first; each class has a default
            (docs/registries.md#retries).
    """

    tries: int = 1

    def __init__(
        self, message: str, *, hint: str | None = None, details: tuple[str, ...] = (), tries: int | None = None
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.details = details
        if tries is not None:
            self.tries = tries

    def within(self, place: str) -> Self:
        """Return a copy whose message begins with a place, such as a line of a list."""
        copy = self.replace()
        copy.args = (f"{place}: {self}", *self.args[1:])
        return copy

    def of_image(self, name: str, what: str, origin: str = "") -> Self:
        """Return a copy whose message names an image and the place where it is listed, unless it does already.

        ``what`` is placed before a message that lacks the image's ``name``.
        """
        if origin and str(self).startswith(f"{origin}: "):
            return self
        error = self if name in str(self) else self.within(what)
        return error.within(origin) if origin else error

    def replace(self, **changes: Unpack[_Advice]) -> Self:
        """Return a copy with some attributes changed, and the same cause, context and traceback."""
        copy = _restored(type(self), self.args, {**self.__dict__, **changes})
        copy.__cause__, copy.__suppress_context__ = self.__cause__, self.__suppress_context__
        return copy.with_traceback(self.__traceback__)

    def __reduce__(self) -> tuple[object, ...]:
        """Return how to make the error in another process, such as the one that waits for a worker."""
        return _restored, (type(self), self.args, self.__dict__)


_Error = TypeVar("_Error", bound=ImgfetchError)


def _restored(kind: type[_Error], arguments: tuple[object, ...], attributes: Mapping[str, object]) -> _Error:
    """Return a complete error; its constructor would add to the message again."""
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(attributes)
    return error


class InvalidReferenceError(ImgfetchError, ValueError):
    """Malformed image reference."""


class InvalidPlatformError(ImgfetchError, ValueError):
    """Malformed platform."""


class TransportError(ImgfetchError):
    """No HTTP response, or only part of one: name, connection, TLS or timeout."""

    tries = OFTEN


class NotTlsError(TransportError):
    """The server does not speak TLS; on the loopback, plain http may work.

    Attributes:
        host: the server, as ``host:port``.
    """

    tries = 1

    def __init__(self, message: str, *, host: str, **advice: Unpack[_Advice]) -> None:
        super().__init__(message, **advice)
        self.host = host


class RefusedError(NotTlsError):
    """The server refuses the connection; on the loopback, plain http may work."""

    tries = 3


class CertificateError(TransportError):
    """The server's certificate is not trusted; imgfetch does not fall back to plain http."""

    tries = 1


class ProxyError(TransportError):
    """A proxy refuses the connection or cannot be reached."""

    tries = 1


class UnusableError(TransportError):
    """The request cannot be sent: invalid URL, or a host name or header that cannot be encoded."""

    tries = 1


class RegistryError(ImgfetchError):
    """Error response, or a response that does not come from a registry.

    Attributes:
        url: the requested URL, with secrets redacted.
        status: the HTTP status of the response.
        codes: the codes of the error body, such as ``MANIFEST_UNKNOWN``; often empty.
    """

    def __init__(
        self, message: str, *, url: str, status: int, codes: tuple[str, ...] = (), **advice: Unpack[_Advice]
    ) -> None:
        super().__init__(message, **advice)
        self.url = url
        self.status = status
        self.codes = codes


class NotFoundError(RegistryError):
    """No such repository, tag, manifest or blob."""


class UnavailableError(RegistryError):
    """The server is temporarily unavailable.

    Attributes:
        retry_after: the seconds to wait according to the server, or ``None``.
    """

    tries = OFTEN

    def __init__(self, message: str, *, retry_after: float | None = None, **particulars: Unpack[_Particulars]) -> None:
        super().__init__(message, **particulars)
        self.retry_after = retry_after


class RateLimitedError(UnavailableError):
    """Too many requests for the server."""


class AuthenticationError(ImgfetchError):
    """Access denied, or no token obtained; see the cause."""


class VerificationError(ImgfetchError):
    """Content differs from its size or digest.

    Attributes:
        wanted: the expected value, if it has a short form.
        got: the actual value.
    """

    def __init__(
        self, message: str, *, wanted: str | None = None, got: str | None = None, **advice: Unpack[_Advice]
    ) -> None:
        if wanted is not None or got is not None:
            message = f"{message}: expected {wanted}, got {got}"
        super().__init__(message, **advice)
        self.wanted = wanted
        self.got = got


class ResumeError(VerificationError):
    """A resumed download has wrong content; a fresh download may succeed."""

    tries = 2


class CutShortError(VerificationError):
    """Content that ends early.

    Attributes:
        missing: the least number of bytes that are missing; 0 if it is not known.
    """

    def __init__(self, message: str, *, missing: int = 0, **advice: Unpack[_Advice]) -> None:
        super().__init__(message, **advice)
        self.missing = missing


class SeveralImagesError(ImgfetchError):
    """Several images failed, each for its own reason.

    Attributes:
        errors: their errors, in the order in which the images were requested.
    """

    def __init__(self, message: str, *, errors: tuple[ImgfetchError, ...], **advice: Unpack[_Advice]) -> None:
        super().__init__(message, **advice)
        self.errors = errors


class UnsupportedError(ImgfetchError):
    """Well-formed but unsupported: schema 1, a chart, an encrypted layer, a compression."""


class TagExistsError(ImgfetchError):
    """Tags that have other content, so that a push leaves them unless it is forced.

    Attributes:
        references: the tags.
    """

    def __init__(self, message: str, *, references: tuple[str, ...], **advice: Unpack[_Advice]) -> None:
        super().__init__(message, **advice)
        self.references = references


class PlatformNotFoundError(ImgfetchError):
    """The image does not exist for the platform.

    Attributes:
        wanted: the requested platform.
        available: the image's platforms, in the index's order.
    """

    def __init__(self, message: str, *, wanted: str, available: tuple[str, ...], suggestion: str = "") -> None:
        there = format_some(available, _MAX_NAMED) or "none"
        super().__init__(message, hint=f"available: {there}; choose one with --platform{suggestion}")
        self.wanted = wanted
        self.available = available


class StorageError(ImgfetchError):
    """Local disk full, not writable or missing; the cause is the ``OSError``.

    Attributes:
        path: the file or directory, or ``None`` for a stream or a device.
    """

    def __init__(self, message: str, *, path: Path | None = None, **advice: Unpack[_Advice]) -> None:
        super().__init__(message, **advice)
        self.path = path


class NoSpaceError(StorageError):
    """No space is left, or the quota is used up."""


class ResourceError(StorageError):
    """A limit of this process: too little memory, too few file descriptors or processes, or too small files."""
