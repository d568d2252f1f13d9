"""The settings of a command: from the command line, the environment, stdin and stdout."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypedDict, cast

import platformdirs

from imgfetch import errors
from imgfetch.archive.output import is_terminal, regular
from imgfetch.cli.options import usage
from imgfetch.cli.shared_options import PLATFORM
from imgfetch.files import storage_errors
from imgfetch.http.retries import RetryPolicy
from imgfetch.inputs import STDIN, own_descriptor, read_settings
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.registry.access import RegistryConfig
from imgfetch.store.directory import StoreDirectory
from imgfetch.text import sanitize

MAX_LINES = 10_000
_MAX_LINE = 10_000
_MAX_PASSWORD = 64 * 1024

_logger = logging.getLogger(__name__)


def access(arguments: argparse.Namespace) -> RegistryConfig:
    """Return the settings for access to registries."""
    if arguments.anonymous and (arguments.username or arguments.authfile):
        usage(arguments, "--anonymous cannot be combined with --username or --authfile")
    if bool(arguments.username) != arguments.password_stdin:
        usage(arguments, "--username and --password-stdin must be used together")
    asked = [*getattr(arguments, "references", ()), *getattr(arguments, "base", ()), getattr(arguments, "target", "")]
    registries = sorted({each.registry for each in asked if isinstance(each, Reference)})
    if arguments.username and len(registries) > 1:
        usage(
            arguments, f"--username applies to one registry, but the images come from several: {', '.join(registries)}"
        )
    if arguments.username is not None and ":" in arguments.username:
        usage(arguments, "a user name cannot contain ':'; pass the password with --password-stdin")
    overrides = dict(arguments.realm_override)
    if len(overrides) < len(set(arguments.realm_override)):
        usage(arguments, "--realm-override names a HOST twice with different URLs; give one URL for each HOST")
    return RegistryConfig.from_environment(
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
        realm_overrides=overrides,
    )


class ClientSettings(TypedDict):
    """The arguments of `Client` that come from the command line."""

    config: RegistryConfig
    retries: RetryPolicy
    timeout: float
    strict: bool


def client_settings(arguments: argparse.Namespace) -> ClientSettings:
    """Return the settings of the client that carries out a command."""
    return {
        "config": access(arguments),
        "retries": retries(arguments),
        "timeout": arguments.timeout,
        "strict": arguments.strict,
    }


def references(arguments: argparse.Namespace) -> list[Reference]:
    """Return the references of the command line, and then those in the files of `--images`."""
    check_stdin(arguments)
    found = [*arguments.references, *listed(arguments)]
    if not found:
        usage(arguments, "no image given; the lists are empty")
    return found


def check_stdin(arguments: argparse.Namespace) -> None:
    """Report a usage error if stdin would be read twice."""
    given = vars(arguments)
    settings = [given.get("authfile"), *(given.get("ca_file") or ())]
    archives = [*given.get("base", []), given.get("target"), given.get("file")]
    readers = ["the list of images"] * sum(map(_is_stdin, given.get("images", [])))
    readers += ["the password"] if given.get("password_stdin") else []
    readers += ["a file with settings"] * sum(map(_is_stdin, settings))
    readers += ["an archive"] * sum(map(_is_stdin, archives))
    if len(readers) > 1:
        one, other, *_ = readers
        given_twice = f"{one} twice" if one == other else f"both {one} and {other}"
        usage(arguments, f"stdin cannot be {given_twice}; read one of them from a file")


def listed(arguments: argparse.Namespace) -> Iterator[Reference]:
    """Yield the references in the files of `--images`."""
    for name in arguments.images:
        path, shown = (STDIN, "stdin") if name == "-" else (name, sanitize(name))
        if _is_stdin(path) and sys.stdin is None:
            continue
        with storage_errors(shown, "read"):
            content = read_settings(path)
        lines = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", errors="backslashreplace")
        yield from read_list(lines, shown)


def _is_stdin(name: object) -> bool:
    return name == "-" or (isinstance(name, (str, Path)) and own_descriptor(name) == 0)


def read_list(lines: Iterable[str], name: str) -> list[Reference]:
    """Return the references in a file, one a line, in their order; ``name`` is the file's name in messages."""
    references = []
    for number, line in enumerate(lines, 1):
        if number > MAX_LINES or len(line) > _MAX_LINE:
            raise errors.InvalidReferenceError(
                f"{name} is not a list of images: it has too many lines, or lines that are too long"
            )
        # No reference contains "#", so it begins a comment.  Some editors write a byte order mark at the start.
        text = line.removeprefix("\ufeff" if number == 1 else "").partition("#")[0].strip()
        if not text:
            continue
        try:
            references.append(Reference.parse(text))
        except errors.InvalidReferenceError as error:
            raise errors.InvalidReferenceError(f"line {number} of {name}: {error}", hint=error.hint) from None
    return references


