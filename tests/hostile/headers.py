"""Archives whose headers readers decode differently."""

from __future__ import annotations

from collections.abc import Callable

from tests.headers import GNU, checked, header, pax, record, replaced
from tests.headers import entry as raw_entry
from tests.hostile.parts import (
    Hostile,
    Make,
    Pair,
    before,
    behind,
    blobs,
    both,
    evil,
    file,
    hard_link,
    packed,
    planted_documents,
    symlink,
    tar,
)


def _hidden(pair: Pair) -> bytes:
    """Return entries that replace the good documents, to be hidden in an entry's content."""
    return packed({**planted_documents(pair), **blobs(pair.planted)})


def _container(name: bytes, **fields: bytes) -> Make:
    """Return an entry whose content is a tar that replaces the documents."""
    return lambda pair: file(name, _hidden(pair), **fields)


def _renamed(before: Callable[[bytes], bytes], name: bytes = b"other", **fields: bytes) -> Make:
    """Return the planted manifest.json, with an extension before its header that may rename it."""

    def make(pair: Pair) -> bytes:
        content = planted_documents(pair)["manifest.json"]
        return before(b"manifest.json") + file(name, content, **fields) + packed(blobs(pair.planted))

    return make


def _long(name: bytes, kind: bytes = b"L") -> bytes:
    return file(b"././@LongLink", name + b"\0", type=kind, magic=GNU)


def _path(name: bytes) -> bytes:
    return pax(record(b"path", name))


def _gnu_prefix(pair: Pair) -> bytes:
    """Return a header of GNU's with text where Go looks for a prefix."""
    content = planted_documents(pair)["manifest.json"]
    fields = {"magic": GNU, "size": b"%011o" % len(content), "access time": b".", "type": b"0"}
    return header(b"manifest.json", fields) + content + bytes(-len(content) % 512) + packed(blobs(pair.planted))


def _star(pair: Pair) -> bytes:
    content = planted_documents(pair)["manifest.json"]
    block = header(b"manifest.json", {"size": b"%011o" % len(content), "trailer": b"tar\0", "prefix": b"."})
    block = checked(replaced(block, "prefix", b"x".ljust(131, b"\0") + b"0000000000 00000000000 "))
    return block + content + bytes(-len(content) % 512) + packed(blobs(pair.planted))


def _sized(before: Callable[[int], bytes], size: Callable[[int], bytes]) -> Make:
    """Return an entry with two sizes, between which entries are hidden."""

    def make(pair: Pair) -> bytes:
        content = _hidden(pair)
        return before(len(content)) + file(b"other", content, size=size(len(content)))

    return make


def _far_times(name: str) -> Make:
    """Return an archive with a change time out of range in a document's header, where Go finds a prefix instead."""
    times = {"magic": GNU, "access time": b"00000000001", "change time": b"\x80" + b"\xff" * 11}

    def make(pair: Pair) -> bytes:
        members = both(pair)
        return file(name.encode(), members.pop(name), **times) + tar(members)

    return make


