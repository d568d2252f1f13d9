"""Archives whose regular files have the mode, or the target, of something else: skopeo and podman go by the mode."""

from __future__ import annotations

from tests.headers import pax, record
from tests.hostile.parts import (
    Hostile,
    Make,
    Pair,
    behind,
    blobs,
    both,
    entry,
    evil,
    file,
    index,
    item,
    packed,
    path,
    tar,
)

KINDS = {"symbolic link": 0o120644, "directory": 0o040755, "pipe": 0o010644, "device": 0o020644, "socket": 0o140644}


def _entries(members: dict[str, bytes], links: dict[str, str], mode: int) -> bytes:
    """Return entries of which some have another mode, and a target."""
    return b"".join(
        file(name.encode(), content, mode=b"%07o" % mode, link=links[name].encode())
        if name in links
        else packed({name: content})
        for name, content in members.items()
    )


def _bundle(mode: int, *, has_targets: bool = True) -> Make:
    """Return an archive of both images, each with a name; the good config and layers point at the others."""

    def make(pair: Pair) -> bytes:
        other = f"{pair.repository}:2"
        members = both(
            pair,
            images=[pair.good, pair.planted],
            index=index(entry(pair.good, pair.name), entry(pair.planted, other)),
            manifest=[item(pair.good, pair.name), item(pair.planted, other)],
        )
        links = {
            path(good.digest): planted.digest.removeprefix("sha256:") if has_targets else ""
            for good, planted in zip(pair.good.blobs, pair.planted.blobs, strict=True)
        }
        return _entries(members, links, mode) + tar({})

    return make


def _document(name: str, mode: int) -> Make:
    """Return an archive in which a document points at a planted one."""
    return lambda pair: _entries(both(pair), {name: f"evil/{name}"}, mode) + tar(blobs(pair.planted), evil(pair))


MODES: dict[str, Hostile] = {
    **{f"a bundle with the mode of a {text}": Hostile(_bundle(mode)) for text, mode in KINDS.items()},
    **{
        f"a bundle with the mode of a {text}, without targets": Hostile(_bundle(mode, has_targets=False))
        for text, mode in KINDS.items()
    },
    "a bundle with targets of regular files": Hostile(_bundle(0o644)),
    **{
        f"{name} with the mode of a {text}": Hostile(_document(name, mode))
        for name in ("manifest.json", "index.json")
        for text, mode in KINDS.items()
    },
    "a directory with the mode of a file": behind(lambda _: file(b"blobs/", type=b"5", mode=b"0100644")),
    "a file that is called like a directory": behind(lambda _: file(b"blobs/")),
    "a file that is called like a directory, of the oldest type": behind(lambda _: file(b"blobs/", type=b"\0")),
    "a directory that is a link by its target": behind(lambda _: file(b"blobs/", type=b"5", link=b"evil")),
    "a file with a PAX target": behind(lambda _: pax(record(b"linkpath", b"evil")) + file(b"blobs/", type=b"5")),
}
