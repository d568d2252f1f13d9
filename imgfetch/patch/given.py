"""The archives from which a patch is made: files, also compressed ones, and what a program writes to a pipe."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from imgfetch.archive.compressed import compression_of, decompressed
from imgfetch.archive.streams import Advanced, name_of
from imgfetch.errors import UnsupportedError, VerificationError
from imgfetch.files import storage_errors
from imgfetch.inputs import opened_regular
from imgfetch.patch.layerfile import pieces, temporary
from imgfetch.patch.load import Loaded, loaded
from imgfetch.patch.pipe import is_pipe, opened_pipe
from imgfetch.patch.selections import HINT


@contextmanager
def opened_old(path: Path, advanced: Advanced | None = None) -> Iterator[Loaded]:
    """Open an old archive, and verify its layers; the errors are those of `loaded`."""
    with readable(path) as source, loaded(source, advanced=advanced) as found:
        yield found


@contextmanager
def opened_new(path: Path, advanced: Advanced | None = None) -> Iterator[Loaded]:
    """Open a new archive, decompressed if it is compressed as a whole, and verify its layers."""
    refuse_directory(path)
    with readable(path, is_whole=True) as source, loaded(source, advanced=advanced) as found:
        yield found


def refuse_directory(path: Path) -> None:
    """Refuse a directory as a new archive, which has neither times nor an order.

    Raises:
        UnsupportedError: it is one.
    """
    with storage_errors(path, "read"):
        is_directory = path.is_dir()
    if is_directory:
        raise UnsupportedError(f"{name_of(path)} is a directory, not an archive of imgfetch", hint=HINT)


@contextmanager
def readable(path: Path, *, is_whole: bool = False) -> Iterator[Path | BinaryIO]:
    """Yield an archive that can be read at any position: for a pipe, a temporary copy of what comes from it.

    ``is_whole`` also decompresses an archive that is compressed as a whole.

    Raises:
        UnsupportedError: it is a terminal.
        VerificationError: the compressed data is damaged.
        StorageError: it cannot be read, or copied.
    """
    name = name_of(path)
    with ExitStack() as stack:
        source: Path | BinaryIO = path
        if is_pipe(path):
            source = _copied(stack.enter_context(opened_pipe(path)), name, stack)
        if is_whole:
            file = _opened(source, stack)
            source = _copied(decompressed(file), name, stack) if compression_of(file) else source
        yield source


def _opened(source: Path | BinaryIO, stack: ExitStack) -> io.BufferedReader:
    if not isinstance(source, Path):
        return cast(io.BufferedReader, source)  # which a temporary file is too
    with storage_errors(source, "read"):
        return stack.enter_context(opened_regular(source))


def _copied(content: BinaryIO, name: str, stack: ExitStack) -> BinaryIO:
    """Return a temporary file with a copy of some content, whose name is in messages."""
    file = stack.enter_context(temporary(name))
    try:
        with storage_errors(f"a temporary copy of {name}", "write"):
            file.writelines(pieces(content))
            file.seek(0)
    except (VerificationError, UnsupportedError) as error:
        raise type(error)(f"{name} cannot be read: {error}", hint="copy or download it again") from None
    return file
