"""An index of the entries of old layers, by path, by content, and by a similar path."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from itertools import chain

from imgfetch.patch.entries import Entry, Window, entries
from imgfetch.patch.layerfile import LayerFile

_MAX_ENTRIES = 400_000
_HEAD = 4096
_NUMBERS = re.compile(rb"[0-9a-f]{8,}|[0-9]+")
_SEVERAL = -1
_FIELDS = 5  # layer, start, content, size, end


class Index:
    """The entries of old layers: the last one with a path, and the only one with a similar path."""

    def __init__(self, layers: Sequence[LayerFile]) -> None:
        """Read the headers, and the beginning of each file."""
        self.windows = [Window(layer) for layer in layers]
        self._rows = array("q")
        self._by_key: dict[int, int] = {}
        for number, layer in enumerate(layers):
            for entry in entries(Window(layer)):
                if len(self._rows) >= _FIELDS * _MAX_ENTRIES:
                    return
                if not entry.is_comparable:
                    continue
                row = len(self._rows)
                self._rows.extend((number, entry.start, entry.content, entry.size, entry.end))
                for key in _keys(entry, self.windows[number]):
                    self._by_key[key] = row
                for key in _similar(entry):
                    self._by_key[key] = row if self._by_key.setdefault(key, row) == row else _SEVERAL

    def find(self, entry: Entry, window: Window) -> tuple[int, Entry] | None:
        """Return the number of a layer, and an entry in it that is likely to be similar."""
        if not entry.is_comparable:
            return None
        keys = chain(_keys(entry, window), _similar(entry))
        row = next((self._by_key[key] for key in keys if key in self._by_key), _SEVERAL)
        if row == _SEVERAL:
            return None
        number, start, content, size, end = self._rows[row : row + _FIELDS]
        return number, Entry(entry.path, start, content, size, end)


def _keys(entry: Entry, window: Window) -> Iterator[int]:
    """Yield the keys of an entry, the best one first."""
    yield hash(entry.path)
    if entry.size:
        yield hash((entry.size, window.read(entry.content, min(entry.size, _HEAD))))


def _similar(entry: Entry) -> Iterator[int]:
    """Yield a key of the path without numbers, and one of its end, which stays when a directory is moved."""
    similar = _NUMBERS.sub(b"", entry.path)
    yield hash((b"", similar))
    yield hash((b"", b"", *similar.split(b"/")[-2:]))
