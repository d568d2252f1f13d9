"""Arguments, environment, terminal, exit status."""

from __future__ import annotations

import argparse
import io
import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import BinaryIO, NoReturn

import platformdirs

from imgfetch import errors
from imgfetch.access import Access
from imgfetch.display import DISPLAYS, Display
from imgfetch.options import fill_in, parser, usage
from imgfetch.printable import clean, size
from imgfetch.pull import Saved, save

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
"""By the first class of an error's ancestry that stands here."""
INTERRUPTED = 130

_MAX_MESSAGE = 4000
_MAX_CAUSES = 8
_MAX_PASSWORD = 64 * 1024
_VERBOSITY = (logging.WARNING, logging.INFO, logging.DEBUG)


class _SignalError(BaseException):
    """A signal came; like KeyboardInterrupt, it is no error of the program."""

    def __init__(self, number: int, how: str) -> None:
        super().__init__(how)
        self.number = number
        self.how = how


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    warnings.filterwarnings("ignore", message="Unverified HTTPS request")  # we say so ourselves (S33)
    arguments = parser().parse_args(argv)
    fill_in(arguments, os.environ)
    display = _display(arguments)
    with _logging_to(display, _VERBOSITY[min(arguments.verbose, 2)]), _catching_signals():
        status = _run(arguments, display)
    if status:
        _give_up_stdout()
    return status


def _run(arguments: argparse.Namespace, display: Display) -> int:
    """Carry a command out, and turn its failure into words and a status."""
    try:
        return _COMMANDS[arguments.command](arguments, display)
    except errors.ImgfetchError as error:
        return _report(error, display)
    except KeyboardInterrupt:
        return _stopped("interrupted", INTERRUPTED, arguments, display)
    except _SignalError as stop:
        return _stopped(stop.how, 128 + stop.number, arguments, display)
    finally:
        display.close()


def _save(arguments: argparse.Namespace, display: Display) -> int:
    began = time.monotonic()
    output = _output(arguments)
    saved = save(
        arguments.references,
        output,
        platform=arguments.platform,
        archive_format=arguments.format,
        jobs=arguments.jobs,
        cache_dir=_cache(arguments),
        source_date_epoch=arguments.source_date_epoch,
        strict=arguments.strict,
        access=_access(arguments),
        progress=display,
    )
    display.close()
    if not arguments.quiet:
        _summarize(saved, arguments.output, time.monotonic() - began, display)
    return 0


def _summarize(saved: Saved, output: str, seconds: float, display: Display) -> None:
    """Say what was saved: name, digest, platform, size, seconds."""
    target = "stdout" if output == "-" else clean(output)
    images = "; ".join(
        f"{', '.join(str(reference) for reference in image.references)} {image.digest} {image.platform}"
        for image in saved.images
    )
    details = {
        "output": output,
        "size": saved.size,
        "seconds": round(seconds, 3),
        "images": [
            {
                "references": [str(reference) for reference in image.references],
                "digest": str(image.digest),
                "image_id": str(image.image_id),
                "platform": str(image.platform),
            }
            for image in saved.images
        ],
    }
    display.message("saved", f"saved {images}, {size(saved.size)} to {target} in {seconds:.1f} s", details)


def _cache(arguments: argparse.Namespace) -> str | None:
    if arguments.no_cache:
        return None
    try:
        return str(arguments.cache_dir or platformdirs.user_cache_dir("imgfetch", appauthor=False))
    except RuntimeError as error:  # no HOME, and no such user
        raise errors.StorageError(
            f"there is no directory to keep blobs in: {error}", hint="choose a --cache-dir, or --no-cache"
        ) from None


