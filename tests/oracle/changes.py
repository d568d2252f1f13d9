"""Changes to image archives that readers may read in several ways: to documents, members, headers and the end."""

from __future__ import annotations

import copy
import gzip
import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

from tests.oracle.drafts import (
    AMD64,
    ARM64,
    LAYERS,
    NAME,
    NAMES,
    REF_NAME,
    Draft,
    Json,
    Pairs,
    Raw,
    described,
    image,
    rendered,
    sha256,
)
from tests.oracle.tars import BLOCK, DIRECTORY, FIELDS, HARD_LINK, SYMBOLIC_LINK, Entry, gnu_long, packed, pax

# Documents


def places(value: Json) -> Iterator[tuple[Any, Any]]:
    """Yield each container with each of its keys."""
    if isinstance(value, Pairs):
        return
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from places(inner)


ODD_VALUES = (
    *(None, True, False, 0, -1, 1, 2, 1.0, 1e3, "", "x", "1.0.0", [], {}, [None], [[]], [""], {"": ""}),
    *(Raw("1.0"), Raw("2e0"), Raw("1E400"), Raw("9223372036854775808"), Raw("-0"), Raw('"\\ud800"'), Raw('"\\u0000"')),
    *(AMD64, ARM64, {"architecture": "unknown", "os": "unknown"}, "sha256:" + "0" * 64),
)
ODD_KEYS = ("config", "Config", "layers", "manifests", "Manifests", "data", "platform", "urls", "x", "", "annotations")


def spelt(rng: random.Random, key: str) -> str:
    """Return a key in a spelling that Go takes as the same, or nearly."""
    choices = [key.swapcase(), key.upper(), key.capitalize(), key[:1].swapcase() + key[1:], key + " "]
    choices += [key.replace("s", "\u017f"), key.replace("k", "\u212a"), key.replace("i", "\u0131")]
    return rng.choice(choices)


def changed(rng: random.Random, document: Json) -> Json:
    """Change a document in one place."""
    document = copy.deepcopy(document)
    found = list(places(document))
    if not found:
        return rng.choice(ODD_VALUES)
    container, key = rng.choice(found)
    if isinstance(container, dict) and rng.random() < 0.5:
        return _with_key(rng, document, container, key)
    value = container[key]
    match rng.choice("vdrwssx"):
        case "d":
            del container[key]
        case "r" if isinstance(container, list):
            container.insert(rng.randrange(len(container) + 1), copy.deepcopy(value))
        case "w":
            container[key] = rng.choice([[value], {"x": value}, {str(key): value}])
        case "s" | "x":
            container[key] = _other_value(rng, value)
        case _:
            container[key] = rng.choice(ODD_VALUES)
    return document


def _with_key(rng: random.Random, document: Json, container: dict[str, Json], key: str) -> Json:
    """Return a document with a key spelt differently, twice, or beside the known ones."""
    match rng.choice("kkppx"):
        case "k":
            _respell(container, key, spelt(rng, key))
        case "p":
            return _with_pair(rng, document, container, key)
        case _:
            container[rng.choice(ODD_KEYS)] = rng.choice([container[key], *ODD_VALUES])
    return document


def _other_value(rng: random.Random, value: Json) -> Json:
    """Return a value that some readers may take as the same."""
    if isinstance(value, str):
        escaped = Raw('"' + "".join(f"\\u{ord(character):04x}" for character in value) + '"')
        return rng.choice([escaped, *[_other_text(rng, value)] * 3])
    if isinstance(value, int):
        return rng.choice([value + 1, -value, float(value), Raw(f"{value}.0"), Raw(f"{value}e0")])
    return rng.choice([None, value])


def _respell(container: dict[str, Json], key: str, other: str) -> None:
    """Rename a key in its place."""
    pairs = [(other if name == key else name, value) for name, value in container.items()]
    container.clear()
    container.update(pairs)


def _with_pair(rng: random.Random, document: Json, container: dict[str, Json], key: str) -> Json:
    """Return a document in which a key occurs twice in an object, in one or two spellings."""
    pairs = Pairs(container.items())
    name = rng.choice([key, spelt(rng, key)])
    value = rng.choice([container[key], _other(rng, container[key]), *ODD_VALUES[:6]])
    pairs.insert(rng.randrange(len(pairs) + 1), (name, value))
    return _replaced(document, container, pairs)


