"""The command line, from the arguments to the exit status."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from imgfetch import errors, shortage
from imgfetch.cli import stdout
from imgfetch.cli.commands import fill_in
from imgfetch.cli.parser import parse
from imgfetch.text import sanitize
from imgfetch.version import VERSION

if TYPE_CHECKING:
    from imgfetch.cli.display import Display

_LACKING = 7


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    if argv is None and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C before and after the command ends it without a traceback
    try:
        return _main(argv)
    except errors.StorageError as error:  # of stdout
        message, lack = str(error), shortage.of(error)
    except Exception as error:
        message, lack = "", shortage.of(error)
        if lack is None:
            raise
    return _end(message, lack)


def _end(message: str, lack: shortage.Lack | None) -> int:
    """Report a failure without a display, for which there may be no memory, and return the exit status."""
    if lack:
        message = f"{message or lack.reason}\nimgfetch:   hint: {lack.hint}"
    if sys.stderr is not None:  # else another file may have its number
        with suppress(OSError):
            os.write(2, f"imgfetch: error: {message}\n".encode())
    stdout.give_up()
    return _LACKING


def _main(argv: Sequence[str] | None) -> int:
    warnings.filterwarnings("ignore", message="Unverified HTTPS request")  # imgfetch warns itself
    arguments = parse(sys.argv[1:] if argv is None else argv)
    if arguments.version:
        stdout.show(_versions() if arguments.above else [f"imgfetch {VERSION}"])
        return 0
    if not arguments.command:
        arguments.parser.overview()
    fill_in(arguments, os.environ)
    return _run(arguments, is_program=argv is None)


def _run(arguments: argparse.Namespace, *, is_program: bool) -> int:
    """Run a command, and report its failure or the signal that ends it."""
    # Imported late so that --help and --version stay fast.
    from imgfetch.cli import displays, report  # noqa: PLC0415

    display = displays.choose(arguments.progress, sys.stderr, os.environ, quiet=arguments.quiet)
    with report.caught(is_program=is_program) as settle:
        try:
            status = _status(arguments, display, settle)
            settle()
        except report.StopError as stop:
            status = report.stopped(stop, display, _kept(arguments, has_plan=display.has_plan))
    if status:
        stdout.give_up()
    return status


def _status(arguments: argparse.Namespace, display: Display, settle: Callable[[], None]) -> int:
    """Run a command, call ``settle``, and return the exit status; an error is reported instead."""
    from imgfetch.cli import report  # noqa: PLC0415
    from imgfetch.cli.display import logged  # noqa: PLC0415

    try:
        with logged(display, arguments.verbose, quiet=arguments.quiet):
            status: int = _imported(arguments.command).run(arguments, display)
            settle()
    except errors.ImgfetchError as error:
        return report.report(_advised(error, arguments), display, _kept(arguments, has_plan=display.has_plan))
    except Exception as error:
        lack = shortage.of(error)
        if lack is None:
            raise
        kept = _kept(arguments, has_plan=display.has_plan)
        return report.report(errors.ResourceError(lack.reason, hint=lack.hint), display, kept)
    finally:
        display.close()
    return status


def _imported(command: str) -> ModuleType:
    """Import a command's module.

    The garbage collector is disabled meanwhile, and never scans the modules later.  They contain no garbage, and the
    scans would take a tenth of the start's processor time.
    """
    name = f"imgfetch.cli.command_{command.partition(' ')[0]}"
    if name not in sys.modules:  # else a program has called `main` before, and may have left garbage
        gc.disable()
        try:
            import_module(name)
        finally:
            gc.freeze()
            gc.enable()
    return sys.modules[name]


def _advised(error: errors.ImgfetchError, arguments: argparse.Namespace) -> errors.ImgfetchError:
    """Return the error with a hint that depends on the command, if it has one."""
    if not isinstance(error, errors.StorageError):
        return error
    from imgfetch.cli.advice import advised  # noqa: PLC0415

    return advised(error, arguments)


def _kept(arguments: argparse.Namespace, *, has_plan: bool) -> str:
    """Return the place of the partial downloads, if there are any and they are kept."""
    if arguments.command == "push" and has_plan:
        return "uploaded blobs stay in the registry"
    if arguments.command != "save" or not has_plan:
        return ""
    from imgfetch.archive.checksums import CHECKSUMS  # noqa: PLC0415
    from imgfetch.cli.context import cache_directory  # noqa: PLC0415
    from imgfetch.store import workspace  # noqa: PLC0415
    from imgfetch.store.blobs import is_usable  # noqa: PLC0415

    directory: Path | None = arguments.output_dir
    output = directory / CHECKSUMS if directory else Path(arguments.output)
    with suppress(errors.StorageError):
        with workspace.kept(output) as folder:
            if (directory or arguments.output != "-") and folder:
                place = str(folder.path) if directory else f"{folder.path.name}, beside the output"
                return f"partial downloads are kept in {sanitize(place)}"
        cache = cache_directory(arguments)
        if not arguments.no_cache and workspace.has_layers(cache) and is_usable(cache):
            return "partial downloads are kept in the cache"
    return ""


def _versions() -> Iterator[str]:
    """Yield a line for each component that a bug report should name."""
    import importlib.metadata  # noqa: PLC0415
    import platform  # noqa: PLC0415
    import ssl  # noqa: PLC0415

    from imgfetch.layers import inflate  # noqa: PLC0415

    yield f"imgfetch {VERSION}"
    yield f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield f"gzip by {inflate.ENGINE}"
    yield ssl.OPENSSL_VERSION
    for name in ("requests", "urllib3", "zstandard", "tqdm", "platformdirs", "publicsuffixlist"):
        yield f"{name} {importlib.metadata.version(name)}"
