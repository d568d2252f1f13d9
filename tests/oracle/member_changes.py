"""Changes to the members of a tar, and to its end, that readers may read in several ways."""

from __future__ import annotations

import copy
import gzip
import random
import struct
from collections.abc import Callable

from tests.oracle.tars import BLOCK, HARD_LINK, SYMBOLIC_LINK, Entry, packed


def chosen(rng: random.Random, entries: list[Entry]) -> Entry:
    """Return a member, most often a document."""
    documents = [entry for entry in entries if b"/" not in entry.name.removeprefix(b"./")]
    return rng.choice(documents if documents and rng.random() < 0.6 else entries)


def duplicate_member(rng: random.Random, entries: list[Entry]) -> None:
    twin = copy.deepcopy(chosen(rng, entries))
    twin.content = rng.choice([twin.content, b"", b"{}", b"[]", b"null", chosen(rng, entries).content])
    twin.name = rng.choice([twin.name, renamed(rng, twin.name)])
    entries.insert(rng.randrange(len(entries) + 1), twin)


def renamed(rng: random.Random, name: bytes) -> bytes:
    """Return a name that some readers may take as the same."""
    choices = [b"./" + name, b"/" + name, name + b"/", b"x/../" + name, b"../" + name, name + b"/.", b".//" + name]
    choices += [name.replace(b"/", b"//"), name.upper(), name + b"\0x", name + b" ", b"\xff" + name, name[2:]]
    choices += [b"./" * 60 + name, name.replace(b"blobs", b"y"), b"y/" + name, b"blobs/sha256/" + name, b""]
    return rng.choice(choices)


def rename_member(rng: random.Random, entries: list[Entry]) -> None:
    entry = chosen(rng, entries)
    entry.name = renamed(rng, entry.name)


def change_type(rng: random.Random, entries: list[Entry]) -> None:
    entry = chosen(rng, entries)
    entry.kind = rng.choice(
        [b"\0", b"7", b"1", b"2", b"3", b"4", b"5", b"6", b"S", b"x", b"g", b"L", b"K", b"A", b"V", b"M"]
    )
    if rng.random() < 0.3:
        entry.content = b""


def link_member(rng: random.Random, entries: list[Entry]) -> None:
    """Turn a member into a link to a copy of it, or add one."""
    entry = chosen(rng, entries)
    link = copy.deepcopy(entry)
    link.kind, link.content = rng.choice([HARD_LINK, SYMBOLIC_LINK]), rng.choice([b"", b"", b"", entry.content])
    target = rng.choice([b"z", b"blobs/z", entry.name + b".z", entry.name])
    link.link = rng.choice([target, b"./" + target, b"../" + target, b"/" + target, b"../../" + target])
    if rng.random() < 0.7:
        entry.name = target
    else:
        link.name = rng.choice([b"z", b"blobs/z", renamed(rng, entry.name)])
    entries.insert(rng.randrange(len(entries) + 1), link)


def add_link(rng: random.Random, entries: list[Entry]) -> None:
    """Add a link to a directory, and perhaps a member behind it."""
    name, target = rng.choice([(b"y", b"."), (b"blobs", b"y"), (b"y", b"blobs"), (b"blobs/y", b".."), (b"y", b"..")])
    entries.insert(rng.randrange(len(entries) + 1), Entry(name, kind=SYMBOLIC_LINK, link=target))
    if rng.random() < 0.7:
        entry = copy.deepcopy(chosen(rng, entries))
        entry.name = rng.choice([b"y/", b"blobs/y/"]) + entry.name
        entry.content = rng.choice([entry.content, b"[]", b"{}", chosen(rng, entries).content])
        entries.insert(rng.randrange(len(entries) + 1), entry)


def add_member(rng: random.Random, entries: list[Entry]) -> None:
    name = rng.choice(
        [b"x", b"x/", b"manifest.json/", b"oci-layout/x", b"blobs/sha256/x", b"MANIFEST.JSON", b".", b"./", b"/"]
    )
    kind = rng.choice([b"0", b"0", b"5", b"5", b"1", b"2", b"3", b"6", b"7", b"\0"])
    content = rng.choice([b"", b"", b"x", b"{}", bytes(512)])
    entries.insert(
        rng.randrange(len(entries) + 1), Entry(name, content, kind, rng.choice([b"", b"x", b"manifest.json"]))
    )


def remove_member(rng: random.Random, entries: list[Entry]) -> None:
    entries.remove(rng.choice(entries))


def move_member(rng: random.Random, entries: list[Entry]) -> None:
    entry = rng.choice(entries)
    entries.remove(entry)
    entries.insert(rng.randrange(len(entries) + 1), entry)


def replace_content(rng: random.Random, entries: list[Entry]) -> None:
    entry = chosen(rng, entries)
    content = entry.content
    at = rng.randrange(len(content) + 1)
    choices = [
        b"\xef\xbb\xbf" + content,
        content + b" ",
        content + b"\n",
        content + b"x",
        content + content,
        content[:at],
    ]
    choices += [
        content[:at] + b"\xff" + content[at:],
        b"\0" + content,
        content + b"\0",
        content[:at] + b" " + content[at:],
    ]
    choices += [
        content.replace(b'"', b"'"),
        chosen(rng, entries).content,
        content.replace(b"{", b"{ ", 1),
        b"\t" + content,
    ]
    choices += [content.replace(b":", b" : "), content.replace(b"}", b",}"), content.decode("latin-1").encode("utf-16")]
    entry.content = rng.choice(choices)


def change_end(rng: random.Random, entries: list[Entry]) -> bytes:
    """Return an archive with an odd end, with a wrong byte, or compressed."""
    raw = packed(entries)
    whole, at, more = raw[: -2 * BLOCK], rng.randrange(len(raw)), packed([Entry(b"manifest.json", b"[]")])
    zeros = rng.choice([0, BLOCK, 100, 3 * BLOCK, 10 * BLOCK, 18 * BLOCK, 20 * BLOCK - len(raw) % (20 * BLOCK)])
    behind = rng.choice([b"x", b"x" * BLOCK, raw, bytes(BLOCK) + b"x", more])
    behind_gzip = rng.choice([b"", b"", b"x", bytes(BLOCK), gzip.compress(b"x"), gzip.compress(b"")])
    choices = [raw[:at], raw[:at], whole + bytes(zeros), whole + bytes(zeros), whole + bytes(zeros), raw + behind]
    choices += [whole + bytes(BLOCK) + more, raw[:at] + rng.randbytes(1) + raw[at + 1 :], _two_faced(raw)]
    choices += [gzip.compress(raw, mtime=0) + behind_gzip] * 2
    return rng.choice(choices)


def _two_faced(raw: bytes) -> bytes:
    """Return a gzip file whose header holds a whole tar for those that do not decompress it."""
    other = Entry(b"manifest.json", b"[]").packed() + bytes(2 * BLOCK)
    length = BLOCK - 12 + len(other)
    name = b"\x1f\x8b\x08\x04" + bytes(5) + b"\x03" + struct.pack("<H", length)
    front = Entry(b"", fields={"name": name}).packed()
    return front + other + gzip.compress(raw, mtime=0)[10:]


CHANGES: tuple[Callable[[random.Random, list[Entry]], None], ...] = (
    *(duplicate_member, rename_member, change_type, link_member, add_link, add_member, remove_member, move_member),
    replace_content,
)
