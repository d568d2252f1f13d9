"""A file system that fails on purpose: it passes a directory through FUSE, and adds the faults of network file systems.

Run as ``python -m tests.filesystems.passthrough DIRECTORY MOUNTPOINT FAULTS``; `tests.filesystems.mounts` does, and
ends it.
"""
# ruff: noqa: ARG002  # the methods and their arguments are FUSE's

from __future__ import annotations

import ctypes
import errno
import fcntl
import fnmatch
import json
import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["FUSE_LIBRARY_NAME"] = "fuse3"
import mfusepy

from tests.filesystems.faults import Faults

_PR_SET_PDEATHSIG = 1
_STATUS = ("mode", "nlink", "uid", "gid", "size", "blocks", "atime", "mtime", "ctime")


class Passthrough(mfusepy.Operations):  # type: ignore[misc]
    """The file system; a method is called by the kernel, and raises the error that the system call gets."""

    use_ns = True

    def __init__(self, directory: Path, faults: Faults) -> None:
        self._directory, self._faults = directory, faults
        self._room, self._files = faults.room, faults.files
        self._open: dict[int, str] = {}
        for name, number in faults.errors.items():
            setattr(self, name, _failing(getattr(self, name), number, faults.names))

    def access(self, path: str, amode: int) -> int:
        return 0  # the kernel checks permissions, going by getattr

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        found = os.fstat(fh) if fh is not None else self._real(path).lstat()
        status = {
            f"st_{name}": getattr(found, f"st_{name}_ns" if name.endswith("time") else f"st_{name}") for name in _STATUS
        }
        if self._faults.mode is not None:
            status["st_mode"] = stat.S_IFMT(found.st_mode) | self._faults.mode
        if self._faults.owner is not None:
            status["st_uid"] = status["st_gid"] = self._faults.owner
        return status

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *(each.name for each in self._real(path).iterdir())]

    def readlink(self, path: str) -> str:
        return str(self._real(path).readlink())

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._real(path))
        return {name: getattr(found, name) for name in dir(found) if name.startswith("f_") and name != "f_fsid"}

    def chmod(self, path: str, mode: int) -> None:
        if self._faults.mode is None:
            self._real(path).chmod(mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        os.chown(self._real(path), uid, gid, follow_symlinks=False)

    def create(self, path: str, mode: int, flags: int) -> int:
        self._new(path, lambda real: os.mknod(real, mode))
        return self.open(path, flags & ~os.O_EXCL)

    def mkdir(self, path: str, mode: int) -> None:
        self._new(path, lambda real: real.mkdir(mode))

    def symlink(self, target: str, source: str) -> None:
        self._new(target, lambda real: real.symlink_to(source))

    def mknod(self, path: str, mode: int, dev: int) -> None:
        self._new(path, lambda real: os.mknod(real, mode, dev))

    def link(self, target: str, source: str) -> None:
        os.link(self._real(source), self._real(target), follow_symlinks=False)

    def rename(self, old: str, new: str) -> None:
        self._real(old).rename(self._real(new))
        self._open = {fh: new if path == old else path for fh, path in self._open.items()}

    def unlink(self, path: str) -> None:
        if self._faults.busy and path in self._open.values():
            raise OSError(errno.EBUSY, "open")
        self._real(path).unlink()

    def rmdir(self, path: str) -> None:
        self._real(path).rmdir()

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        os.truncate(self._real(path) if fh is None else fh, length)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        os.utime(self._real(path), ns=times, follow_symlinks=False)

    def open(self, path: str, flags: int) -> int:
        fh = os.open(self._real(path), flags)
        self._open[fh] = path
        return fh

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        self._room = self._spend(self._room, len(data))
        return os.pwrite(fh, data, offset)

    def release(self, path: str, fh: int) -> None:
        del self._open[fh]
        os.close(fh)

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        """Do nothing, because a test needs no power cut."""

    def fsyncdir(self, path: str, datasync: int, fh: int) -> None:
        """Do nothing, too."""

    def _real(self, path: str) -> Path:
        return self._directory / (path.lower() if self._faults.ignores_case else path)[1:]

    def _new(self, path: str, make: Callable[[Path], None]) -> None:
        """Make something that belongs to the user who asks for it."""
        self._files = self._spend(self._files, 1)
        make(self._real(path))
        uid, gid, _ = mfusepy.fuse_get_context()
        self.chown(path, uid, gid)

    def _spend(self, left: int | None, count: int) -> int | None:
        if left is not None and left < count:
            raise OSError(self._faults.full, "full")
        return left if left is None else left - count


class Locking(Passthrough):
    """The file system with locks of its own; without these methods the kernel locks."""

    def flock(self, path: str, fh: int, op: int) -> None:
        """Lock as NFS does."""
        is_writable = fcntl.fcntl(fh, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        if op & fcntl.LOCK_EX and not is_writable:
            raise OSError(errno.EBADF, "not open for writing")
        fcntl.flock(fh, op | fcntl.LOCK_NB)

    def lock(self, path: str, fh: int, cmd: int, lock: object) -> None:
        """Have no other locks."""
        raise OSError(errno.ENOLCK, "no locks")


def _failing(operation: Callable[..., Any], number: int, names: str) -> Callable[..., Any]:
    """Return an operation that fails for paths that match a pattern."""

    def fail(path: str, *arguments: Any) -> Any:
        if any(fnmatch.fnmatch(each, names) for each in (path, *arguments) if isinstance(each, str)):
            raise OSError(number, os.strerror(number))
        return operation(path, *arguments)

    return fail


def main(directory: str, mountpoint: str, wanted: str) -> None:
    """Serve the file system until it is unmounted, or the process that started this one ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.umask(0)
    faults = Faults(**json.loads(wanted))
    has_locks = faults.nfs_locks or not faults.errors.keys().isdisjoint({"flock", "lock"})
    mfusepy.FUSE(
        (Locking if has_locks else Passthrough)(Path(directory), faults),
        mountpoint,
        foreground=True,
        nothreads=True,
        allow_other=True,
        default_permissions=faults.owner is None,  # otherwise the server checks them, going by the true owner
        hard_remove=faults.busy,
        attr_timeout=0,  # so that each fault is seen at once
        entry_timeout=0,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
