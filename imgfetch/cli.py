"""Arguments, environment, terminal, exit status."""

from __future__ import annotations

import argparse
import io
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import BinaryIO, NoReturn

import platformdirs

from imgfetch import errors, ustar
from imgfetch.display import DISPLAYS, Display
from imgfetch.docker_archive import DEFAULT_MTIME
from imgfetch.platforms import Platform
from imgfetch.printable import clean, quoted, size
from imgfetch.pull import DEFAULT_JOBS, FORMATS, Saved, save
from imgfetch.reference import Reference
from imgfetch.version import VERSION

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
USAGE = 2
INTERRUPTED = 130

MAX_JOBS = 64
_MAX_MESSAGE = 4000
_VERBOSITY = (logging.WARNING, logging.INFO, logging.DEBUG)


class _SignalError(BaseException):
    """A signal came; like KeyboardInterrupt, it is no error of the program."""

    def __init__(self, number: int, how: str) -> None:
        super().__init__(how)
        self.number = number
        self.how = how


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    arguments = _parser().parse_args(argv)
    _fill_in(arguments, os.environ)
    display = _display(arguments)
    with _logging_to(display, _VERBOSITY[min(arguments.verbose, 2)]), _catching_signals():
        status = _run(arguments, display)
    if status:
        _give_up_stdout()
    return status


def _run(arguments: argparse.Namespace, display: Display) -> int:
    """Carry a command out, and turn its failure into words and a status."""
    try:
        run: Callable[[argparse.Namespace, Display], int] = arguments.run
        return run(arguments, display)
    except errors.ImgfetchError as error:
        return _report(error, display)
    except KeyboardInterrupt:
        return _stopped("interrupted", INTERRUPTED, arguments, display)
    except _SignalError as stop:
        return _stopped(stop.how, 128 + stop.number, arguments, display)
    finally:
        display.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="imgfetch", description="Take a container image from a registry to a file, without a container engine."
    )
    parser.add_argument("--version", action="version", version=f"imgfetch {VERSION}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_save(commands.add_parser("save", help="pull images, verify them, write an archive", epilog=_EPILOG))
    return parser


_EPILOG = (
    "environment: DOCKER_DEFAULT_PLATFORM, IMGFETCH_CACHE_DIR, IMGFETCH_JOBS, IMGFETCH_PROGRESS, SOURCE_DATE_EPOCH. "
    "exit status: 0 done; 1 not an image, unsupported; 2 usage; 3 not found; 4 access; 5 network; "
    "6 verification; 7 disk; 130, 143 interrupted, terminated"
)


def _add_save(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "references",
        metavar="REF",
        nargs="+",
        type=_reference,
        help="what to pull: [REGISTRY/]REPOSITORY[:TAG][@DIGEST]",
    )
    add("-o", "--output", metavar="FILE", default="-", help="the archive; '-', the default, is stdout")
    add(
        "--platform",
        metavar="OS/ARCH[/VARIANT]",
        type=_platform,
        help="the machine that the image is for (default: $DOCKER_DEFAULT_PLATFORM, else linux on this architecture)",
    )
    add("--format", choices=sorted(FORMATS), default="docker", help="the kind of archive (default: %(default)s)")
    add("-j", "--jobs", metavar="N", type=_jobs, help=f"layers fetched at a time (default: {DEFAULT_JOBS})")
    add("--cache-dir", metavar="DIR", help="where verified blobs are kept (default: the user's cache directory)")
    add("--no-cache", action="store_true", help="keep no blobs")
    add("--strict", action="store_true", help="fail where something odd is otherwise tolerated with a warning")
    add("-q", "--quiet", action="store_true", help="no progress and no summary; warnings and errors are shown")
    add(
        "--progress",
        metavar="|".join(_PROGRESS),
        type=_progress,
        help="on stderr (default: auto, which is bar on a terminal and plain elsewhere)",
    )
    add("-v", "--verbose", action="count", default=0, help="log requests; twice for more")
    parser.set_defaults(run=_save, usage_error=parser.error, source_date_epoch=None)


def _fill_in(arguments: argparse.Namespace, environment: Mapping[str, str]) -> None:
    """Take from the environment, and then from the defaults, what the command line does not say."""
    for name, (variable, parse, default) in _VARIABLES.items():
        if getattr(arguments, name) is not None:
            continue
        value = environment.get(variable)
        try:
            setattr(arguments, name, parse(value) if value else default())
        except argparse.ArgumentTypeError as error:
            _usage(arguments, f"${variable}: {error}")


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


def _output(arguments: argparse.Namespace) -> str | BinaryIO:
    if arguments.output != "-":
        return str(arguments.output)
    if sys.stdout is None:
        _usage(arguments, "stdout is closed: name a file with -o")
    if sys.stdout.isatty():
        _usage(arguments, "an archive is not for a terminal: name a file with -o, or send stdout somewhere")
    return sys.stdout.buffer


def _usage(arguments: argparse.Namespace, message: str) -> NoReturn:
    error: Callable[[str], NoReturn] = arguments.usage_error
    error(message)


def _reference(text: str) -> Reference:
    try:
        return Reference.parse(text)
    except errors.InvalidReferenceError as error:
        raise argparse.ArgumentTypeError(_with_hint(error)) from None


def _platform(text: str) -> Platform:
    try:
        return Platform.parse(text)
    except errors.InvalidPlatformError as error:
        raise argparse.ArgumentTypeError(_with_hint(error)) from None


def _jobs(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MAX_JOBS):  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number from 1 to {MAX_JOBS}")
    return int(text)


def _progress(text: str) -> str:
    if text not in _PROGRESS:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is none of {', '.join(_PROGRESS)}")
    return text


def _epoch(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= ustar.MAX_OCTAL):  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number of seconds since 1970 that fits in a tar")
    return int(text)


_PROGRESS = ("auto", *DISPLAYS)

_VARIABLES: Mapping[str, tuple[str, Callable[[str], object], Callable[[], object]]] = {
    "platform": ("DOCKER_DEFAULT_PLATFORM", _platform, lambda: None),
    "jobs": ("IMGFETCH_JOBS", _jobs, lambda: DEFAULT_JOBS),
    "cache_dir": ("IMGFETCH_CACHE_DIR", str, lambda: None),
    "progress": ("IMGFETCH_PROGRESS", _progress, lambda: "auto"),
    "source_date_epoch": ("SOURCE_DATE_EPOCH", _epoch, lambda: DEFAULT_MTIME),
}
"""What the environment says of an argument: the variable, its reading, and what holds without it."""


def _with_hint(error: errors.ImgfetchError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)


def _display(arguments: argparse.Namespace) -> Display:
    name = arguments.progress
    if name == "auto":
        name = "bar" if sys.stderr and sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else "plain"
    if arguments.quiet and name != "json":
        name = "none"
    return DISPLAYS[name](sys.stderr or io.StringIO())


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
    while isinstance(cause, errors.ImgfetchError):
        causes.append(clean(str(cause), _MAX_MESSAGE))
        hint = hint or cause.hint
        cause = cause.__cause__
    message = clean(str(error), _MAX_MESSAGE)
    lines = [message, *(f"  cause: {cause}" for cause in causes), *([f"  hint: {clean(hint)}"] if hint else [])]
    details = {"status": status, "error": message, "causes": causes, "hint": hint}
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
