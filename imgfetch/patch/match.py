"""Parts that a new layer has in common with old ones.

Entries are paired by path, by their content, or by a path that differs only in numbers.  Paired entries are compared
block by block; if the content was moved within a file, the comparison continues from its new place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from imgfetch.patch.entries import Entry, Window, entries
from imgfetch.patch.index import Index
from imgfetch.patch.script import Span

_STEP = 64 * 1024
_REACH = 1024 * 1024
"""Bytes before and behind a place in which moved content is looked for."""
_WHOLE = 32 * 1024 * 1024
"""Files up to this size are compared as a whole to the file of which they are a new version."""


class New(NamedTuple):
    """A part of a new layer that no old layer has; ``near`` is a part of one that is likely to be similar."""

    position: int
    length: int
    near: Span | None


class Same(NamedTuple):
    """A part of a new layer that an old layer has."""

    position: int
    span: Span


def matched(window: Window, index: Index) -> Iterator[New | Same]:
    """Yield the parts of a new layer, in order and without gaps."""
    for entry in entries(window):
        found = index.find(entry, window)
        if found is None:
            yield New(entry.start, entry.end - entry.start, None)
            continue
        number, old = found
        pair = _Pair(window, index.windows[number], number, entry, old)
        yield from pair.headers()
        yield from pair.content()


class _Pair:
    """A new entry, and the old one with which it is compared."""

    def __init__(self, new: Window, old: Window, number: int, entry: Entry, old_entry: Entry) -> None:
        self._new, self._old, self._number = new, old, number
        self._entry, self._old_entry = entry, old_entry
        self._moved = self._misses = 0

    def headers(self) -> Iterator[New | Same]:
        """Compare the headers."""
        entry, old = self._entry, self._old_entry
        length, old_length = entry.content - entry.start, old.content - old.start
        if not length:
            return
        span = Span(self._number, old.start, old_length) if old_length else None
        is_same = (
            span
            and length == old_length <= _WHOLE
            and self._new.read(entry.start, length) == self._old.read(old.start, old_length)
        )
        yield Same(entry.start, span) if is_same and span else New(entry.start, length, span)

    def content(self) -> Iterator[New | Same]:
        """Compare the content with its padding, block by block."""
        position, end = self._entry.content, self._entry.end
        while position < end:
            length = min(_STEP, end - position)
            data, at = self._new.read(position, length), self._counterpart(position)
            if not self._has(data, at) and self._find(data, at):
                at = self._counterpart(position)
            if self._has(data, at):
                self._misses = 0
                yield Same(position, Span(self._number, at, length))
            else:
                yield New(position, length, self._near(at, length))
            position += length

    def _counterpart(self, position: int) -> int:
        return self._old_entry.content + position - self._entry.content + self._moved

    def _has(self, data: bytes, at: int) -> bool:
        """Return whether an old layer has some bytes at a position."""
        return at >= 0 and self._old.read(at, len(data)) == data

    def _find(self, data: bytes, at: int) -> bool:
        """Find the place of content that was moved in the old file; seldom, if it is not found."""
        self._misses += 1
        if self._entry.size <= _STEP or self._misses & (self._misses - 1):
            return False
        start = max(at - _REACH, self._old_entry.content)
        reach = self._old.layer.read(start, max(0, min(2 * _REACH, self._old_entry.end - start)))
        if (found := reach.find(data)) < 0:
            return False
        self._moved += start + found - at
        return True

    def _near(self, at: int, length: int) -> Span | None:
        """Return the part of the old file with which new bytes are compared; all of it, unless it is large."""
        old = self._old_entry
        start, end = old.content, old.end
        if old.size > _WHOLE:
            start, end = max(start, at - _REACH), min(end, at + length + _REACH)
        return Span(self._number, start, end - start) if start < end else None
