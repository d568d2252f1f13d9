"""Tar headers of an archive, as real writers make them.

Docker, containerd, podman and skopeo read tars with Go's ``archive/tar``; other tools have readers of their own.  A
header is accepted only if each of its fields has a form that known writers produce, because any other may have a
different meaning to some reader.  Everything else is refused, however harmless it looks.

The writers: Go's ``archive/tar``, GNU tar (formats gnu, pax, ustar, v7), libarchive (BSD tar), Python's `tarfile`, and
Apache Commons Compress (Jib).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from imgfetch.layers.tarheaders import LONG_LINK, LONG_NAME, PAX, Header, HeaderError, decoded, text

FILE, OLD_FILE, HARD_LINK, SYMBOLIC_LINK, DIRECTORY = b"0", b"\0", b"1", b"2", b"5"
KINDS = frozenset({FILE, OLD_FILE, HARD_LINK, SYMBOLIC_LINK, DIRECTORY, PAX, LONG_NAME, LONG_LINK})
_FILE_TYPES = {FILE: 0o100000, OLD_FILE: 0o100000, SYMBOLIC_LINK: 0o120000, DIRECTORY: 0o040000}
"""The type that some writers repeat in the mode, above the permissions."""
MAX_NAME = 1024
"""Maximum bytes of a name or a link's target."""

_TYPE, _MAGIC = slice(156, 157), slice(257, 265)
_POSIX, _GNU, _V7 = b"ustar\x0000", b"ustar  \0", bytes(8)
_FORMATS = {_POSIX: "POSIX", _GNU: "GNU", _V7: "v7"}
_PERMISSIONS = 0o7777
_MAX_SIZE = 2**62
_OCTAL_SIZE = 8**11
"""Sizes from here on do not fit into the octal digits of a header."""

_TEXT = re.compile(rb"[^\0]*\0*")
_NUMBER = re.compile(rb"[\0 ]*| *[0-7]+[\0 ]*|\x80[\0-\xff]+", re.DOTALL)
_CHECKSUM = re.compile(rb" *[0-7]+[\0 ]*")
_FORM_OF = dict.fromkeys((_NUMBER, _CHECKSUM), "not a number")
_ZEROS = re.compile(rb"\0*")

_Form = tuple[slice, re.Pattern[bytes]]
_COMMON: Mapping[str, _Form] = {
    "name": (slice(0, 100), _TEXT),
    "mode": (slice(100, 108), _NUMBER),
    "owner": (slice(108, 116), _NUMBER),
    "group": (slice(116, 124), _NUMBER),
    "size": (slice(124, 136), _NUMBER),
    "time": (slice(136, 148), _NUMBER),
    "checksum": (slice(148, 156), _CHECKSUM),
    "link target": (slice(157, 257), _TEXT),
}
_NAMED: Mapping[str, _Form] = {
    **_COMMON,
    "owner's name": (slice(265, 297), _TEXT),
    "group's name": (slice(297, 329), _TEXT),
    "major device number": (slice(329, 337), _NUMBER),
    "minor device number": (slice(337, 345), _NUMBER),
}
_FIELDS: Mapping[bytes, Mapping[str, _Form]] = {
    _POSIX: {**_NAMED, "prefix": (slice(345, 500), _TEXT), "end": (slice(500, 512), _ZEROS)},
    _GNU: {
        **_NAMED,
        "access time": (slice(345, 357), _NUMBER),
        "change time": (slice(357, 369), _NUMBER),
        "end": (slice(369, 512), _ZEROS),
    },
    _V7: {
        **_COMMON,
        "end": (slice(265, 512), re.compile(rb"\0{64}(?:0{7}\0){0,2}\0*")),  # GNU tar writes device numbers
    },
}

_RECORD = re.compile(rb"([1-9][0-9]{0,5}) ([^=\0]+)=")
_DECIMAL = re.compile(rb"0|[1-9][0-9]{0,17}")
_TIME = re.compile(rb"-?[0-9]{1,18}(?:\.[0-9]{1,18})?")
_VALUES: Mapping[bytes, re.Pattern[bytes]] = {
    **dict.fromkeys((b"path", b"linkpath"), re.compile(rb"[^\0]+")),
    **dict.fromkeys((b"uname", b"gname"), re.compile(rb"[^\0]*")),
    **dict.fromkeys((b"size", b"uid", b"gid"), _DECIMAL),
    **dict.fromkeys((b"mtime", b"atime", b"ctime"), _TIME),
}
_WITHOUT_EFFECT = (b"LIBARCHIVE.", b"SCHILY.", b"RHT.security.")
"""Beginnings of the keys of records that no reader of images uses."""


