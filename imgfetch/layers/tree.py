"""The files that a layer's tar makes, as far as their kinds decide what readers accept."""

from __future__ import annotations

HARD_LINK, SYMBOLIC_LINK, DIRECTORY = b"1", b"2", b"5"
IMPLIED, _HIDDEN = b"implied directory", b"whiteout"
_DIRECTORIES = frozenset({DIRECTORY, IMPLIED})
FILE, LOOP, OUT, MISSING, HIDDEN, UNKNOWN = "file", "loop", "out", "missing", "hidden", "unknown"
"""Problems of a directory: what it or one above it is, or where a link leads."""

_MAX_NAMES = 100_000
"""Names that are remembered, so that memory is bounded."""
_MAX_TARGETS = 8 * 1024 * 1024  # bytes of the targets that are remembered
_MAX_LINKS = 255  # on one path
_MAX_STEPS = 10_000_000  # names on all paths
_STEP = 256  # bytes of a longer name that count as one more


class Tree:
    """The kinds of the files so far, by the hashes of their names without links; that of a link has its target."""

    def __init__(self) -> None:
        self._kinds: dict[int, bytes] = {}
        self._room, self._steps = _MAX_TARGETS, _MAX_STEPS
        self.is_complete = True

    def __len__(self) -> int:
        return len(self._kinds)

    def kind(self, name: bytes) -> bytes:
        """Return a file's kind, or nothing for one that is not in this layer."""
        return self._kinds.get(hash(name), b"") if name else DIRECTORY

    def add(self, name: bytes, kind: bytes, target: bytes = b"") -> None:
        """Add a file, or replace one."""
        if kind == HARD_LINK:
            kind = kind if self.kind(target) == _HIDDEN else self.kind(target) or kind
        elif kind == SYMBOLIC_LINK:
            self._room -= len(target)
            kind += target if self._room > 0 else b""
        key = hash(name)
        if len(self._kinds) >= _MAX_NAMES or (self._kinds.get(key) in _DIRECTORIES and kind not in _DIRECTORIES):
            self.is_complete = False  # what was in a directory that is replaced is gone, but remembered
        if len(self._kinds) < _MAX_NAMES:
            self._kinds[key] = kind

    def hide(self, name: bytes) -> bytes:
        """Add a whiteout of a file, and return the file's kind if it is in this layer."""
        kind = self.kind(name)
        if kind in (b"", _HIDDEN):
            self.add(name, _HIDDEN)
            return b""
        return kind

    def is_directory(self, name: bytes) -> bool:
        """Return whether there is such a directory, with an entry or not."""
        return self.kind(name) in _DIRECTORIES

    def is_missing(self, name: bytes) -> bool:
        """Return whether there is certainly no such file in this layer."""
        return self.is_complete and self.kind(name) in (b"", _HIDDEN)

    def find(self, path: bytes) -> tuple[bytes, str]:
        """Return the name of a directory without links, and its problem."""
        return (path, "") if self.is_directory(path) else self._follow(path)

    def enter(self, path: bytes) -> tuple[bytes, str]:
        """Find a directory, and add it and those above that have no entry."""
        found, problem = self.find(path)
        if problem == UNKNOWN:
            self.is_complete = False
        above = found if problem in ("", MISSING) else b""
        while not self.kind(above) and len(self._kinds) < _MAX_NAMES:
            self.add(above, IMPLIED)
            above = above.rpartition(b"/")[0]
        return found, problem

    def _follow(self, path: bytes) -> tuple[bytes, str]:
        done, problem, links = b"", "", 0
        rest = path.split(b"/")[::-1]
        own = len(rest)  # names that are not from a link's target
        while rest:
            part = rest.pop()
            is_target, own = len(rest) >= own, min(own, len(rest))
            at = _joined(done, part)
            kind = self.kind(at)
            self._steps -= 1 + (len(at) + len(kind)) // _STEP
            if self._steps < 0:
                return path, UNKNOWN
            if part == b".." and not done:
                problem = problem or OUT
            if kind.startswith(SYMBOLIC_LINK):
                links += 1
                if links > _MAX_LINKS or len(kind) == 1:
                    return path, LOOP if links > _MAX_LINKS else UNKNOWN
                rest += kind[1:].split(b"/")[::-1]
                done = b"" if kind[1:2] == b"/" else done
            else:
                done = at
                problem = problem or (HIDDEN if kind == _HIDDEN else MISSING if is_target and not kind else "")
                if kind and kind != _HIDDEN and kind not in _DIRECTORIES:
                    return path, FILE if self.is_complete else UNKNOWN
        return done, problem


def _joined(directory: bytes, part: bytes) -> bytes:
    if part in (b"", b"."):
        return directory
    if part == b"..":
        return directory.rpartition(b"/")[0]
    return directory + b"/" + part if directory else part
