"""The faults of a file system."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Faults:
    """The faults of a file system; by default it has none.

    Attributes:
        errors: the error number of each operation that fails, by its name in FUSE's interface, such as ``flock``.
        names: the files whose operations fail, as a pattern for the whole path.
        room: the bytes that can be written before a write fails.
        files: the files and directories that can be created before a creation fails.
        full: the error of a write or creation that fails for want of room, such as EDQUOT; free space is reported.
        mode: the permissions that every file and directory seems to have; ``chmod`` then has no effect.
        owner: the user to whom everything seems to belong.
        nfs_locks: an exclusive lock needs a file that is open for writing, as on NFS.
        ignores_case: names that differ only in case are one, as on a USB stick.
        busy: a file that is open cannot be removed; otherwise it gets a hidden name until it is closed, as on NFS.
    """

    errors: dict[str, int] = field(default_factory=dict)
    names: str = "*"
    room: int | None = None
    files: int | None = None
    full: int = errno.ENOSPC
    mode: int | None = None
    owner: int | None = None
    nfs_locks: bool = False
    ignores_case: bool = False
    busy: bool = False
