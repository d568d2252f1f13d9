"""Locks of the system on files, by ``flock``.  The system releases a lock when its holder dies, whatever the cause.

File systems without locks, such as NFS without a lock daemon or Lustre without ``-o flock``, refuse them with an
`OSError`.  Nothing replaces them there: the existence of a file says nothing about the life of its maker.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from contextlib import suppress

from imgfetch.store.folder import Folder

_TOKEN = secrets.token_hex(8)
_HOLDER = re.compile(rb"([0-9]{1,10})(?: ([0-9a-f]{16}))?")
"""The number of a process, and a random text, because machines and containers may use the same numbers."""
_MAX_HOLDER = 27  # bytes


class FileLock:
    """A lock on a file, which is created if it is missing; for one thread at a time.

    It also excludes other locks of this process on the same file.

    Attributes:
        folder: the file's directory.
    """

    def __init__(self, folder: Folder, name: str) -> None:
        self.folder = folder
        self._name = name
        self._file = -1
        self._is_signed = False

    def acquire(self) -> bool:
        """Return ``True`` if the lock is held now, ``False`` if another holds it.

        Raises:
            OSError: the file system has no locks, or the file cannot be created.
        """
        file = self.folder.open(self._name, os.O_RDWR | os.O_CREAT)
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self._file = os.dup(file.fileno())
        with suppress(OSError):  # on a full disk the lock holds all the same
            self._sign()
        return True

    def _sign(self) -> None:
        """Write this process's number into the file, unless it is another file that was planted here."""
        content = os.pread(self._file, _MAX_HOLDER + 1, 0)
        if os.fstat(self._file).st_nlink == 1 and (not content or _HOLDER.fullmatch(content)):
            own = _own_signature()
            os.pwrite(self._file, own, 0)
            os.ftruncate(self._file, len(own))
            self._is_signed = True

    @property
    def is_current(self) -> bool:
        """True if the file that is locked still has its name."""
        try:
            named, locked = self.folder.status(self._name), os.fstat(self._file)
        except FileNotFoundError:
            return False
        return (named.st_dev, named.st_ino) == (locked.st_dev, locked.st_ino)

    @property
    def holder(self) -> str:
        """The number of the process that holds the lock, or nothing if it is not known."""
        found = self._signature()
        return found[1].decode() if found else ""

    @property
    def is_own(self) -> bool:
        """True if another thread of this process holds the lock."""
        found = self._signature()
        return found is not None and found[0] == _own_signature()

    def _signature(self) -> re.Match[bytes] | None:
        with suppress(OSError):
            return _HOLDER.fullmatch(self.folder.read(self._name, _MAX_HOLDER))
        return None

    def release(self) -> None:
        """Release the lock, if it is held."""
        descriptor, self._file = self._file, -1
        if self._is_signed:
            self._is_signed = False
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
        if descriptor >= 0:
            os.close(descriptor)


def _own_signature() -> bytes:
    return f"{os.getpid()} {_TOKEN}".encode()
