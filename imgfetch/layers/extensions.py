"""Extended headers of a layer's tar, as Go reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from imgfetch.layers.tarheaders import LONG_LINK, LONG_NAME, HeaderError, decoded, text

OLD_FILE, DIRECTORY = b"\0", b"5"
WITHOUT_CONTENT = frozenset({b"1", b"2", b"3", b"4", DIRECTORY, b"6"})
INT64 = range(-(2**63), 2**63)

_MAX_DIGITS, _SHORTEST = 20, 5  # of the length of a PAX record; bytes of the shortest record
_RECORD, _NEWLINE = re.compile(rb"([+-]?[0-9]+) ([^=]+)="), 0x0A
_MALFORMED = "a PAX header is malformed"
_INTEGER = re.compile(rb"([+-]?0*[0-9]{1,19})")
_TIME = re.compile(rb"([+-]?0*[0-9]{1,19})(?:\.[0-9]*)?")
_PAX_INTEGERS, _PAX_TIMES = frozenset({b"uid", b"gid", b"size"}), frozenset({b"mtime", b"atime", b"ctime"})
_PAX_TEXTS = frozenset({b"path", b"linkpath", b"uname", b"gname"})
_SPARSE_VERSIONS = ((b"0", b"0"), (b"0", b"1"), (b"1", b"0"))
_SPARSE_MAPS = frozenset({b"GNU.sparse.map", b"GNU.sparse.numbytes"})

Fields = tuple[bytes, bytes, bytes, int]
"""An entry's type, name, link target and size."""


def is_sparse(records: Mapping[bytes, bytes]) -> bool:
    """Return whether a file is sparse, so that its name may be in a record."""
    version = (records.get(b"GNU.sparse.major", b""), records.get(b"GNU.sparse.minor", b""))
    return version in _SPARSE_VERSIONS or (version == (b"", b"") and not _SPARSE_MAPS.isdisjoint(records))


def extended(own: Fields, extensions: Mapping[bytes, bytes], records: Mapping[bytes, bytes]) -> Fields:
    """Apply the extended headers to an entry's own.

    Raises:
        HeaderError: Go refuses a record.
    """
    kind, name, link, size = own
    for key, value in records.items():
        form = _TIME if key in _PAX_TIMES else _INTEGER if key in _PAX_INTEGERS else None
        match = form and form.fullmatch(value)
        if form and value and not (match and _integer(match[1]) in INT64):
            raise HeaderError(f"the {decoded(key)} in a PAX header is malformed")
    name = text(extensions.get(LONG_NAME, b"")) or records.get(b"path") or name
    link = text(extensions.get(LONG_LINK, b"")) or records.get(b"linkpath") or link
    size = _integer(records[b"size"]) if records.get(b"size") else size
    if kind == OLD_FILE and name.endswith(b"/"):
        kind = DIRECTORY
    if kind not in WITHOUT_CONTENT and size < 0:
        raise HeaderError("the size in a PAX header is out of range")
    return kind, name, link, size


def _integer(digits: bytes) -> int:
    """Read an integer, whose leading zeros may be more digits than Python reads."""
    value = int(digits.lstrip(b"+-0") or b"0")
    return -value if digits.startswith(b"-") else value


def records_of(content: bytes) -> dict[bytes, bytes]:
    """Return the records of a PAX header.

    Raises:
        HeaderError: Go refuses them.
    """
    found: dict[bytes, bytes] = {}
    start = 0
    while start < len(content):
        match = _RECORD.match(content, start)
        if not match:
            raise HeaderError(_MALFORMED)
        digits, key = match.groups()
        end = start + int(digits) if len(digits) < _MAX_DIGITS else 0
        value = content[match.end() : max(end - 1, 0)]
        is_whole = start + _SHORTEST <= end <= len(content) and match.end() < end and content[end - 1] == _NEWLINE
        if not is_whole or b"\0" in (value if key in _PAX_TEXTS else key):
            raise HeaderError(_MALFORMED)
        found[key] = value
        start = end
    return found
