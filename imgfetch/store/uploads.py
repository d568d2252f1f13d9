"""Addresses of unfinished uploads in the cache, so that a killed push can continue them.

An address may hold a secret.  So each is in a file of this user alone, and one that another user could have written or
read is not used.  A lock keeps an upload for one process at a time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from imgfetch.errors import StorageError, VerificationError
from imgfetch.files import storage_errors
from imgfetch.oci import strictjson
from imgfetch.store.directory import UPLOADS, StoreDirectory
from imgfetch.store.flock import FileLock
from imgfetch.store.folder import Folder, is_secret

MAX_NOTE = 64 * 1024
_LIFE = 7 * 86400
"""Seconds for which an address is kept; registries remove uploads after some days."""
_LOCK = ".lock"

_logger = logging.getLogger(__name__)


class UploadNote:
    """The address of one upload, or the place for it; without a folder it is kept nowhere."""

    def __init__(self, folder: Folder | None = None, name: str = "") -> None:
        self._folder = folder
        self._name = name

    @property
    def address(self) -> str:
        """The address that an earlier run has left, or an empty text."""
        if self._folder is None:
            return ""
        with suppress(OSError, VerificationError), self._folder.open(self._name) as file:
            if is_secret(os.fstat(file.fileno())):
                note = strictjson.Object(strictjson.loads(file.read(MAX_NOTE), "the note"), "the note")
                return note.text("address")
        return ""

    def keep(self, address: str) -> None:
        """Keep an address; if the disk is full, a killed push only takes longer."""
        if self._folder is not None:
            with suppress(OSError):
                self._folder.write(self._name, json.dumps({"address": address}).encode())

    def forget(self) -> None:
        """Remove the address."""
        if self._folder is not None:
            with suppress(OSError):
                self._folder.remove(self._name)


class UploadNotes:
    """The unfinished uploads in a cache; without a cache there are none."""

    def __init__(self, cache: Path | None) -> None:
        self._directory = StoreDirectory(cache) if cache else None
        if cache is None:
            return
        try:
            with storage_errors(cache, "use"):
                self._remove_old(self._folder())
        except StorageError as error:
            _logger.warning("%s; if this push is interrupted, its uploads start over", error)
            self._directory = None

    @contextmanager
    def of(self, repository: str, digest: str) -> Iterator[UploadNote]:
        """Yield the note about the upload of a blob to a repository, for this process alone."""
        name = hashlib.sha256(f"{repository}@{digest}".encode()).hexdigest()
        with ExitStack() as stack:
            folder = None
            with suppress(OSError, StorageError):
                folder = self._folder() if self._directory else None
                if folder and not _locked(stack, folder, name):
                    folder = None
            yield UploadNote(folder, name)

    def close(self) -> None:
        """Close the cache."""
        if self._directory:
            self._directory.close()

    def _folder(self) -> Folder:
        assert self._directory is not None  # noqa: S101  # the callers have looked
        self._directory.open()
        return self._directory.folder(UPLOADS)

    def _remove_old(self, folder: Folder) -> None:
        for name in folder.names():
            with suppress(FileNotFoundError):
                if time.time() - folder.status(name).st_mtime > _LIFE:
                    folder.remove(name)


def _locked(stack: ExitStack, folder: Folder, name: str) -> bool:
    """Lock a note until the stack is closed; return ``False`` if another process has it."""
    lock = FileLock(folder, name + _LOCK)
    if not lock.acquire():
        return False
    stack.callback(lock.release)
    if not lock.is_current:
        return False
    stack.callback(folder.remove, name + _LOCK)  # before the release, so that nobody locks a file without a name
    return True