def parse(block: bytes) -> Header:
    """Read a header.

    Raises:
        HeaderError: known writers do not make such a header.
    """
    magic, kind = block[_MAGIC], block[_TYPE]
    if magic not in _FIELDS:
        raise HeaderError(f"this header is neither POSIX, GNU nor v7: its magic is {decoded(magic)!a}")
    fields = {}
    for what, (place, form) in _FIELDS[magic].items():
        fields[what] = block[place]
        if not form.fullmatch(block[place]):
            raise HeaderError(f"the {what} in this header is {_FORM_OF.get(form, 'malformed')}")
    if kind not in KINDS:
        raise HeaderError(f"this entry has the type {decoded(kind)!a}, which an image archive never contains")
    if (kind == PAX and magic != _POSIX) or (kind in (LONG_NAME, LONG_LINK) and magic != _GNU):
        raise HeaderError(f"this extended header has the type {decoded(kind)!a} in the {_FORMATS[magic]} format")
    numbers = {what: _number(fields[what], what) for what, (_, form) in _FIELDS[magic].items() if form is _NUMBER}
    if numbers["mode"] & ~_PERMISSIONS not in (0, _FILE_TYPES.get(kind)):
        raise HeaderError("the mode in this header is that of another kind of file, and some readers rely on it")
    name = text(fields["name"])
    if magic == _POSIX and (prefix := text(fields["prefix"])):
        name = prefix + b"/" + name
    return Header(kind, name, numbers["size"], text(fields["link target"]))


class Extensions:
    """The extended headers of an entry: GNU's long names, or one PAX header."""

    def __init__(self) -> None:
        self._texts: dict[bytes, bytes] = {}
        self._records: dict[bytes, bytes] | None = None

    def add(self, kind: bytes, content: bytes) -> None:
        """Add the content of an extended header.

        Raises:
            HeaderError: readers would disagree about the header that counts, or it is malformed.
        """
        if self._records is not None or kind in self._texts or (kind == PAX and self._texts):
            raise HeaderError("this entry has several extended headers; readers disagree about which one counts")
        if kind == PAX:
            self._records = records(content)
        elif not content.endswith(b"\0") or b"\0" in content[:-1] or len(content) == 1:
            raise HeaderError("this long name does not end with its first NUL")
        else:
            self._texts[kind] = content[:-1]

    def applied(self, own: Header) -> Header:
        """Return an entry's header, with these extensions applied.

        Raises:
            HeaderError: they contradict the header, or a name is too long.
        """
        records = self._records or {}
        size = int(records.get(b"size", b"%d" % own.size))
        if size != own.size and size < _OCTAL_SIZE:
            raise HeaderError("this entry has two sizes; readers disagree about which one counts")
        name = self._texts.get(LONG_NAME) or records.get(b"path") or own.name
        link = self._texts.get(LONG_LINK) or records.get(b"linkpath") or own.link
        if max(len(name), len(link)) > MAX_NAME:
            raise HeaderError(f"this entry has a name of more than {MAX_NAME} bytes")
        if not 0 <= size <= _MAX_SIZE:
            raise HeaderError("the size in this header is out of range")
        return Header(own.kind, name, size, link)


def records(content: bytes) -> dict[bytes, bytes]:
    """Return the records of a PAX header.

    Raises:
        HeaderError: the header is malformed, or has a record that known writers do not make.
    """
    found: dict[bytes, bytes] = {}
    start = 0
    while start < len(content):
        match = _RECORD.match(content, start)
        end = start + int(match[1]) if match else 0
        if not match or not match.end() < end <= len(content) or content[end - 1 : end] != b"\n":
            raise HeaderError("this PAX header is malformed")
        key, value = match[2], content[match.end() : end - 1]
        if key in found:
            raise HeaderError(f"this PAX header has two records {decoded(key)!a}")
        form = _VALUES.get(key)
        if not (form.fullmatch(value) if form else key.startswith(_WITHOUT_EFFECT)):
            raise HeaderError(
                f"this PAX header has the record {decoded(key)!a}={decoded(value)[:40]!a}, unlike any writer's"
            )
        found[key] = value
        start = end
    return found


def _number(field: bytes, what: str) -> int:
    """Return a number in octal digits or base 256."""
    if not field[0] & 0x80:
        return int(field.strip(b"\0 ") or b"0", 8)
    value = int.from_bytes(field[1:], "big")
    if not 8 ** (len(field) - 1) <= value <= _MAX_SIZE:  # smaller ones have octal digits
        raise HeaderError(f"the {what} in this header is out of range")
    return value
