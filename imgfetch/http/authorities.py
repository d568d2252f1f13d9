"""Authorities that sign the certificates of servers: the system's, and those in files and directories.

A context has them from its beginning, so connections neither read files nor wait for each other.  OpenSSL needs 30 ms
or more for the system's, so all hosts that need no others share one context.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
import threading
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from imgfetch.errors import StorageError
from imgfetch.inputs import read_settings
from imgfetch.text import sanitize

_STORES = (
    "/etc/ssl/cert.pem",  # Alpine, Arch, RHEL 9
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora 44
    "/etc/pki/tls/cert.pem",  # RHEL 8
    "/etc/ssl/certs/ca-certificates.crt",  # Debian
    "/etc/ssl/ca-bundle.pem",  # SUSE
)
"""The system's authorities, for a Python whose own OpenSSL looks for them elsewhere."""
_NOT_ASCII = re.compile(rb"[^\x00-\x7f]")  # in comments, which OpenSSL skips
_HASHED = re.compile(r"[0-9a-f]{8}\.r?[0-9]+")

_lock = threading.Lock()
_logger = logging.getLogger(__name__)


def new_context() -> ssl.SSLContext:
    """Require TLS 1.2, and accept chains that end at any trusted certificate, self-signed or not, as Go does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def system_context() -> ssl.SSLContext:
    """Return the context of all hosts that need the system's authorities alone, which nobody may change.

    Like Go, imgfetch reads them once in a process, unless variables for OpenSSL change.
    """
    with _lock:
        return _system_context(ssl.get_default_verify_paths())


@cache
def _system_context(_: ssl.DefaultVerifyPaths) -> ssl.SSLContext:
    context = new_context()
    add_system(context)
    return context


def add_system(context: ssl.SSLContext) -> None:
    """Trust the system's authorities, wherever the distribution has them."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile or (paths.capath and any(_hashed(listed(Path(paths.capath))))):
        context.set_default_verify_paths()
    elif store := next(filter(os.path.isfile, _STORES), None):
        add_file(context, Path(store), source="the system's authorities in")


def add_file(context: ssl.SSLContext, path: Path, *, source: str = "") -> None:
    """Trust a file's authorities; like docker and podman, skip a ``*.crt`` of a directory that has none."""
    try:
        context.load_verify_locations(cadata=_NOT_ASCII.sub(b"?", read_settings(path)).decode("ascii"))
    except (OSError, ValueError) as error:  # a `ValueError` if the file is empty
        is_content = isinstance(error, (ssl.SSLError, ValueError))
        reason = "not a valid PEM certificate" if is_content else getattr(error, "strerror", "")
        message = f"{source or 'cannot use'} {sanitize(str(path))}: {reason}"
        if source or isinstance(error, PermissionError):
            is_there = source and not isinstance(error, FileNotFoundError)
            hint = f"{source} expects CA certificates in PEM form" if is_there else None
            raise StorageError(message, hint=hint) from error
        _logger.warning("%s; skipping it", message)


def add_directories(context: ssl.SSLContext, directories: Path, source: str) -> None:
    """Trust the authorities in directories by the rules of OpenSSL, which opens a file there when it needs it."""
    paths = (path for directory in str(directories).split(os.pathsep) for path in listed(Path(directory)))
    for path in _hashed(paths):
        try:
            read_settings(path)
        except (FileNotFoundError, PermissionError, IsADirectoryError):  # OpenSSL skips it
            continue
        except OSError as error:
            raise StorageError(f"{source} {sanitize(str(path))}: {error.strerror}", hint="remove it") from error
    context.load_verify_locations(capath=directories)


def listed(directory: Path) -> list[Path]:
    """Return the entries of a directory by name; none if it cannot be read."""
    try:
        return sorted(directory.iterdir())
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            _logger.debug("skipping %s: %s", sanitize(str(directory)), error.strerror)
        return []


def _hashed(paths: Iterable[Path]) -> Iterable[Path]:
    """Return the files that OpenSSL may open in a directory, by their names."""
    return (path for path in paths if _HASHED.fullmatch(path.name))