HEADERS: dict[str, Hostile] = {
    **{
        f"a change time out of range in the header of {name}": Hostile(_far_times(name))
        for name in ("oci-layout", "index.json", "manifest.json")
    },
    **{
        f"entries in the content of a {text}, of type {kind!r}": before(_container(name, type=kind))
        for text, name in (("directory", b"d/"), ("file", b"f"))
        for kind in (
            b"0",
            b"\0",
            b"7",
            b"5",
            b"1",
            b"2",
            b"3",
            b"4",
            b"6",
            b"D",
            b"S",
            b"V",
            b"M",
            b"N",
            b"X",
            b"A",
            b"9",
        )
    },
    "text in GNU's times": behind(_gnu_prefix),
    "a header of star": behind(_star),
    "a PAX path": behind(_renamed(_path)),
    "a GNU long name": behind(_renamed(_long)),
    "a GNU long name with text behind its NUL": behind(_renamed(lambda name: _long(name + b"\0x"))),
    "a GNU long name before a PAX path": behind(_renamed(lambda name: _long(name) + _path(b"other"))),
    "a PAX path before a GNU long name": behind(_renamed(lambda name: _path(b"other") + _long(name))),
    "a GNU long name before a PAX path of the document": behind(_renamed(lambda name: _long(b"other") + _path(name))),
    "two PAX headers, the first with the path": behind(
        _renamed(lambda name: _path(name) + pax(record(b"comment", b"x")))
    ),
    "two PAX headers, the last with the path": behind(
        _renamed(lambda name: pax(record(b"comment", b"x")) + _path(name))
    ),
    "two GNU long names": behind(_renamed(lambda name: _long(b"other") + _long(name))),
    "two PAX paths": behind(_renamed(lambda name: pax(record(b"path", b"other"), record(b"path", name)))),
    "a PAX path and a global header": behind(
        _renamed(lambda name: _path(name) + pax(record(b"comment", b"x"), kind=b"g"))
    ),
    "a global PAX path": behind(_renamed(lambda name: pax(record(b"path", name), kind=b"g"))),
    "a PAX path with a NUL": behind(_renamed(lambda name: _path(name + b"\0x"))),
    "an empty PAX path": behind(_renamed(lambda _: _path(b""), name=b"manifest.json")),
    "a PAX header of Sun's": behind(_renamed(lambda name: pax(record(b"path", name), kind=b"X"))),
    "a PAX path in another case": behind(_renamed(lambda name: pax(record(b"PATH", name)))),
    "a PAX name of a sparse file": behind(_renamed(lambda name: pax(record(b"GNU.sparse.name", name)))),
    "a PAX name of a sparse file of version 1.0": behind(
        _renamed(
            lambda name: pax(
                record(b"GNU.sparse.major", b"1"),
                record(b"GNU.sparse.minor", b"0"),
                record(b"GNU.sparse.name", name),
                record(b"GNU.sparse.realsize", b"9"),
            )
        )
    ),
    "a PAX name in Latin-1": behind(
        _renamed(lambda name: pax(record(b"hdrcharset", b"BINARY"), record(b"path", name)))
    ),
    "a PAX path without a line feed": behind(_renamed(lambda name: raw_entry(b"p", b"22 path=" + name + b"x", b"x"))),
    "a PAX header with a number in front": behind(
        _renamed(lambda name: raw_entry(b"p", b"0" + record(b"path", name), b"x"))
    ),
    "a PAX link": behind(
        lambda pair: evil(pair) + pax(record(b"linkpath", b"evil/manifest.json")) + symlink(b"manifest.json", b"x")
    ),
    "a long link of GNU's": behind(
        lambda pair: evil(pair) + _long(b"evil/manifest.json", b"K") + symlink(b"manifest.json", b"x")
    ),
    "a prefix": behind(_renamed(lambda _: b"", name=b"manifest.json", prefix=b".")),
    "a prefix without POSIX's magic": behind(_renamed(lambda _: b"", name=b"manifest.json", prefix=b"x", magic=b"")),
    "a prefix with GNU's magic": behind(_renamed(lambda _: b"", name=b"manifest.json", prefix=b"x", magic=GNU)),
    "another version of POSIX's format": behind(
        _renamed(lambda _: b"", name=b"manifest.json", prefix=b"x", magic=b"ustar\x0099")
    ),
    "half of POSIX's magic": behind(_renamed(lambda _: b"", name=b"manifest.json", prefix=b"x", magic=b"ustar  x")),
    "a PAX size above the header's": before(
        _sized(lambda size: pax(record(b"size", b"%d" % size)), lambda _: b"00000000000")
    ),
    "a PAX size below the header's": before(_sized(lambda _: pax(record(b"size", b"0")), lambda size: b"%011o" % size)),
    "a PAX size in another case": before(_sized(lambda _: pax(record(b"SIZE", b"0")), lambda size: b"%011o" % size)),
    "a PAX size with a sign": before(
        _sized(lambda size: pax(record(b"size", b"+%d" % size)), lambda _: b"00000000000")
    ),
    "an empty PAX size": before(_sized(lambda _: pax(record(b"size", b"")), lambda size: b"%011o" % size)),
    "two PAX sizes": before(
        _sized(lambda size: pax(record(b"size", b"%d" % size), record(b"size", b"0")), lambda size: b"%011o" % size)
    ),
    "a global PAX size": before(_sized(lambda _: pax(record(b"size", b"0"), kind=b"g"), lambda size: b"%011o" % size)),
    "a real size of a sparse file": before(
        _sized(lambda _: pax(record(b"GNU.sparse.realsize", b"0")), lambda size: b"%011o" % size)
    ),
    **{
        f"a size of {text}": before(_sized(lambda _: b"", size))
        for text, size in {
            "minus one": lambda _: b"-1",
            "plus": lambda size: b"+%o" % size,
            "an underscore": lambda size: (b"%o" % size)[:1] + b"_" + (b"%o" % size)[1:],
            "a prefix": lambda size: b"0o%o" % size,
            "base 256": lambda size: b"\x80" + size.to_bytes(11, "big"),
            "base 256 with other high bits": lambda size: b"\xc0" + size.to_bytes(11, "big"),
            "negative base 256": lambda _: b"\xff" * 12,
            "zero in base 256": lambda _: b"\x80" + bytes(11),
            "spaces in front": lambda size: b"%12o" % size,
            "NULs in front": lambda size: b"\0\0%o" % size,
            "digits behind a NUL": lambda size: b"0\0%o" % size,
            "digits behind a space": lambda size: b"0 %o" % size,
            "no digits": lambda _: b"",
            "an eight": lambda size: b"%o8" % size,
            "decimal digits": lambda size: b"%d" % size,
        }.items()
    },
    "a hard link with a size": before(lambda pair: hard_link(b"link", b"oci-layout", _hidden(pair))),
    "a symbolic link with a size": before(lambda pair: file(b"link", _hidden(pair), type=b"2", link=b"oci-layout")),
    "a PAX time that is not a number": behind(lambda _: pax(record(b"mtime", b"soon")) + file(b"extra")),
    "a PAX owner that is not a number": behind(lambda _: pax(record(b"uid", b"root")) + file(b"extra")),
    "a PAX record with NUL": behind(lambda _: pax(record(b"uname", b"a\0b")) + file(b"extra")),
}