def _access(arguments: argparse.Namespace) -> Access:
    """Return what the options and the environment give to reach registries with."""
    if arguments.anonymous and (arguments.username or arguments.authfile):
        usage(arguments, "--anonymous goes with neither --username nor --authfile")
    if bool(arguments.username) != arguments.password_stdin:
        usage(arguments, "--username and --password-stdin go together")
    registries = sorted({reference.registry for reference in arguments.references})
    if arguments.username and len(registries) > 1:
        usage(arguments, f"--username is for one registry, and these are several: {', '.join(registries)}")
    if arguments.username is not None and ":" in arguments.username:
        usage(arguments, "a user name has no ':'; the password comes with --password-stdin")
    return Access.from_environment(
        os.environ,
        anonymous=arguments.anonymous,
        username=arguments.username or "",
        password=_password(arguments) if arguments.password_stdin else "",
        authfile=arguments.authfile,
        ca_files=arguments.ca_file,
        certs_dir=arguments.certs_dir,
        insecure=arguments.insecure,
        plain_http=arguments.plain_http,
        mirrors_first=None if arguments.no_mirror else arguments.mirror,
        trust_realms=arguments.trust_realm,
        realm_overrides=dict(arguments.realm_override),
    )


def _password(arguments: argparse.Namespace) -> str:
    line = sys.stdin.buffer.readline(_MAX_PASSWORD) if sys.stdin else b""
    password = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
    if not password:
        usage(arguments, "--password-stdin finds no password on stdin")
    return password


def _output(arguments: argparse.Namespace) -> str | BinaryIO:
    if arguments.output != "-":
        return str(arguments.output)
    if sys.stdout is None:
        usage(arguments, "stdout is closed: name a file with -o")
    if sys.stdout.isatty():
        usage(arguments, "an archive is not for a terminal: name a file with -o, or send stdout somewhere")
    return sys.stdout.buffer


def _display(arguments: argparse.Namespace) -> Display:
    name = arguments.progress
    if name == "auto":
        name = "bar" if sys.stderr and sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else "plain"
    if arguments.quiet and name != "json":
        name = "none"
    return DISPLAYS[name](sys.stderr or io.StringIO())


_COMMANDS: Mapping[str, Callable[[argparse.Namespace, Display], int]] = {"save": _save}


class _Handler(logging.Handler):
    """Sends log records to the display, which knows where bars are drawn."""

    def __init__(self, display: Display) -> None:
        super().__init__()
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        kind = "warning" if record.levelno >= logging.WARNING else "info"
        self._display.message(kind, clean(record.getMessage(), _MAX_MESSAGE))


@contextmanager
def _logging_to(display: Display, level: int) -> Iterator[None]:
    handler = _Handler(display)
    logger = logging.getLogger("imgfetch")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


def _report(error: errors.ImgfetchError, display: Display) -> int:
    """Show an error, its causes and what to do, and return the exit status."""
    status = next(EXIT_STATUS[cls] for cls in type(error).__mro__ if cls in EXIT_STATUS)
    causes: list[str] = []
    hint = error.hint
    cause = error.__cause__
    while isinstance(cause, errors.ImgfetchError) and len(causes) < _MAX_CAUSES:
        causes.append(clean(str(cause), _MAX_MESSAGE))
        hint = hint or cause.hint
        cause = cause.__cause__
    message = clean(str(error), _MAX_MESSAGE)
    told = [f"  {clean(line, _MAX_MESSAGE)}" for line in error.details]
    told += [f"  cause: {cause}" for cause in causes if not told]
    notes = [clean(note, _MAX_MESSAGE) for note in getattr(error, "__notes__", ())]
    told += [f"  before: {note}" for note in notes]
    lines = [message, *told, *([f"  hint: {clean(hint)}"] if hint else [])]
    details = {
        "status": status,
        "error": message,
        "causes": causes,
        "details": error.details,
        "before": notes,
        "hint": hint,
    }
    display.close()
    display.message("error", "\n".join(lines), details)
    return status


def _stopped(how: str, status: int, arguments: argparse.Namespace, display: Display) -> int:
    display.close()
    kept = "" if arguments.no_cache else "; complete layers are kept in the cache"
    display.message("error", f"{how}{kept}\n  hint: run the same command again to go on", {"status": status})
    return status


@contextmanager
def _catching_signals() -> Iterator[None]:
    """Make SIGTERM, and SIGHUP unless it is ignored as under nohup, end the block as SIGINT does."""

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        raise _SignalError(number, "terminated" if number == signal.SIGTERM else "hung up")

    caught = [signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        caught.append(hangup)
    before = {number: signal.signal(number, stop) for number in caught}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _give_up_stdout() -> None:
    """Keep the interpreter from writing to a stdout that failed when it ends, which would change the exit status."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        return
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