def _replaced(value: Json, old: object, new: Json) -> Json:
    if value is old:
        return new
    if isinstance(value, dict):
        return {key: _replaced(inner, old, new) for key, inner in value.items()}
    return [_replaced(inner, old, new) for inner in value] if isinstance(value, list) else value


def _other(rng: random.Random, value: Json) -> Json:
    if isinstance(value, list):
        return rng.choice([[], value * 2, value[1:]])
    return _other_text(rng, value) if isinstance(value, str) else value


def _other_text(rng: random.Random, text: str) -> str:
    """Return a text that some readers may take as the same path, name, digest or media type."""
    choices = [text.upper(), f"./{text}", f"/{text}", f"{text}/", f"x/../{text}", f"{text}\0", f"{text} ", text[:-1]]
    choices += [text.replace("/", "//", 1), text.replace(":", "@"), f"{text}@sha256:{'0' * 64}", f"../{text}"]
    choices += [text.partition(":")[0], rng.choice(NAMES), f"sha512:{'0' * 128}", f"{text}+gzip", f"{text}; x=y"]
    return rng.choice(choices)


def change_document(rng: random.Random, draft: Draft) -> None:
    name = rng.choice(list(draft.documents))
    draft.documents[name] = changed(rng, draft.documents[name])


def drop_document(rng: random.Random, draft: Draft) -> None:
    name = rng.choice(list(draft.documents))
    draft.entries = [entry for entry in draft.entries if entry.name != name.encode()]


def add_document(rng: random.Random, draft: Draft) -> None:
    """Add another form's document, or what the form before docker 1.10 consists of."""
    match rng.choice("lrmi"):
        case "l":
            draft.add(
                "oci-layout", rng.choice([b'{"imageLayoutVersion":"1.0.0"}', b'{"imageLayoutVersion":""}', b"{}"])
            )
        case "r":
            draft.add("x/", kind=DIRECTORY)
            draft.add("x/json", b'{"id":"x","os":"linux"}')
            draft.add("x/layer.tar", LAYERS[0].plain)
            draft.add("repositories", b'{"app":{"v1":"x"}}')
        case "m":
            draft.add("manifest.json", rng.choice([b"[]", b"null", b"{}", b""]))
        case "i":
            draft.add("index.json", rng.choice([b'{"schemaVersion":2,"manifests":[]}', b"{}", b"null", b""]))


def plant(rng: random.Random, draft: Draft) -> None:
    """Add an image, under the name of another or under its own, to one side or both."""
    planted = image(rng)
    for blob in (planted.config, *planted.blobs):
        draft.add_blob(blob)
    names = rng.choice([planted.names, [rng.choice(NAMES)], []])
    where = rng.choice(["manifest.json", "index.json", "both"])
    items = draft.documents.get("manifest.json")
    if where != "index.json" and isinstance(items, list):
        layers = [f"blobs/sha256/{sha256(blob)}" for blob in planted.blobs]
        item = {"Config": f"blobs/sha256/{sha256(planted.config)}", "RepoTags": names, "Layers": layers}
        items.insert(rng.randrange(len(items) + 1), item)
    index = draft.documents.get("index.json")
    if where != "manifest.json" and isinstance(index, dict) and isinstance(index.get("manifests"), list):
        content = rendered(planted.document)
        draft.add_blob(content)
        index["manifests"].insert(
            rng.randrange(len(index["manifests"]) + 1),
            {**described(content, planted.document["mediaType"]), **_annotated(rng, names)},
        )


def _annotated(rng: random.Random, names: list[str]) -> dict[str, Json]:
    name = names[0] if names else ""
    notes = rng.choice(
        [{NAME: name, REF_NAME: name}, {REF_NAME: name}, {REF_NAME: name.rpartition(":")[2]}, {NAME: name}]
    )
    platform = rng.choice([{}, {}, {"platform": AMD64}, {"platform": ARM64}])
    return {"annotations": notes if name else {}, **platform}


