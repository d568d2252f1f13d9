"""The settings of a command: from the command line, the environment, stdin and stdout."""

from __future__ import annotations

import argparse
import getpass
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypedDict, cast

import platformdirs

from imgfetch import errors
from imgfetch.archive.output import is_terminal
from imgfetch.auth import credentials
from imgfetch.auth.keyring import Keyring
from imgfetch.cli import lists, parse
from imgfetch.cli.options import usage
from imgfetch.cli.shared_options import PLATFORM, SIGNATURES
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci.names import ImageRequest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.policy import SignaturePolicy
from imgfetch.oci.reference import Reference
from imgfetch.registry.access import RegistryConfig
from imgfetch.store.directory import StoreDirectory
from imgfetch.text import format_some, sanitize

_MAX_PASSWORD = 64 * 1024
_MAX_NAMED = 5

_logger = logging.getLogger(__name__)


def access(arguments: argparse.Namespace) -> RegistryConfig:
    """Return the settings for access to registries."""
    if arguments.anonymous and (arguments.username or arguments.authfile):
        usage(arguments, "--anonymous cannot be combined with --username or --authfile")
    if arguments.password_stdin and not arguments.username:
        usage(arguments, "--password-stdin needs --username")
    given = vars(arguments)
    asked = [image.reference for image in given.get("wished", ())] or list(given.get("references", ()))
    asked += [*given.get("base", ()), given.get("target", "")]
    registries = sorted({each.registry for each in asked if isinstance(each, Reference)})
    if arguments.username and len(registries) > 1:
        usage(
            arguments,
            "--username applies to one registry, but the images come from several: "
            f"{format_some(registries, _MAX_NAMED)}; log in to each with imgfetch login REGISTRY",
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
        password=password(arguments) if arguments.username else "",
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


def policy(arguments: argparse.Namespace) -> SignaturePolicy | None:
    """Return the policy for signatures that the options make, if there are any."""
    if all(vars(arguments)[option.name] in (None, []) for option in SIGNATURES.options):
        return None
    from imgfetch.cli import signers  # noqa: PLC0415  # few commands verify signatures

    return signers.policy(arguments)


def images(arguments: argparse.Namespace) -> list[ImageRequest]:
    """Return the images of the command line, and then those in the files of `--images`."""
    check_stdin(arguments)
    given = (ImageRequest(reference.with_default_tag()) for reference in arguments.references)
    return [*given, *lists.read_images(arguments.images)]


def check_stdin(arguments: argparse.Namespace) -> None:
    """Report a usage error if stdin would be read twice, or is closed: another file may have its number then."""
    given = vars(arguments)
    settings = [given.get("authfile"), given.get("trusted_root"), *(given.get("ca_file") or ()), *given.get("key", ())]
    archives = [*given.get("base", []), *given.get("from", [])]
    archives += map(given.get, ("target", "file", "old", "new", "patch_from"))
    readers = ["the list of images"] * sum(map(lists.is_stdin, given.get("images", [])))
    readers += ["the password"] if given.get("password_stdin") else []
    readers += ["a file with settings"] * sum(map(lists.is_stdin, settings))
    readers += ["an archive"] * sum(map(lists.is_stdin, archives))
    readers += ["a patch"] * sum(map(lists.is_stdin, given.get("patches", [])))
    if len(readers) > 1:
        one, other, *_ = readers
        given_twice = f"{one} twice" if one == other else f"both {one} and {other}"
        usage(arguments, f"stdin cannot be {given_twice}; read one of them from a file")
    if readers and sys.stdin is None:
        usage(arguments, f"cannot read {readers[0]} from stdin, which is closed; name a file")


def default_platform(arguments: argparse.Namespace) -> Platform | None:
    """Return the platform that the environment names, if any."""
    platforms = cast(list[Platform], PLATFORM.from_environment(arguments, os.environ))
    return next(iter(platforms), None)


def keyring(arguments: argparse.Namespace) -> Keyring:
    """Return the storage of credentials."""
    home = None
    with suppress(RuntimeError):  # no HOME, and no such user
        home = Path.home()
    file = credentials.own_file(os.environ, home, arguments.authfile)
    if file is None:
        raise errors.StorageError(
            "cannot find docker's config.json: there is no home directory", hint="pass --authfile"
        )
    return Keyring(file, os.environ.get("PATH", ""))


def retries(arguments: argparse.Namespace) -> RetryPolicy:
    """Return the policy for retries."""
    return RetryPolicy(retries=arguments.retries, max_wait=arguments.max_wait, timeout=arguments.timeout)


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


def output(arguments: argparse.Namespace) -> str | BinaryIO:
    """Return the path of the archive, or stdout unless it is a terminal."""
    if arguments.output == "-" and sys.stdout is None:
        usage(arguments, "stdout is closed; use -o FILE")
    chosen: str | BinaryIO = sys.stdout.buffer if arguments.output == "-" else str(arguments.output)
    if is_terminal(chosen):
        kind = "a patch" if arguments.command == "patch" or vars(arguments).get("patch_from") else "an archive"
        usage(arguments, f"refusing to write {kind} to the terminal; use -o FILE or redirect stdout")
    return chosen


def refuse_to_replace(path: str, arguments: argparse.Namespace) -> None:
    """Report a usage error if the output is an archive that is read."""
    with suppress(OSError):
        if arguments.output != "-" and Path(arguments.output).samefile(path):
            usage(
                arguments, f"-o {sanitize(arguments.output)} would replace the archive that is read; name another file"
            )


def refuse_archive_name(arguments: argparse.Namespace, writer: str) -> None:
    """Report a usage error if a patch would have the name of an archive."""
    if parse.is_archive(arguments.output):
        shown = sanitize(arguments.output)
        usage(arguments, f"{writer} writes a patch, but -o {shown} names an archive; name it such as NEW.patch")


def password(arguments: argparse.Namespace) -> str:
    """Read the password from stdin, or ask for it at the terminal."""
    if sys.stdin is not None and sys.stdin.isatty():
        entered = ""
        with suppress(EOFError, UnicodeDecodeError):
            entered = getpass.getpass(f"Password of {sanitize(arguments.username)}: ")
        return entered or usage(arguments, "the password is empty, or not in the encoding of the terminal")
    if not arguments.password_stdin:
        usage(arguments, "--username needs a password: pass it on stdin with --password-stdin, or use a terminal")
    line = sys.stdin.buffer.readline(_MAX_PASSWORD + 1) if sys.stdin else b""
    password = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
    if not password:
        usage(arguments, "--password-stdin found no password on stdin")
    if len(line) > _MAX_PASSWORD:
        usage(arguments, f"--password-stdin found a line of more than {_MAX_PASSWORD} bytes on stdin, not a password")
    return password
