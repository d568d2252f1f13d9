"""The entries of a layer's tar, judged by the readers that extract them (docs/registries.md#tar-of-a-layer)."""

from __future__ import annotations

import posixpath

from imgfetch.layers.tarheaders import HeaderError, decoded
from imgfetch.layers.tree import DIRECTORY, FILE, HARD_LINK, HIDDEN, IMPLIED, LOOP, MISSING, OUT, SYMBOLIC_LINK, Tree
from imgfetch.text import quoted

_KINDS = frozenset({b"0", b"\0", HARD_LINK, SYMBOLIC_LINK, b"3", b"4", DIRECTORY, b"6"})
_MAX_NAMES = 100_000
"""Names that are compared, so that memory is bounded."""
_MAX_NAME, _MAX_PATH = 255, 4095  # bytes, on Linux
_LONG_PATH = 3900  # which leaves room for the directory to which a layer is extracted
_SHOWN = 100
_WHITEOUT, _WHITEOUT_OF_AUFS, _OPAQUE = b".wh.", b".wh..wh.", b".wh..wh..opq"
_TWO, _ALL = "docker's classic store and podman refuse", "docker, containerd and podman refuse"
_OLD = "docker 20.10 and podman refuse"
_ELSEWHERE = "which is not in the same layer"
_BELOW = {
    OUT: f"a link that leads out of the image, which {_TWO}",
    MISSING: f"a link to something that is not in the same layer, which {_OLD}",
    HIDDEN: f"something that a whiteout removes, which {_TWO}",
}


class Entries:
    """The entries so far.

    Attributes:
        oddity: a sentence about the first entry that some readers refuse, or empty.
    """

    def __init__(self) -> None:
        self.oddity = ""
        self._names: set[int] = set()  # their hashes
        self._tree = Tree()
        self._directory = self._place = b""  # of the last entry, as it is written and without links

    def add(self, kind: bytes, name: bytes, link: bytes) -> None:
        """Judge the next entry.

        Raises:
            HeaderError: all readers refuse it.
        """
        name = clean(name)
        _check(kind, name, link)
        if len(name) > _LONG_PATH:
            self.remark(f"its entry {_shown(name)} has a name that is too long; {_ALL} that")
        if name.startswith(b"..") or kind == HARD_LINK:
            self._check_place(kind, name, link)
        place = self._located(name)
        if kind == HARD_LINK:
            link = self._target(name, link)
        elif place and kind == SYMBOLIC_LINK and self._tree.kind(place) == DIRECTORY:
            self._check_replacement(place, link)
        if name == b"/" and kind != DIRECTORY:
            self.remark(f"its top is not a directory, which {_OLD}")
        self.add_name(name)
        if place:
            self._tree.add(place, kind, link)
        if _WHITEOUT in name:
            self._check_whiteout(name, place)

    def add_name(self, name: bytes) -> None:
        """Judge a name, of an entry or a global header, by those before."""
        key = hash(name)
        if key in self._names:
            self.remark(f"it has two entries {_shown(name)}, which {_TWO}")
        elif len(self._names) < _MAX_NAMES:
            self._names.add(key)

    def remark(self, sentence: str) -> None:
        """Note what some readers refuse."""
        self.oddity = self.oddity or sentence

    def _located(self, name: bytes) -> bytes:
        """Return an entry's name without links, which is empty for the top; judge the directories above it."""
        name = name.lstrip(b"/")
        directory, _, last = name.rpartition(b"/")
        if directory != self._directory:
            self._directory = directory
            self._place, problem = self._tree.enter(directory)
            if problem in _BELOW:
                self.remark(f"its entry {_shown(name)} lies below {_BELOW[problem]}")
            elif problem in (FILE, LOOP):
                self._directory = b""
                if last != _OPAQUE:
                    raise HeaderError(f"the entry {_shown(name)} lies below something that is not a directory")
                self.remark(f"the directory of its {_shown(name)} is not one, which containerd refuses")
        if last in (b"", b"."):
            return b""
        if self._place == directory or not directory:
            return name
        return self._place + b"/" + last if self._place else last

    def _check_place(self, kind: bytes, name: bytes, link: bytes) -> None:
        if _leads_out(name) or (kind == HARD_LINK and _leads_out(clean(link))):
            self.remark(f"its entry {_shown(name)} leads out of the image, which docker 28's classic store refuses")

    def _target(self, name: bytes, link: bytes) -> bytes:
        """Return the target of a hard link without links; some readers extract a layer without those below it."""
        directory, _, last = posixpath.normpath(b"/" + link).lstrip(b"/").rpartition(b"/")
        place, _ = self._tree.find(directory)
        target = place + b"/" + last if place else last
        is_whiteout = last.startswith(_WHITEOUT) and not last.startswith(_WHITEOUT_OF_AUFS)
        if is_whiteout or self._tree.is_directory(target):
            raise HeaderError(f"the hard link {_shown(name)} has a directory or a whiteout for a target")
        if self._tree.is_missing(target):
            self.remark(f"its hard link {_shown(name)} has the target {_shown(target)}, {_ELSEWHERE}; {_ALL} that")
        return target

    def _check_replacement(self, place: bytes, link: bytes) -> None:
        """Judge a symbolic link in the place of a directory, whose times containerd sets at the end."""
        above = b"" if link.startswith(b"/") else place.rpartition(b"/")[0]
        if self._tree.is_missing(self._tree.find(above + b"/" + link)[0]):
            self.remark(f"its directory {_shown(place)} is replaced by a link to something, {_ELSEWHERE}; {_ALL} that")

    def _check_whiteout(self, name: bytes, place: bytes) -> None:
        above, slash, last = place.rpartition(b"/")
        if not last.startswith(_WHITEOUT) or last.startswith(_WHITEOUT_OF_AUFS):
            return
        hidden = last[len(_WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise HeaderError(f"the whiteout {_shown(name)} has no name")
        kind = self._tree.hide(above + slash + hidden)
        if kind:
            readers = _TWO if kind == IMPLIED else _ALL
            self.remark(f"it has {_shown(above + slash + hidden)} and a whiteout of it; {readers} that")


def _check(kind: bytes, name: bytes, link: bytes) -> None:
    """Judge an entry by itself.

    Raises:
        HeaderError: all readers refuse it.
    """
    if kind not in _KINDS:
        raise HeaderError(f"the entry {_shown(name)} has the unknown type {_shown(kind)}")
    if len(name) > _MAX_NAME and (len(name) > _MAX_PATH or max(map(len, name.split(b"/"))) > _MAX_NAME):
        raise HeaderError(f"the name of the entry {_shown(name)} is too long")
    if kind in (HARD_LINK, SYMBOLIC_LINK):
        if not link:
            raise HeaderError(f"the link {_shown(name)} has no target")
        if len(link) > _MAX_PATH:
            raise HeaderError(f"the target of the link {_shown(name)} is too long")


def clean(name: bytes) -> bytes:
    """Return a normal path; most are that already, but for a slash behind a directory."""
    short = name[:-1] if name.endswith(b"/") else name
    is_usual = b"//" not in short and b"/." not in short and short[:1] not in (b"", b".", b"/")
    if is_usual:
        return short
    return posixpath.normpath(b"/" + name.lstrip(b"/") if name.startswith(b"/") else name)


def _leads_out(name: bytes) -> bool:
    return name == b".." or name.startswith(b"../")


def _shown(name: bytes) -> str:
    return quoted(decoded(name[:_SHOWN]))
