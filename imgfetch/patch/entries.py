"""The entries of a layer's tar, as places to look for what an old and a new layer have in common.

Nothing is verified here: wrong entries make a patch larger, and never wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from imgfetch.patch.layerfile import LayerFile

BLOCK = 512
_WINDOW = 256 * 1024
_OCTAL = re.compile(rb" *([0-7]+)[ \0]*")
_PATH, _SIZE = re.compile(rb"[0-9]+ path=([^\n]+)\n"), re.compile(rb"[0-9]+ size=([0-9]{1,18})\n")
_EXTENSIONS = b"xgLK"
_MAX_EXTENSION = 1024 * 1024


class Entry(NamedTuple):
    """An entry with its headers.

    Attributes:
        path: its name; empty for the end of the tar, and for what is not a tar.
        start: the position of its first header.
        content: the position of its content.
        size: the bytes of its content, without padding.
        end: the position of the next entry.
    """

    path: bytes
    start: int
    content: int
    size: int
    end: int

    @property
    def is_comparable(self) -> bool:
        """False for the zeros at the end of a tar, which compress well."""
        return bool(self.path) or self.size > _WINDOW


class Window:
    """A layer, of which the last part that was read is in memory."""

    def __init__(self, layer: LayerFile) -> None:
        self.layer = layer
        self._start, self._data = 0, b""

    def read(self, position: int, length: int) -> bytes:
        """Return bytes, fewer at the end of the layer."""
        at = position - self._start
        if at < 0 or at + length > len(self._data):
            if length > _WINDOW:
                return self.layer.read(position, length)
            self._start, self._data, at = position, self.layer.read(position, _WINDOW), 0
        return self._data[at : at + length]


def entries(window: Window) -> Iterator[Entry]:
    """Yield the entries of a layer; together they cover all of its bytes."""
    end, start = window.layer.size, 0
    while start < end:
        found = _entry(window, start) or Entry(b"", start, start, end - start, end)
        yield found
        start = found.end


def _entry(window: Window, start: int) -> Entry | None:
    """Return the entry at a position, or ``None`` if there is none."""
    position, path, size = start, b"", None
    while len(block := window.read(position, BLOCK)) == BLOCK and (octal := _OCTAL.fullmatch(block[124:136])):
        length, content = int(octal[1], 8), position + BLOCK
        if block[156:157] not in b"xgLK":
            prefix = block[345:500].partition(b"\0")[0] if block[257:263] == b"ustar\0" else b""
            name = block[:100].partition(b"\0")[0]
            length = length if size is None else size
            end = content + length + -length % BLOCK
            path = path or (prefix + b"/" + name if prefix else name)
            return Entry(path, start, content, length, end) if end <= window.layer.size and path else None
        if length > _MAX_EXTENSION:
            return None
        text = window.read(content, length)
        if block[156:157] == b"L":
            path = text.rstrip(b"\0")
        elif block[156:157] == b"x":
            path = found[1] if (found := _PATH.search(text)) else path
            size = int(found[1]) if (found := _SIZE.search(text)) else size
        position = content + length + -length % BLOCK
    return None