def rename_image(rng: random.Random, draft: Draft) -> None:
    """Spell one name of an image differently, or give it another one."""
    found = [
        (container, key)
        for document in draft.documents.values()
        for container, key in places(document)
        if isinstance(container[key], str) and (key in (NAME, REF_NAME) or ":v1" in container[key])
    ]
    if found:
        container, key = rng.choice(found)
        container[key] = rng.choice([*NAMES, "v1", "latest", "", "app", "App:v1", _other_text(rng, container[key])])


def swap_sides(rng: random.Random, draft: Draft) -> None:
    """Change the order of what a document lists."""
    lists = [container[key] for document in draft.documents.values() for container, key in places([document])]
    lists = [each for each in lists if isinstance(each, list) and len(each) > 1]
    if lists:
        rng.shuffle(rng.choice(lists))


# Members


def _file(rng: random.Random, entries: list[Entry]) -> Entry:
    """Return a member, most often a document."""
    documents = [entry for entry in entries if b"/" not in entry.name.removeprefix(b"./")]
    return rng.choice(documents if documents and rng.random() < 0.6 else entries)


def duplicate_member(rng: random.Random, entries: list[Entry]) -> None:
    twin = copy.deepcopy(_file(rng, entries))
    twin.content = rng.choice([twin.content, b"", b"{}", b"[]", b"null", _file(rng, entries).content])
    twin.name = rng.choice([twin.name, renamed(rng, twin.name)])
    entries.insert(rng.randrange(len(entries) + 1), twin)


def renamed(rng: random.Random, name: bytes) -> bytes:
    """Return a name that some readers may take as the same."""
    choices = [b"./" + name, b"/" + name, name + b"/", b"x/../" + name, b"../" + name, name + b"/.", b".//" + name]
    choices += [name.replace(b"/", b"//"), name.upper(), name + b"\0x", name + b" ", b"\xff" + name, name[2:]]
    choices += [b"./" * 60 + name, name.replace(b"blobs", b"y"), b"y/" + name, b"blobs/sha256/" + name, b""]
    return rng.choice(choices)


def rename_member(rng: random.Random, entries: list[Entry]) -> None:
    entry = _file(rng, entries)
    entry.name = renamed(rng, entry.name)


def change_type(rng: random.Random, entries: list[Entry]) -> None:
    entry = _file(rng, entries)
    entry.kind = rng.choice(
        [b"\0", b"7", b"1", b"2", b"3", b"4", b"5", b"6", b"S", b"x", b"g", b"L", b"K", b"A", b"V", b"M"]
    )
    if rng.random() < 0.3:
        entry.content = b""


def link_member(rng: random.Random, entries: list[Entry]) -> None:
    """Turn a member into a link to a copy of it, or add one."""
    entry = _file(rng, entries)
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
        entry = copy.deepcopy(_file(rng, entries))
        entry.name = rng.choice([b"y/", b"blobs/y/"]) + entry.name
        entry.content = rng.choice([entry.content, b"[]", b"{}", _file(rng, entries).content])
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
    entry = _file(rng, entries)
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
        _file(rng, entries).content,
        content.replace(b"{", b"{ ", 1),
        b"\t" + content,
    ]
    choices += [content.replace(b":", b" : "), content.replace(b"}", b",}"), content.decode("latin-1").encode("utf-16")]
    entry.content = rng.choice(choices)


# Headers

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
    entry = _file(rng, entries)
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
    for entry in entries if rng.random() < 0.5 else [_file(rng, entries)]:
        entry.style = style
    entry = _file(rng, entries)
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
    entry = _file(rng, entries)
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


# The whole


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


DRAFT_CHANGES: tuple[Callable[[random.Random, Draft], None], ...] = (
    *(change_document, change_document, change_document, change_document, drop_document, add_document),
    *(plant, plant, rename_image, rename_image, swap_sides),
)
ENTRY_CHANGES: tuple[Callable[[random.Random, list[Entry]], None], ...] = (
    *(duplicate_member, rename_member, change_type, link_member, add_link, add_member, remove_member, move_member),
    *(replace_content, change_field, change_field, change_field, change_style, change_style),
    *(add_extension, add_extension, add_extension),
)
