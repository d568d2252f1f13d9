"""Archives in which several members have one place, or one member several."""

from __future__ import annotations

from collections.abc import Callable

from tests.headers import GNU
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
    path,
    planted_documents,
    symlink,
    tar,
    under_good_names,
)

ALIASES: dict[str, Callable[[str], bytes]] = {
    "again": lambda name: name.encode(),
    "with a dot": lambda name: f"./{name}".encode(),
    "absolute": lambda name: f"/{name}".encode(),
    "with two slashes in front": lambda name: f"//{name}".encode(),
    "with three slashes in front": lambda name: f"///{name}".encode(),
    "with a dot and slashes": lambda name: f".//{name}".encode(),
    "with two dots": lambda name: f"././{name}".encode(),
    "through a parent": lambda name: f"a/../{name}".encode(),
    "through blobs": lambda name: f"blobs/../{name}".encode(),
    "below the parent": lambda name: f"../{name}".encode(),
    "through the root's parent": lambda name: f"/../{name}".encode(),
    "with a slash behind": lambda name: f"{name}/".encode(),
    "with a dot behind": lambda name: f"{name}/.".encode(),
    "in upper case": lambda name: name.upper().encode(),
    "with a space behind": lambda name: f"{name} ".encode(),
    "with a space in front": lambda name: f" {name}".encode(),
    "with a dot at its end": lambda name: f"{name}.".encode(),
    "with a backslash": lambda name: f".\\{name}".encode(),
    "with a drive": lambda name: f"c:{name}".encode(),
    "percent-encoded": lambda name: f"%{ord(name[0]):x}{name[1:]}".encode(),
    "in full width": lambda name: f"{chr(ord(name[0]) + 0xFEE0)}{name[1:]}".encode(),
    "with a byte that is not UTF-8": lambda name: name.encode() + b"\xff",
    "with a zero width space": lambda name: f"{name}\u200b".encode(),
    "with a byte order mark": lambda name: f"\ufeff{name}".encode(),
    "with a combining mark": lambda name: f"{name[0]}\u0303{name[1:]}".encode(),
    "with a line feed": lambda name: f"{name}\n".encode(),
    "below a directory": lambda name: f"x/{name}".encode(),
}


def _aliased(document: str, alias: Callable[[str], bytes], *, first: bool = False) -> Make:
    """Return an archive with a planted document under another name."""

    def make(pair: Pair) -> bytes:
        other = file(alias(document), planted_documents(pair)[document]) + packed(blobs(pair.planted))
        return other + tar(both(pair)) if first else tar(both(pair), other)

    return make


def _aliased_blobs(alias: Callable[[str], bytes]) -> Hostile:
    """Return an archive with the planted config and layer under other names of the good ones."""
    return behind(lambda pair: b"".join(file(alias(name), content) for name, content in under_good_names(pair).items()))


_ALIASED = {
    **{
        f"a second {document} {text}, {'first' if first else 'last'}": Hostile(_aliased(document, alias, first=first))
        for document in ("manifest.json", "index.json")
        for text, alias in ALIASES.items()
        for first in (False, True)
    },
    **{f"a second oci-layout {text}": Hostile(_aliased("oci-layout", alias)) for text, alias in ALIASES.items()},
    **{f"second blobs {text}": _aliased_blobs(alias) for text, alias in ALIASES.items()},
}


def _swapped(folder: str, target: str) -> Make:
    """Return a link that replaces the good blobs by others."""

    def make(pair: Pair) -> bytes:
        there = {f"evil/{name}": content for name, content in under_good_names(pair).items()}
        return packed(there) + symlink(folder.encode(), target.encode())

    return make


def _through(link: str, target: str, name: str) -> Make:
    """Return a link to a directory, and a document written through it."""

    def make(pair: Pair) -> bytes:
        documents = planted_documents(pair)
        if name in documents:
            written = {f"{link}/{name}": documents[name], **blobs(pair.planted)}
        else:
            written = {f"{link}/{each.removeprefix(name)}": text for each, text in under_good_names(pair).items()}
        return symlink(link.encode(), target.encode()) + packed(written)

    return make


def _as_config(pair: Pair, link: bytes) -> bytes:
    files = both(pair)
    del files[path(pair.good.config.digest)]
    return tar(files, file(b"evil", pair.good.config.content), link)


