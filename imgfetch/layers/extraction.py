"""The entries of a layer's tar, judged by the readers that extract them (docs/registries.md#tar-of-a-layer)."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from imgfetch.layers.tarheaders import HeaderError, decoded
from imgfetch.text import quoted

_HARD_LINK, _SYMBOLIC_LINK = b"1", b"2"
_FILES = frozenset({b"0", b"\0", _HARD_LINK})
_KINDS = _FILES | {_SYMBOLIC_LINK, b"3", b"4", b"5", b"6"}
_MAX_NAMES = 200_000
"""Names that are remembered, so that memory is bounded; entries behind them are not compared."""
_MAX_NAME, _MAX_PATH = 255, 4095  # bytes, on Linux
_LONG_PATH = 3900  # which leaves room for the directory to which a layer is extracted
_SHOWN = 100
_WHITEOUT, _WHITEOUT_OF_AUFS = b".wh.", b".wh..wh."
_CAPABILITIES = b"SCHILY.xattr.security.capability"
_CAPABILITY_SIZES = {1: 12, 2: 20, 3: 24}
"""Bytes of a file's capabilities by their version, which is the fourth byte."""


class Entries:
    """The entries so far.

    Attributes:
        oddity: a sentence about the first entry that some readers refuse, or empty.
    """

    def __init__(self) -> None:
        self.oddity = ""
        self._is_file: dict[int, bool] = {}  # by the hash of the name
        self._is_complete = True
        self._directory = b""  # of the last entry

    def add(self, kind: bytes, name: bytes, link: bytes) -> None:
        """Judge the next entry.

        Raises:
            HeaderError: all readers refuse it.
        """
        written, name = name, clean(name)
        if kind not in _KINDS:
            raise HeaderError(f"the entry {_shown(name)} has the unknown type {_shown(kind)}")
        if len(name) > _MAX_NAME and (len(name) > _MAX_PATH or max(map(len, name.split(b"/"))) > _MAX_NAME):
            raise HeaderError(f"the name of the entry {_shown(name)} is too long")
        if kind in (_HARD_LINK, _SYMBOLIC_LINK) and not link:
            raise HeaderError(f"the link {_shown(name)} has no target")
        if not written:
            self._remark("it has an entry without a name, which podman refuses")
        if name.startswith(b"..") or kind == _HARD_LINK:
            self._check_place(kind, name, link)
        if len(name) > _LONG_PATH:
            self._remark(f"its entry {_shown(name)} has a name that is too long for docker and containerd")
        self._refuse_below_file(name)
        if kind == _HARD_LINK:
            self._check_target(name, link)
        if _WHITEOUT in name:
            self._check_whiteout(name)
        self.add_name(name, is_file=kind in _FILES)

    def add_name(self, name: bytes, *, is_file: bool = False) -> None:
        """Judge a name, of an entry or a global header, by those before."""
        key = hash(name)
        if key in self._is_file:
            self._remark(f"it has two entries {_shown(name)}, which docker's classic store and podman refuse")
        if name.startswith((b"/", b"../")) or len(self._is_file) >= _MAX_NAMES:
            self._is_complete = False
        if len(self._is_file) < _MAX_NAMES:
            self._is_file[key] = is_file

    def add_attributes(self, records: Mapping[bytes, bytes]) -> None:
        """Judge the records of an entry's PAX header.

        Raises:
            HeaderError: all readers refuse them.
        """
        value = records.get(_CAPABILITIES)
        if value and _CAPABILITY_SIZES.get(int.from_bytes(value[3:4], "big")) != len(value):
            raise HeaderError("the capabilities in a PAX header are malformed")

    def _refuse_below_file(self, name: bytes) -> None:
        above = directory = name.rpartition(b"/")[0]
        if directory == self._directory:
            return
        self._directory = directory
        while above and (is_file := self._is_file.get(hash(above))) is not False:
            if is_file:
                raise HeaderError(f"the entry {_shown(name)} lies below a file")
            above = above.rpartition(b"/")[0]

    def _check_place(self, kind: bytes, name: bytes, link: bytes) -> None:
        if _leads_out(name) or (kind == _HARD_LINK and _leads_out(clean(link))):
            self._remark(f"its entry {_shown(name)} leads out of the image, which docker 28's classic store refuses")

    def _check_target(self, name: bytes, link: bytes) -> None:
        """Compare the target of a hard link; some readers extract a layer without those below it."""
        target = posixpath.normpath(b"/" + link).lstrip(b"/")
        if self._is_complete and hash(target) not in self._is_file:
            self._remark(
                f"its hard link {_shown(name)} has the target {_shown(target)}, which is not in the same layer; "
                "docker and containerd refuse that"
            )

    def _check_whiteout(self, name: bytes) -> None:
        above, slash, last = name.rpartition(b"/")
        if not last.startswith(_WHITEOUT) or last.startswith(_WHITEOUT_OF_AUFS):
            return
        hidden = last[len(_WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise HeaderError(f"the whiteout {_shown(name)} has no name")
        if hash(above + slash + hidden) in self._is_file:
            self._remark(
                f"it has {_shown(above + slash + hidden)} and a whiteout of it; docker and containerd refuse that"
            )

    def _remark(self, sentence: str) -> None:
        self.oddity = self.oddity or sentence


def clean(name: bytes) -> bytes:
    """Return a normal path; most are that already, but for a slash behind a directory."""
    short = name[:-1] if name.endswith(b"/") else name
    is_usual = b"//" not in short and b"/." not in short and short[:1] not in (b"", b".", b"/")
    return short if is_usual else posixpath.normpath(name)


def _leads_out(name: bytes) -> bool:
    return name == b".." or name.startswith(b"../")


def _shown(name: bytes) -> str:
    return quoted(decoded(name[:_SHOWN]))
