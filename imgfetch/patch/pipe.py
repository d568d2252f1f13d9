"""Pipes, from which a patch or an archive may come."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imgfetch.archive.source import open_descriptor
from imgfetch.archive.streams import CountedFile, name_of
from imgfetch.errors import UnsupportedError
from imgfetch.files import storage_errors
from imgfetch.inputs import own_descriptor


def is_pipe(path: Path) -> bool:
    """Return whether a path names an open file of this process, such as stdin, or a pipe.

    Raises:
        StorageError: the path cannot be examined.
    """
    with storage_errors(path, "read"):
        return own_descriptor(path) is not None or path.is_fifo()


@contextmanager
def opened_pipe(path: Path) -> Iterator[io.BufferedReader]:
    """Open a pipe, which may be in non-blocking mode.

    Raises:
        UnsupportedError: it is a terminal.
        StorageError: it cannot be opened.
    """
    with storage_errors(path, "read"):
        descriptor = open_descriptor(os.fspath(path))
    with os.fdopen(descriptor, "rb", 0) as file:
        if file.isatty():
            raise UnsupportedError(f"{name_of(path)} is a terminal", hint="name a file, or use a pipe")
        yield io.BufferedReader(CountedFile(file, lambda _: None))
