"""Recognition of binary data that a program has copied as text, with line feeds converted to CR LF.

FTP in text mode does so, and a terminal between two programs (``ssh -t HOST docker save IMAGE > FILE``).
"""

from __future__ import annotations

_EXAMINED = 1024 * 1024
_ENOUGH = 16
"""Line feeds; by chance, one in 256 follows a carriage return."""


class LineEnds:
    """Examines the beginning of a file."""

    def __init__(self) -> None:
        self._left = _EXAMINED
        self._feeds = self._pairs = 0
        self._last = b""

    def add(self, piece: bytes | memoryview) -> None:
        """Examine the next bytes."""
        if self._left > 0:
            self._left -= len(piece)
            data = self._last + bytes(piece)
            self._pairs += data.count(b"\r\n")
            self._feeds += data.count(b"\n", len(self._last))
            self._last = data[-1:] if data.endswith(b"\r") else b""

    @property
    def are_converted(self) -> bool:
        """Return whether there are many line feeds, and each follows a carriage return."""
        return self._feeds >= _ENOUGH and self._pairs == self._feeds
