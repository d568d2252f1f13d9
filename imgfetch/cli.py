"""Arguments, environment, terminal, exit status."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NoReturn

import platformdirs

from imgfetch import errors, ustar
from imgfetch.display import DISPLAYS, Display
from imgfetch.docker_archive import DEFAULT_MTIME
from imgfetch.platforms import Platform
from imgfetch.printable import clean, size
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
TERMINATED = 143

MAX_JOBS = 64
_MAX_MESSAGE = 4000
_VERBOSITY = (logging.WARNING, logging.INFO, logging.DEBUG)


class _Terminated(BaseException):
    """SIGTERM came; like KeyboardInterrupt, it is no error."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    arguments = _parser(os.environ).parse_args(argv)
    display = _display(arguments)
    handler = _log_to(display, _VERBOSITY[min(arguments.verbose, 2)])
    signal.signal(signal.SIGTERM, _terminate)
    try:
        run: Callable[[argparse.Namespace, Display], int] = arguments.run
        return run(arguments, display)
    except errors.ImgfetchError as error:
        return _report(error, display)
    except KeyboardInterrupt:
        return _stopped("interrupted", INTERRUPTED, arguments, display)
    except _Terminated:
        return _stopped("terminated", TERMINATED, arguments, display)
    finally:
        display.close()
        logging.getLogger("imgfetch").removeHandler(handler)


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="imgfetch", description="Take a container image from a registry to a file, without a container engine."
    )
    parser.add_argument("--version", action="version", version=f"imgfetch {VERSION}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_save(
        commands.add_parser("save", help="pull images, verify them, write an archive", epilog=_EPILOG), environment
    )
    return parser


_EPILOG = (
    "exit status: 0 done; 1 not an image, unsupported; 2 usage; 3 not found; 4 access; 5 network; "
    "6 verification; 7 disk; 130, 143 interrupted, terminated"
)


def _add_save(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
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
        default=environment.get("DOCKER_DEFAULT_PLATFORM") or None,
        help="the machine that the image is for (default: $DOCKER_DEFAULT_PLATFORM, else linux on this architecture)",
    )
    add("--format", choices=sorted(FORMATS), default="docker", help="the kind of archive (default: %(default)s)")
    add(
        "-j",
        "--jobs",
        metavar="N",
        type=_jobs,
        default=environment.get("IMGFETCH_JOBS") or str(DEFAULT_JOBS),
        help="layers fetched at a time (default: $IMGFETCH_JOBS, else 4)",
    )
    add(
        "--cache-dir",
        metavar="DIR",
        default=environment.get("IMGFETCH_CACHE_DIR") or platformdirs.user_cache_dir("imgfetch", appauthor=False),
        help="where verified blobs are kept (default: $IMGFETCH_CACHE_DIR, else %(default)s)",
    )
    add("--no-cache", action="store_true", help="keep no blobs")
    add("--strict", action="store_true", help="fail where something odd is otherwise tolerated with a warning")
    add("-q", "--quiet", action="store_true", help="no progress and no summary; warnings and errors are shown")
    add(
        "--progress",
        choices=["auto", *DISPLAYS],
        default=environment.get("IMGFETCH_PROGRESS") or "auto",
        help="on stderr (default: $IMGFETCH_PROGRESS, else bars on a terminal and plain lines elsewhere)",
    )
    add("-v", "--verbose", action="count", default=0, help="log requests; twice for more")
    parser.set_defaults(run=_save, source_date_epoch=environment.get("SOURCE_DATE_EPOCH"), usage_error=parser.error)


def _save(arguments: argparse.Namespace, display: Display) -> int:
    began = time.monotonic()
    output = _output(arguments)
    saved = save(
        arguments.references,
        output,
        platform=arguments.platform,
        archive_format=arguments.format,
        jobs=arguments.jobs,
        cache_dir=None if arguments.no_cache else arguments.cache_dir,
        source_date_epoch=_epoch(arguments),
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


def _output(arguments: argparse.Namespace) -> str | BinaryIO:
    if arguments.output != "-":
        return str(arguments.output)
    if sys.stdout.isatty():
        _usage(arguments, "an archive is not for a terminal: name a file with -o, or send stdout somewhere")
    return sys.stdout.buffer


def _epoch(arguments: argparse.Namespace) -> int:
    text = arguments.source_date_epoch
    if not text:
        return DEFAULT_MTIME
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= ustar.MAX_OCTAL):  # noqa: PLR2004
        _usage(arguments, f"SOURCE_DATE_EPOCH is no number of seconds since 1970 that fits in a tar: {clean(text)!r}")
    return int(text)


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
        raise argparse.ArgumentTypeError(f"{clean(text)!r} is no number from 1 to {MAX_JOBS}")
    return int(text)


def _with_hint(error: errors.ImgfetchError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)


def _display(arguments: argparse.Namespace) -> Display:
    name = arguments.progress
    if name == "auto":
        name = "bar" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else "plain"
    if arguments.quiet and name != "json":
        name = "none"
    return DISPLAYS[name](sys.stderr)


class _Handler(logging.Handler):
    """Sends log records to the display, which knows where bars are drawn."""

    def __init__(self, display: Display) -> None:
        super().__init__()
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        kind = "warning" if record.levelno >= logging.WARNING else "info"
        self._display.message(kind, clean(record.getMessage(), _MAX_MESSAGE))


def _log_to(display: Display, level: int) -> logging.Handler:
    handler = _Handler(display)
    logger = logging.getLogger("imgfetch")
    logger.addHandler(handler)
    logger.setLevel(level)
    return handler


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
    kept = "" if arguments.no_cache else f"; complete layers are kept in {clean(str(Path(arguments.cache_dir)))}"
    display.message("error", f"{how}{kept}\n  hint: run the same command again to go on", {"status": status})
    return status


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated
