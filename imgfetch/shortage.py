"""A lack of memory, file descriptors or processes, and other limits, which libraries report in many ways.

Memory can be missing for an object, for a shared library, for the stack of a thread, or within zlib, zstd and OpenSSL.
A file descriptor can be missing for a file, a socket, a pipe, or the import of a module.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import NamedTuple


class Lack(NamedTuple):
    """A resource of which this process has too little; ``hint`` is the next step for the user."""

    reason: str
    hint: str


MEMORY = Lack(
    "not enough memory", "raise the limit: ulimit -v, or that of the container or batch job; save needs less with -j 1"
)
FILES = Lack("too many open files", "raise the limit: ulimit -n 1024; save needs fewer with -j 1")
PROCESSES = Lack(
    "cannot start a process or thread", "raise the limit: ulimit -u, or the container's limit of processes"
)
SIZE = Lack(
    "file too large",
    "choose another file system, because FAT32 holds files up to 4 GiB, or raise the limit: ulimit -f",
)

_NUMBERS = {errno.ENOMEM: MEMORY, errno.EMFILE: FILES, errno.ENFILE: FILES, errno.EFBIG: SIZE}
_TEXTS = {
    # from the dynamic linker
    "failed to map segment": MEMORY,
    "cannot map zero-fill pages": MEMORY,
    "cannot allocate memory": MEMORY,
    "too many open files": FILES,
    # from zstd and OpenSSL
    "allocation error": MEMORY,
    "malloc failure": MEMORY,
}
_FROM_C = frozenset({"ImportError", "ZstdError", "SSLError"})
"""Errors whose text is the only sign, and contains nothing that a server has sent."""
_LOST = ("without setting an exception", "without exception set")
"""Signs of a `MemoryError` that the interpreter has lost."""
_SPARE = 3


def of(error: BaseException) -> Lack | None:
    """Return what is lacking, if that has caused an error."""
    return next(filter(None, map(_lack, _chain(error))), None)


def of_files() -> Lack | None:
    """Return the lack of file descriptors if there are fewer than a look-up of a name or a certificate needs.

    The C library and OpenSSL then find no such name, and no such certificate, and do not say why.
    """
    pipes: list[tuple[int, int]] = []
    try:
        pipes.extend(os.pipe() for _ in range(_SPARE))
    except OSError as error:
        return of(error)
    finally:
        for descriptor in (each for pipe in pipes for each in pipe):
            os.close(descriptor)
    return None


def _lack(error: BaseException) -> Lack | None:
    if isinstance(error, MemoryError) or (isinstance(error, SystemError) and any(sign in str(error) for sign in _LOST)):
        return MEMORY
    if isinstance(error, OSError) and error.errno in _NUMBERS:
        return _NUMBERS[error.errno]
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":
        return PROCESSES
    text = str(error).lower() if type(error).__name__ in _FROM_C else ""
    return next((lack for sign, lack in _TEXTS.items() if sign in text), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those behind it, including those that `requests` and urllib3 have as arguments."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, BaseException) and not any(item is one for one in seen):
            seen.append(item)
            yield item
            context = None if item.__suppress_context__ else item.__context__
            waiting += [*item.args, getattr(item, "reason", None), item.__cause__, context]
