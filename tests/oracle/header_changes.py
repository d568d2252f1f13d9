"""Changes to the headers of a tar that readers may read in several ways."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.oracle.member_changes import chosen, renamed
from tests.oracle.tars import FIELDS, Entry, gnu_long, pax

NUMBERS = (
    *(
        b"",
        b"0",
        b" 0 ",
        b"-1",
        b"+5",
        b"1_0",
        b"0o7",
        b"8",
        b"0x5",
        b"\x80" + bytes(10) + b"\x05",
        b"\xff" * 12,
        b"7777777",
    ),
    *(b"00000000005 ", b"     5\0 \0", b"\x00000005", b"\x80" + b"\xff" * 11, b"5\0junk", b" ", b"\xff" * 11 + b"\xfe"),
)


def change_field(rng: random.Random, entries: list[Entry]) -> None:
    """Write anything to a field of a header."""
    entry = chosen(rng, entries)
    name = rng.choice(list(FIELDS))
    length = FIELDS[name].stop - FIELDS[name].start
    size = len(entry.content)
    match name:
        case "magic":
            values = [b"", b"ustar\x0000", b"ustar  \0", b"ustar\0  ", b"ustar\x0001", b"USTAR\x0000", b"ustar 00"]
        case "size":
            right = [
                b"%o" % size,
                b"%012o" % size,
                b"%11o " % size,
                b"\x80" + size.to_bytes(11, "big"),
                b"%o\0x" % size,
            ]
            values = [*right, *right, *NUMBERS, b"%o" % (size + 512), b"%o" % (size + 1)]
        case "mode":
            values = [b"0100644\0", b"0120644\0", b"0040755\0", b"0060644\0", b"0010644\0", b"0004755\0", *NUMBERS]
        case "uid" | "gid" | "mtime" | "devmajor" | "devminor":
            values = list(NUMBERS)
        case "prefix" | "trailer":
            values = [
                b"x",
                b"x/",
                b"/",
                b".",
                b"..",
                b"\0x",
                b"00000000001\0",
                b"tar\0".rjust(12, b"\0"),
                rng.randbytes(12),
            ]
            values += [b"blobs", bytes(131) + b"00000000001\x0000000000001\0", bytes(131) + b"x", bytes(12) + b"x"]
        case _:
            values = [b"", b"x", entry.name, rng.randbytes(length), b"\xff\xfe", b"x" * length]
    entry.fields[name] = rng.choice(values)


def change_style(rng: random.Random, entries: list[Entry]) -> None:
    """Give one header, or all, another magic; a prefix of POSIX holds a part of the name."""
    style = rng.choice(["v7", "gnu", "ustar"])
    for entry in entries if rng.random() < 0.5 else [chosen(rng, entries)]:
        entry.style = style
    entry = chosen(rng, entries)
    directory, slash, base = entry.name.rpartition(b"/")
    if slash and rng.random() < 0.5:
        entry.fields.update(name=base, prefix=directory)


PAX_RECORDS = (
    *((b"mtime", b"1.5"), (b"mtime", b"1"), (b"mtime", b"x"), (b"atime", b""), (b"mtime", b"-1.5"), (b"ctime", b"1e3")),
    *(
        (b"uid", b"0"),
        (b"uid", b"x"),
        (b"gid", b"99999999999999999999"),
        (b"size", b"1"),
        (b"size", b"0"),
        (b"size", b""),
    ),
    *(
        (b"path", b""),
        (b"path", b"x"),
        (b"path", b"manifest.json"),
        (b"path", b"a\0b"),
        (b"linkpath", b"x"),
        (b"", b"x"),
    ),
    *(
        (b"SCHILY.xattr.user.x", b"y"),
        (b"LIBARCHIVE.x", b"y"),
        (b"comment", b"x"),
        (b"comment", b"a\0b"),
        (b"a=b", b"c"),
    ),
    *(
        (b"uname", b"root"),
        (b"uname", b"a\0"),
        (b"hdrcharset", b"BINARY"),
        (b"charset", b"x"),
        (b"GNU.sparse.major", b"1"),
    ),
    *((b"GNU.sparse.name", b"x"), (b"GNU.sparse.size", b"1"), (b"GNU.sparse.realsize", b"1"), (b"Path", b"x")),
)


def add_extension(rng: random.Random, entries: list[Entry]) -> None:
    """Put one or two extended headers before a member."""
    entry = chosen(rng, entries)
    entry.before = rng.choice([b"", b"", entry.before]) + b"".join(
        _extension(rng, entry) for _ in range(rng.choice([1, 1, 1, 2]))
    )


def _extension(rng: random.Random, entry: Entry) -> bytes:
    name, size = rng.choice([entry.name, entry.name, b"x", renamed(rng, entry.name)]), len(entry.content)
    match rng.choice("ppppssgLKbz"):
        case "p":
            known = [(b"path", name), (b"size", b"%d" % size), (b"linkpath", entry.link), (b"mtime", b"1")]
            records = rng.choices([*known, *PAX_RECORDS], k=rng.choice([1, 1, 2, 3]))
            return pax(records)
        case "s":
            return pax(
                [
                    (
                        b"size",
                        rng.choice([b"%d" % size, b"0%d" % size, b"+%d" % size, b"%d " % size, b"%d" % (size + 512)]),
                    )
                ]
            )
        case "g":
            return pax([rng.choice([(b"comment", b"x"), (b"path", name), (b"size", b"0"), *PAX_RECORDS])], b"g")
        case "L" | "K" as kind:
            return gnu_long(name, kind.encode())
        case "b":
            content = rng.choice(
                [b"", b"x", b"5 a=\n", b"6 a=b", b"06 a=b\n", b"+6 a=b\n", b" 6 a=b\n", b"6 a=b\n\0\0", b"99 a=b\n"]
            )
            return Entry(b"x", content, b"x").packed()
        case _:
            return Entry(b"", rng.choice([b"", b"x"]), rng.choice([b"x", b"g", b"X"])).packed()


CHANGES: tuple[Callable[[random.Random, list[Entry]], None], ...] = (
    *(change_field, change_field, change_field, change_style, change_style),
    *(add_extension, add_extension, add_extension),
)
