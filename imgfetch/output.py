"""Where an archive goes: a file that appears whole, a device, or a stream."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from imgfetch.files import replacing, storing

Output = str | os.PathLike[str] | BinaryIO

_MODE = 0o666  # before the umask
_DEVICES = (("/", "dev"), ("/", "proc"))  # /dev/stdout may be a regular file, and must not be replaced by one
_MAX_LINKS = 40


def regular(output: Output) -> Path | None:
    """Return the path of an output that is or will be a regular file, and may be replaced.

    Raises:
        StorageError: it is a directory.
    """
    if not isinstance(output, (str, os.PathLike)):
        return None
    path = Path(output)
    if any(link.absolute().parts[:2] in _DEVICES for link in _links(path)):
        return None
    with storing(path, "write"):
        try:
            mode = path.stat().st_mode
        except OSError:  # not there, or not to be seen: writing will tell
            mode = stat.S_IFREG
        if stat.S_ISDIR(mode) or os.fspath(output).endswith((os.sep, "/")):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return path if stat.S_ISREG(mode) else None


@contextmanager
def opened(output: Output, workspace: Path | None) -> Iterator[BinaryIO]:
    """Open a regular file that appears whole, a device or pipe by its name, or take a stream as it is.

    Args:
        output: what the user says.
        workspace: where a regular file stands until it is whole; ``None`` where the output is none.

    Raises:
        StorageError: it cannot be written.
    """
    if workspace is not None:
        path = Path(output)  # type: ignore[arg-type]  # a stream has no workspace
        with replacing(path, mode=_MODE, durable=True, parts=workspace) as file:
            yield file
    elif isinstance(output, (str, os.PathLike)):
        device = Path(output)
        with storing(device, "write"), device.open("wb") as file:
            yield file
    else:
        with storing(Path("the output"), "write"):
            yield output
            output.flush()


def _links(path: Path) -> Iterator[Path]:
    """Yield a path, and where it leads link by link."""
    for _ in range(_MAX_LINKS):
        yield path
        try:
            path = path.parent / path.readlink()
        except OSError:  # no link, or not there
            return