_LINKS = {
    "a link to the top, and a document through it": behind(_through("y", ".", "manifest.json")),
    "a link to the top by its parent": behind(_through("y", "y/..", "manifest.json")),
    "a link to the top from below": behind(
        lambda pair: (
            symlink(b"a/y", b"..")
            + file(b"a/y/manifest.json", planted_documents(pair)["manifest.json"])
            + packed(blobs(pair.planted))
        )
    ),
    "an absolute link to the top": behind(_through("y", "/", "manifest.json")),
    "a link to the top, and an index through it": behind(_through("y", ".", "index.json")),
    "a link to the top before, and a document through it": before(_through("y", ".", "manifest.json")),
    "a link to the blobs, and a config through it": behind(_through("y", "blobs", "blobs/")),
    "a link to the digests, and a config through it": behind(_through("y", "blobs/sha256", "blobs/sha256/")),
    "a link in place of the blobs": behind(_swapped("blobs", "evil/blobs")),
    "a link in place of the digests": behind(_swapped("blobs/sha256", "../evil/blobs/sha256")),
    "a link in place of the blobs, with a dot": behind(_swapped("./blobs", "evil/blobs")),
    "a link in place of the blobs, with a slash": behind(_swapped("blobs/", "evil/blobs")),
    "a link in place of the blobs, before them": before(_swapped("blobs", "evil/blobs")),
    "a file in place of the blobs": behind(lambda _: file(b"blobs", b"x")),
    "a link in place of manifest.json": behind(
        lambda pair: evil(pair) + symlink(b"manifest.json", b"evil/manifest.json")
    ),
    "a link as manifest.json alone": Hostile(
        lambda pair: tar(both(pair, manifest=None), evil(pair), symlink(b"manifest.json", b"evil/manifest.json"))
    ),
    "a hard link as manifest.json alone": Hostile(
        lambda pair: tar(both(pair, manifest=None), evil(pair), hard_link(b"manifest.json", b"evil/manifest.json"))
    ),
    "a hard link as index.json": Hostile(
        lambda pair: tar(both(pair, index=None), evil(pair), hard_link(b"index.json", b"evil/index.json"))
    ),
    "a hard link as the config": Hostile(
        lambda pair: _as_config(pair, hard_link(path(pair.good.config.digest).encode(), b"evil"))
    ),
    "a link as the config": Hostile(
        lambda pair: _as_config(pair, symlink(path(pair.good.config.digest).encode(), b"../../evil"))
    ),
    "a hard link with a size as manifest.json": Hostile(
        lambda pair: tar(
            both(pair, manifest=None),
            packed(blobs(pair.planted)),
            hard_link(b"manifest.json", b"index.json", planted_documents(pair)["manifest.json"]),
        )
    ),
    "a directory manifest.json": behind(lambda _: file(b"manifest.json/", type=b"5")),
    "a directory manifest.json without a slash": behind(lambda _: file(b"manifest.json", type=b"5")),
    "a directory manifest.json before": before(lambda _: file(b"manifest.json/", type=b"5")),
    "a directory index.json": behind(lambda _: file(b"index.json/", type=b"5")),
    "a directory oci-layout": behind(lambda _: file(b"oci-layout/", type=b"5")),
    "a directory more": behind(lambda _: file(b"more/", type=b"5")),
    "a directory for one blob": behind(lambda pair: file(path(pair.good.digest).encode() + b"/more", b"x")),
    "a file below manifest.json": behind(lambda _: file(b"manifest.json/x", b"x")),
    "a whiteout of manifest.json": behind(lambda _: file(b".wh.manifest.json")),
    "an opaque whiteout": behind(lambda _: file(b".wh..wh..opq")),
    "a device as index.json": behind(lambda _: file(b"index.json", type=b"3")),
    "a pipe as index.json": behind(lambda _: file(b"index.json", type=b"6")),
    "a sparse file as index.json": behind(
        lambda pair: file(b"index.json", planted_documents(pair)["index.json"], type=b"S", magic=GNU)
    ),
    "a contiguous file as manifest.json": behind(
        lambda pair: (
            file(b"manifest.json", planted_documents(pair)["manifest.json"], type=b"7") + packed(blobs(pair.planted))
        )
    ),
    "a file of an unknown type as manifest.json": behind(
        lambda pair: (
            file(b"manifest.json", planted_documents(pair)["manifest.json"], type=b"Z") + packed(blobs(pair.planted))
        )
    ),
}


MEMBERS: dict[str, Hostile] = {**_ALIASED, **_LINKS}
