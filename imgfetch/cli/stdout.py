"""A command's output on stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice

from imgfetch.errors import StorageError

_BATCH = 10_000
"""Lines that are written together; there may be half a million."""
_PIPE_CLOSED = 141


def show(lines: Iterable[str]) -> None:
    """Write lines; if the reader closes the pipe, as `head` does, end the command as SIGPIPE would.

    Raises:
        StorageError: a disk is full, or another reason to write no more.
    """
    rest = iter(lines)
    while batch := list(islice(rest, _BATCH)):
        show_text("".join(f"{line}\n" for line in batch))


def show_text(text: str) -> None:
    """Write a text; a closed pipe ends the command as for `show`.

    A character that the encoding of stdout lacks is written as a Python escape.
    """
    with _ending_with_the_reader():
        _write(text.encode(_encoding(), "backslashreplace"))


def is_terminal() -> bool:
    """Return whether stdout is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def can_show(character: str) -> bool:
    """Return whether stdout's encoding has a character."""
    try:
        character.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, AttributeError):  # stdout is None if it is closed
        return False
    return True


def show_bytes(raw: bytes) -> None:
    """Write bytes unchanged; a closed pipe ends the command as for `show`."""
    with _ending_with_the_reader():
        _write(raw)


def _encoding() -> str:
    return getattr(sys.stdout, "encoding", None) or "ascii"


def _write(raw: bytes) -> None:
    if sys.stdout is None:
        raise StorageError("cannot write to stdout: it is closed")
    sys.stdout.flush()
    rest = memoryview(raw)
    while rest:  # with PYTHONUNBUFFERED, a part may be written before the reader goes away
        rest = rest[sys.stdout.buffer.write(rest) :]


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
