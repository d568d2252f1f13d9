"""A command's output on stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from imgfetch.errors import StorageError

_PIPE_CLOSED = 141


def show(lines: Iterable[str]) -> None:
    """Write lines; if the reader closes the pipe, as `head` does, end the command as SIGPIPE would.

    Raises:
        StorageError: a disk is full, or another reason to write no more.
    """
    with _ending_with_the_reader():
        sys.stdout.writelines(f"{line}\n" for line in lines)


def can_show(character: str) -> bool:
    """Return whether stdout's encoding has a character."""
    try:
        character.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def show_bytes(raw: bytes) -> None:
    """Write bytes unchanged; a closed pipe ends the command as for `show`."""
    with _ending_with_the_reader():
        sys.stdout.buffer.write(raw)


@contextmanager
def _ending_with_the_reader() -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        give_up()
        raise SystemExit(_PIPE_CLOSED) from None
    except OSError as error:
        raise StorageError(f"cannot write to stdout: {error.strerror}") from error


def give_up() -> None:
    """Keep the interpreter from flushing a broken stdout at exit, which would change the exit status."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        return
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