def default_platform(arguments: argparse.Namespace) -> Platform | None:
    """Return the platform that the environment names, if any."""
    platforms = cast(list[Platform], PLATFORM.from_environment(arguments, os.environ))
    return next(iter(platforms), None)


def retries(arguments: argparse.Namespace) -> RetryPolicy:
    """Return the policy for retries."""
    return RetryPolicy(retries=arguments.retries, max_wait=arguments.max_wait)


def cache(arguments: argparse.Namespace) -> str | None:
    """Return the directory of the cache, or ``None`` with --no-cache, or if the default one must not be used."""
    if arguments.no_cache:
        return None
    if arguments.cache_dir:
        return str(arguments.cache_dir)
    try:
        directory = cache_directory(arguments)
        with suppress(OSError):  # the store will report it
            StoreDirectory(directory).open()
    except errors.StorageError as error:
        _logger.warning("%s; continuing without a cache", error)
        return None
    return str(directory)


def cache_directory(arguments: argparse.Namespace) -> Path:
    """Return the directory of the cache, which need not exist."""
    hint = "pass --cache-dir DIR or --no-cache"
    try:
        directory = Path(arguments.cache_dir or platformdirs.user_cache_dir("imgfetch", appauthor=False))
    except RuntimeError as error:  # no HOME, and no such user
        raise errors.StorageError(f"cannot find the user's cache directory: {error}", hint=hint) from None
    if not arguments.cache_dir and not directory.is_absolute():  # a relative XDG_CACHE_HOME is invalid
        directory = Path("~/.cache/imgfetch").expanduser()
    if not arguments.cache_dir and not directory.is_absolute():
        raise errors.StorageError("cannot find the user's cache directory: there is no home directory", hint=hint)
    return directory


def outputs(arguments: argparse.Namespace) -> list[tuple[Sequence[Reference], str]]:
    """Return the images of each archive, and its path; create the directory in --output-dir."""
    directory = arguments.output_dir
    if directory is None:
        return [(arguments.references, arguments.output)]
    paths: dict[str, Reference] = {}
    for reference in dict.fromkeys(each.with_default_tag() for each in arguments.references):
        path = str(directory / f"{(arguments.name or reference).file_name}.tar")
        if path in paths:
            usage(arguments, f"{paths[path]} and {reference} would both be saved to {sanitize(path)}; use -o FILE")
        paths[path] = reference
    for path in paths:
        regular(path)  # raises an error before the first download
    with storage_errors(directory, "create"):
        directory.mkdir(parents=True, exist_ok=True)
    return [([reference], path) for path, reference in paths.items()]


def output(arguments: argparse.Namespace) -> str | BinaryIO:
    """Return the path of the archive, or stdout unless it is a terminal."""
    if arguments.output == "-" and sys.stdout is None:
        usage(arguments, "stdout is closed; use -o FILE")
    chosen: str | BinaryIO = sys.stdout.buffer if arguments.output == "-" else str(arguments.output)
    if is_terminal(chosen):
        usage(arguments, "refusing to write an archive to the terminal; use -o FILE or redirect stdout")
    return chosen


def _password(arguments: argparse.Namespace) -> str:
    line = sys.stdin.buffer.readline(_MAX_PASSWORD + 1) if sys.stdin else b""
    password = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
    if not password:
        usage(arguments, "--password-stdin found no password on stdin")
    if len(line) > _MAX_PASSWORD:
        usage(arguments, f"--password-stdin found a line of more than {_MAX_PASSWORD} bytes on stdin, not a password")
    return password
