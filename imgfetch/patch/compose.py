"""The blocks of a patch, from the parts of the result that are the same and those that are new."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from imgfetch.patch.layerfile import LayerFile
from imgfetch.patch.script import MAX_STEPS, Script, Span, Take, most_work

CONTENT = 16 * 1024 * 1024
"""Bytes of a frame's content, from which on it is written."""
_PREFIX = 64 * 1024 * 1024
"""Maximum bytes of a prefix, fewer than a reader allows."""
_MIN_PREFIX = 8
_STEPS = MAX_STEPS // 2
_ROUNDS = 4
_REACH = 8
"""Bytes of surroundings in a prefix, for each new byte without an old entry."""
_GAP = 512
"""Bytes between two parts of a prefix that are cheaper in it than another part."""


class Draft(NamedTuple):
    """A block whose content is not compressed yet."""

    script: Script
    content: bytes


class Composer:
    """Collects parts of the result, and returns a block whenever there is enough for one."""

    def __init__(self, layers: Sequence[LayerFile]) -> None:
        """Start a patch; ``layers`` are the old ones by number, to which more may be added later."""
        self._layers = layers
        self._steps: list[Span | Take] = []
        self._near: list[Span] = []
        self._near_size = 0
        self._around: list[Span] = []  # the old entries before new ones that are alone
        self._alone = 0
        self._content = bytearray()
        self._size = self._work = 0
        self._last: Span | None = None  # a byte of the last old entry, near which others are likely to be similar

    def same(self, span: Span) -> Iterator[Draft]:
        """Add bytes that an old layer has."""
        self._last = Span(span.layer, span.end - 1, 1)
        last = self._steps[-1] if self._steps else None
        if isinstance(last, Span) and last.layer == span.layer and last.end == span.position:
            self._steps[-1] = last._replace(length=last.length + span.length)
        else:
            self._steps.append(span)
        yield from self._full()

    def new(self, data: bytes, near: Span | None) -> Iterator[Draft]:
        """Add new bytes, and the part of an old layer that is likely to be similar, if one is."""
        if near is None:
            self._alone += len(data)
            self._around += [self._last] if self._last and self._last not in self._around[-1:] else []
        elif near not in self._near[-1:]:
            yield from self._with_room(near.length)
            self._near.append(near)
            self._near_size += near.length
        last = self._steps[-1] if self._steps else None
        if isinstance(last, Take):
            self._steps[-1] = Take(last.length + len(data))
        else:
            self._steps.append(Take(len(data)))
        self._content += data
        yield from self._full()

    def finish(self) -> Iterator[Draft]:
        """Return the last block."""
        if self._steps:
            yield self._block()

    def _full(self) -> Iterator[Draft]:
        if len(self._content) >= CONTENT or len(self._steps) >= _STEPS:
            yield self._block()

    def _with_room(self, length: int) -> Iterator[Draft]:
        """Return the block if its prefix has no room for another part."""
        if self._near_size + length > _PREFIX:
            self._near = joined(self._near)
            self._near_size = sum(span.length for span in self._near)
        if self._near and self._near_size + length > _PREFIX:
            yield self._block()

    def _block(self) -> Draft:
        draft = Draft(self._script(), bytes(self._content))
        self._steps, self._near, self._near_size, self._content = [], [], 0, bytearray()
        self._around, self._alone = [], 0
        return draft

    def _script(self) -> Script:
        """Return the instructions, without a prefix from half of the work on that a patch may make."""
        script = Script(self._prefix(), tuple(self._steps))
        self._size += script.size
        most = most_work(self._size + sum(layer.size for layer in self._layers))
        if self._work + script.work > most // 2:
            script = script._replace(prefix=())
        self._work += script.work
        return script

    def _prefix(self) -> tuple[Span, ...]:
        """Return the parts of the prefix, not more than fit and not less than zstd allows."""
        prefix, room = list[Span](), _PREFIX if self._content else 0
        for span in joined(self._near + self._surroundings()):
            if length := min(span.length, room):
                prefix.append(span._replace(length=length))
                room -= length
        return tuple(prefix) if sum(span.length for span in prefix) >= _MIN_PREFIX else ()

    def _surroundings(self) -> list[Span]:
        """Return parts of old layers around the places of files without an old entry, as much as a prefix should have.

        The old version of a file with a hash in its name is often there.
        """
        room = min(_PREFIX - self._near_size, _REACH * self._alone)
        found = joined(self._grown(span, _GAP) for span in self._around) if room >= _GAP else []
        for _ in range(_ROUNDS):
            more = (room - sum(span.length for span in found)) // (2 * len(found) or 1)
            if more < _GAP:
                break
            found = joined(self._grown(span, more) for span in found)
        return found

    def _grown(self, span: Span, more: int) -> Span:
        start, end = max(0, span.position - more), min(self._layers[span.layer].size, span.end + more)
        return Span(span.layer, start, end - start)


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return parts of old layers in order, and those that overlap or almost touch as one."""
    found: list[Span] = []
    for span in sorted(spans):
        last = found[-1] if found else None
        if last and last.layer == span.layer and span.position <= last.end + _GAP:
            found[-1] = last._replace(length=max(last.end, span.end) - last.position)
        else:
            found.append(span)
    return found
