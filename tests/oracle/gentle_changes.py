"""Changes to a tar and its documents that known writers make, and that no reader may read differently."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from tests.oracle.tars import DIRECTORY, FILE, SYMBOLIC_LINK, Entry, gnu_long, pax

_TIMES = ((b"mtime", b"1700000000.123456789"), (b"atime", b"1700000000"), (b"ctime", b"-1.5"), (b"mtime", b"0"))
_OWNERS = ((b"uid", b"2097152"), (b"gid", b"0"), (b"uname", b"j\xc3\xb6rg"), (b"gname", b""))
_OTHERS = (
    *(
        (b"LIBARCHIVE.creationtime", b"1.5"),
        (b"LIBARCHIVE.xattr.x", b"eA"),
        (b"SCHILY.dev", b"1"),
        (b"SCHILY.ino", b"2"),
    ),
    *(
        (b"SCHILY.nlink", b"1"),
        (b"SCHILY.xattr.user.x", b"y"),
        (b"RHT.security.selinux", b"x:y\0"),
        (b"SCHILY.fflags", b""),
    ),
)
_FIELDS = {
    "mode": (b"0000444\0", b"000644 \0", b"0100644\0", b"   644 \0", b"0000000\0", b"0644\0", b"0004755\0"),
    "uid": (b"0001750\0", b"001750 \0", b"\x80\0\0\0\x7f\xff\xff\xff", b""),
    "gid": (b"0000000\0", b"     0 \0", b""),
    "mtime": (b"14771045670\0", b"14771045670 ", b"\x80" + bytes(6) + b"\x02" + bytes(4), b"          1 "),
    "uname": (b"root", b"j\xc3\xb6rg", b"x" * 32),
    "gname": (b"wheel", b"x" * 31),
    "devmajor": (b"0000000\0", b"000000 \0", b""),
    "devminor": (b"0000000\0", b"000000 \0", b""),
}


def change_field(rng: random.Random, entry: Entry) -> None:
    name = rng.choice(list(_FIELDS))
    if entry.style == "v7" and name in ("uname", "gname", "devmajor", "devminor"):
        return
    if name != "mode" or entry.kind == FILE:
        entry.fields[name] = rng.choice(_FIELDS[name])


def change_size(rng: random.Random, entry: Entry) -> None:
    size = len(entry.content)
    entry.fields["size"] = rng.choice([b"%011o " % size, b"%11o " % size, b"%012o" % size, b"%011o\0" % size])


def change_style(rng: random.Random, entry: Entry) -> None:
    """Give a header another magic; in POSIX's, the prefix may hold the directories."""
    entry.style = rng.choice(["ustar", "gnu", "v7"])
    if entry.style == "v7":
        entry.kind = b"\0" if entry.kind == FILE else entry.kind
        for name in ("uname", "gname", "devmajor", "devminor"):
            entry.fields.pop(name, None)
    directory, slash, base = entry.name.rpartition(b"/")
    if entry.style == "ustar" and slash and base and rng.random() < 0.3:
        entry.fields.update(name=base, prefix=directory)


def add_pax(rng: random.Random, entry: Entry) -> None:
    own = [(b"path", entry.name), (b"size", b"%d" % len(entry.content))]
    own += [(b"linkpath", entry.link)] if entry.kind == SYMBOLIC_LINK else []
    records = dict(rng.choices([*own, *_TIMES, *_OWNERS, *_OTHERS], k=rng.choice([1, 2, 3])))
    entry.style, entry.before = "ustar", pax(records.items())


def add_long_name(rng: random.Random, entry: Entry) -> None:
    entry.style = "gnu"
    entry.before = gnu_long(entry.name)
    if entry.kind == SYMBOLIC_LINK and rng.random() < 0.5:
        entry.before += gnu_long(entry.link, b"K")


def make_old(_rng: random.Random, entry: Entry) -> None:
    """Give a file or a directory the type that v7 has for both."""
    if entry.kind in (FILE, DIRECTORY):
        entry.kind, entry.style = b"\0", "v7"


def reformat(rng: random.Random, entry: Entry) -> None:
    """Write a document as another program would."""
    if not entry.name.endswith((b".json", b"oci-layout", b"repositories")) or len(entry.name) > len(b"./manifest.json"):
        return
    try:
        document = json.loads(entry.content)
    except ValueError:
        return
    text = json.dumps(document, indent=rng.choice([None, 1, 3, "\t"]), sort_keys=rng.random() < 0.3)
    if rng.random() < 0.3:
        text = text.replace("/", "\\/")
    entry.content = (text + rng.choice(["", "\n", "\r\n", " "])).encode()


_CHANGES: tuple[Callable[[random.Random, Entry], None], ...] = (
    *(change_field, change_size, change_style, add_pax, add_pax, add_long_name, make_old, reformat, reformat),
)


def change(rng: random.Random, entries: list[Entry]) -> None:
    """Change one member, or all in the same way."""
    made = rng.choice(_CHANGES)
    for entry in entries if rng.random() < 0.3 else [rng.choice(entries)]:
        made(rng, entry)
