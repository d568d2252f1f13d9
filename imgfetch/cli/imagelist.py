"""A file of references: one a line, with comments behind a ``#``."""

from __future__ import annotations

from collections.abc import Iterable

from imgfetch.errors import InvalidReferenceError
from imgfetch.oci.reference import Reference

MAX_LINES = 100_000
_MAX_LINE = 10_000


def read(lines: Iterable[str], name: str) -> list[Reference]:
    """Return the references in their order.

    Args:
        lines: the file's lines.
        name: what it is called in messages.

    Raises:
        InvalidReferenceError: a line is no reference, or there are too many.
    """
    references = []
    for number, line in enumerate(lines, 1):
        if number > MAX_LINES or len(line) > _MAX_LINE:
            raise InvalidReferenceError(f"{name} is no list of images: it is too long")
        text = _without_comment(line.removeprefix("\ufeff") if number == 1 else line)
        if not text:
            continue
        try:
            references.append(Reference.parse(text))
        except InvalidReferenceError as error:
            raise InvalidReferenceError(f"line {number} of {name}: {error}", hint=error.hint) from None
    return references


def _without_comment(line: str) -> str:
    """Return a line without what stands behind a ``#`` at its beginning or after a space; no reference has one."""
    return line.partition("#")[0].strip()
