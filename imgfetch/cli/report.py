"""The end of a run that fails: an error, or a signal, as a message and an exit status."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from imgfetch import errors, shortage
from imgfetch.cli.display import Display
from imgfetch.text import sanitize

EXIT_STATUS: Mapping[type[errors.ImgfetchError], int] = {
    errors.InvalidReferenceError: 2,
    errors.InvalidPlatformError: 2,
    errors.NotFoundError: 3,
    errors.PlatformNotFoundError: 3,
    errors.AuthenticationError: 4,
    errors.TransportError: 5,
    errors.UnavailableError: 5,
    errors.VerificationError: 6,
    errors.StorageError: 7,
    errors.UnsupportedError: 1,
    errors.RegistryError: 1,
    errors.ImgfetchError: 1,
}
"""By the first class in an error's method resolution order that is listed."""

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}
_MAX_MESSAGE = 4000
_MAX_CAUSES = 8
_MAX_ERRORS = 20
_GRACE = 2.0  # seconds for a reader of stderr
_LATER = frozenset({5, 7})  # another run may succeed


def report(error: errors.ImgfetchError, display: Display, kept: str) -> int:
    """Show an error with its causes and a hint, and return the exit status.

    ``kept`` is the place of partial downloads that another run resumes, or an empty string.
    """
    status = _status(error)
    causes: list[str] = []
    hint = error.hint
    if lack := shortage.of(error):
        status, hint = EXIT_STATUS[errors.StorageError], lack.hint
    cause = error.__cause__
    while isinstance(cause, errors.ImgfetchError) and len(causes) < _MAX_CAUSES:
        causes.append(sanitize(str(cause), _MAX_MESSAGE))
        hint = hint or cause.hint
        cause = cause.__cause__
    message = sanitize(str(error), _MAX_MESSAGE)
    given = [sanitize(line, _MAX_MESSAGE) for line in error.details]
    details = [f"  {line}" for line in given]
    details += [f"  cause: {cause}" for cause in causes if not error.details]
    notes = [sanitize(note, _MAX_MESSAGE) for note in getattr(error, "__notes__", ())]
    details += [f"  before: {note}" for note in notes]
    if isinstance(error, errors.SeveralImagesError):
        details += _each(error.errors)
        hint = hint or _common_hint(error.errors)
    kept = kept if status in _LATER else ""
    lines = [
        message,
        *details,
        *([f"  {kept}"] if kept else []),
        *([f"  hint: {sanitize(hint, _MAX_MESSAGE)}"] if hint else []),
    ]
    members: dict[str, object] = {
        "status": status,
        "error": message,
        "causes": causes,
        "details": given,
        "before": notes,
        "kept": kept,
        "hint": hint,
    }
    if isinstance(error, errors.SeveralImagesError):
        members["errors"] = [
            {"error": sanitize(str(each), _MAX_MESSAGE), "status": _status(each), "hint": each.hint}
            for each in error.errors
        ]
    display.close()
    display.message("error", "\n".join(lines), members)
    return status


def _status(error: errors.ImgfetchError) -> int:
    """Return an error's exit status; of several, the first that another run would not mend."""
    if isinstance(error, errors.SeveralImagesError):
        statuses = list(map(_status, error.errors))
        return next((status for status in statuses if status not in _LATER), statuses[0])
    return next(EXIT_STATUS[cls] for cls in type(error).__mro__ if cls in EXIT_STATUS)


def _each(several: Sequence[errors.ImgfetchError]) -> Iterator[str]:
    """Yield lines for several errors, each different hint once."""
    shown = {_common_hint(several)}  # below all errors
    for error in several[:_MAX_ERRORS]:
        yield f"  {sanitize(str(error), _MAX_MESSAGE)}"
        if error.hint and error.hint not in shown:
            yield f"    hint: {sanitize(error.hint, _MAX_MESSAGE)}"
            shown.add(error.hint)
    if len(several) > _MAX_ERRORS:
        yield f"  and {len(several) - _MAX_ERRORS} more; --progress json prints all"


def _common_hint(several: Sequence[errors.ImgfetchError]) -> str | None:
    """Return the hint that all errors have, if it is one."""
    hints = {error.hint for error in several}
    return hints.pop() if len(hints) == 1 else None


class StopError(BaseException):
    """A signal that ends the run; like KeyboardInterrupt, not an `Exception`."""

    def __init__(self, number: int) -> None:
        super().__init__(_WORDS[signal.Signals(number)])
        self.number = number


@contextmanager
def caught(*, is_program: bool = False) -> Iterator[Callable[[], None]]:
    """Make SIGINT, SIGTERM and SIGHUP raise a `StopError` in the block; a second signal ends the process.

    Yield a function after whose call the first signal does, too, because the work is done, and in the last moments an
    exception would reach nobody.

    If the block is all of a program, a second signal after it has no effect, because the process is about to end.
    So does stderr if nobody reads it, because a thread that writes to it, or waits for one that does, would never end.
    A signal that is ignored, such as SIGHUP under nohup, stays ignored.
    """
    came: list[int] = []
    is_done = False

    def settle() -> None:
        nonlocal is_done
        is_done = True

    def stop(number: int, _frame: FrameType | None) -> None:
        if came or is_done:  # second signal, or nothing to clean up: exit at once
            os._exit(128 + number)
        came.append(number)
        signal.setitimer(signal.ITIMER_REAL, _GRACE, _GRACE)
        raise StopError(number)

    def check(_number: int, _frame: FrameType | None) -> None:
        if came and not _is_writable(2):
            os._exit(128 + came[0])

    before = {
        number: signal.signal(number, stop) for number in _WORDS if signal.getsignal(number) is not signal.SIG_IGN
    }
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, check)
    try:
        yield settle
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if came and is_program else handler)


def _is_writable(descriptor: int) -> bool:
    """Return whether a write would not wait for a reader."""
    try:
        return bool(select.select([], [descriptor], [], 0)[1])
    except (OSError, ValueError):  # it is closed, so no write waits
        return True


def stopped(stop: StopError, display: Display, kept: str) -> int:
    """Report a signal and the partial downloads, and return the exit status."""
    status = 128 + stop.number
    display.close()
    lines = [f"{stop}; {kept}", "  hint: run the same command again to resume"] if kept else [str(stop)]
    display.message("error", "\n".join(lines), {"status": status})
    return status
