"""Images with an odd layer, each with its fate in imgfetch, and the readers that refuse it as it is."""

from __future__ import annotations

import bz2
import hashlib
import lzma
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from imgfetch.oci import mediatypes
from tests.images import (
    DOCKER_GZIP,
    OCI_GZIP,
    OCI_TAR,
    OCI_ZSTD,
    SKIPPABLE,
    Blob,
    Built,
    gz,
    image,
    layer,
    sha256,
    zstd,
)
from tests.odd_tars import CLASSIC, CTR, END, EVERY, NONE, PODMAN, STORE, TARS, files
from tests.oracle.streams import CHECKSUM, COMMENT, EXTRA, NAME, member

UNKNOWN, DOCKER_TAR, DOCKER_ZSTD = "application/x-layer", mediatypes.DOCKER_LAYER, mediatypes.DOCKER_LAYER_ZSTD
NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar"
OLD_DOCKER = frozenset({"docker-20.10"})
GO = EVERY
"""Readers that rely on Go's or a similar library for gzip."""

Fate = Literal["as it is", "decompressed", "warned of", "refused"]


@dataclass(frozen=True)
class OddImage:
    """An image.

    Attributes:
        refuse: the readers that refuse it as the registry has it.
        says: a part of imgfetch's message, if there is one.
    """

    built: Built
    fate: Fate
    refuse: frozenset[str]
    says: str = ""


def _stored(raw: bytes) -> dict[str, tuple[bytes, str, frozenset[str], str]]:
    """Return layers by name: content, type, the readers that refuse it, and a part of the message."""
    long = b"n" * 600 + b"\0"
    xz, half = lzma.compress(raw), len(raw) // 2
    name, reserved = "a name or comment of 600 bytes", "a gzip header has reserved flags"
    unknown, other = "is not a known layer type", "extra bytes follow its"
    return {
        "gzip with a long name": (member(raw, flags=NAME, fields=long), OCI_GZIP, GO, name),
        "gzip with a long comment": (member(raw, flags=COMMENT, fields=long), OCI_GZIP, GO, name),
        "gzip with a long name in its second member": (
            gz(raw[:half]) + member(raw[half:], flags=NAME, fields=long),
            OCI_GZIP,
            GO,
            name,
        ),
        "gzip with reserved flags": (member(raw, flags=0xE0), OCI_GZIP, NONE, reserved),  # by unpigz alone
        "gzip with a checksum and an extra field": (
            member(raw, flags=CHECKSUM | EXTRA, fields=struct.pack("<H", 9) + bytes(9)),
            OCI_GZIP,
            PODMAN,
            "which podman and skopeo refuse",
        ),
        "gzip with a header checksum": (member(raw, flags=CHECKSUM), OCI_GZIP, NONE, ""),
        "gzip with empty members": (gz(b"") + gz(raw) + gz(b""), OCI_GZIP, NONE, ""),
        "gzip and garbage": (gz(raw) + b"garbage", OCI_GZIP, GO, f"{other} gzip data"),
        "gzip and a magic": (gz(raw) + b"\x1f\x8b\x08", OCI_GZIP, GO, f"{other} gzip data"),
        "zstd and most of a magic": (zstd(raw) + zstd(raw)[:3], OCI_ZSTD, GO - {"docker-28.5"}, f"{other} zstd data"),
        "gzip with zeros between members": (gz(raw[:half]) + bytes(5) + gz(raw[half:]), OCI_GZIP, GO, "zeros separate"),
        "bzip2": (bz2.compress(raw), OCI_GZIP, STORE | CTR, "its content is bzip2, which containerd does not read"),
        "bzip2 and garbage": (bz2.compress(raw) + b"garbage", OCI_GZIP, GO, f"{other} bzip2 data"),
        "xz": (xz, DOCKER_TAR, STORE | CTR, "its content is xz, which containerd does not read"),
        "xz and garbage": (xz + b"garbage", OCI_GZIP, GO, f"{other} xz data"),
        "zstd and garbage": (zstd(raw) + b"garbage" * 2, OCI_ZSTD, GO - {"docker-28.5"}, f"{other} zstd data"),
        "zstd and a skippable frame": (zstd(raw) + SKIPPABLE, OCI_ZSTD, OLD_DOCKER, ""),
        "gzip of an unknown type": (gz(raw), UNKNOWN, STORE | CTR, unknown),
        "gzip without a type": (gz(raw), "", STORE | CTR, unknown),
        "gzip with a type in capitals": (gz(raw), OCI_GZIP.upper(), STORE | CTR, unknown),
        "gzip with a parameter in its type": (gz(raw), f"{OCI_GZIP}; charset=utf-8", STORE | CTR, unknown),
        "tar of an unknown type": (raw, UNKNOWN, STORE | CTR, unknown),
        "zstd of docker's type": (zstd(raw), DOCKER_ZSTD, OLD_DOCKER | {"ctr-1.6"}, unknown),
        "gzip called tar": (gz(raw), OCI_TAR, STORE | CTR, "its media type says plain"),
        "gzip called nondistributable tar": (gz(raw), NONDISTRIBUTABLE, STORE | CTR, "its media type says plain"),
        "gzip called zstd": (gz(raw), OCI_ZSTD, NONE, "its media type says zstd"),
        "zstd called docker's gzip": (zstd(raw), DOCKER_GZIP, OLD_DOCKER, "its media type says gzip"),
        "tar called gzip": (raw, OCI_GZIP, NONE, "its media type says gzip"),
        "gzip called nondistributable": (gz(raw), f"{NONDISTRIBUTABLE}+gzip", NONE, ""),
        "gzip with a wrong header checksum": (member(raw, flags=CHECKSUM, crc=1), OCI_GZIP, EVERY, "is damaged"),
        "gzip cut short": (gz(raw)[:-5], OCI_GZIP, EVERY, "ends early"),
    }


_KEPT = {"gzip called zstd", "zstd called docker's gzip", "tar called gzip"}
"""Layers with a wrong type that all readers of their compression load."""


def _fate(name: str, says: str) -> Fate:
    if not says:
        return "as it is"
    if name in _KEPT:
        return "warned of"
    return "refused" if says in ("is damaged", "ends early") else "decompressed"


def _of_streams() -> dict[str, OddImage]:
    found = {}
    for name in _stored(b""):
        mark = sha256(name.encode())[-8:]
        raw = files(f"odd-{mark}") + END
        content, media_type, refuse, says = _stored(raw)[name]
        odd = layer(content, media_type, raw=raw)
        found[name] = OddImage(_around(odd, mark), _fate(name, says), refuse, says)
    return found


def _of_tars() -> dict[str, OddImage]:
    found = {}
    for name, odd in TARS.items():
        mark = sha256(name.encode())[-8:]
        fate: Fate = "refused" if odd.is_refused else "warned of" if odd.refuse else "as it is"
        built = _around(layer(files(f"odd-{mark}") + odd.content), mark)
        found[name] = OddImage(built, fate, odd.refuse, odd.says)
    return found


def _around(odd: Blob, mark: str) -> Built:
    """Return an image with the odd layer between two others, all of its own."""
    base, top = (layer(files(f"{part}-{mark}") + END) for part in ("base", "top"))
    return image(base, odd, top)


def _one_blob(mark: str, second: str) -> Built:
    blob = layer(files(mark) + END)
    return image(blob, layer(files(f"{mark}-between") + END), replace(blob, media_type=second))


def _with_sha512() -> Built:
    raw = files("sha512") + END
    return image(replace(layer(raw), diff_id=f"sha512:{hashlib.sha512(raw).hexdigest()}"))


def _empty(media_type: str) -> OddImage:
    return OddImage(image(Blob(b"", media_type, sha256(b"")), config={"author": media_type}), "as it is", NONE)


def _deep(count: int) -> Built:
    return image(*(layer(files(f"deep-{count}-{number}") + END) for number in range(count)))


_SETS: dict[str, Callable[[], OddImage]] = {
    "an empty blob": lambda: _empty(OCI_TAR),
    "an empty blob called gzip": lambda: _empty(OCI_GZIP),
    "an empty blob called zstd": lambda: _empty(OCI_ZSTD),
    "one blob of two types": lambda: OddImage(_one_blob("one", DOCKER_GZIP), "as it is", NONE),
    "one blob of two types, one of them wrong": lambda: OddImage(
        _one_blob("two", OCI_TAR), "decompressed", STORE | CTR, "its media type says plain"
    ),
    "diff_ids in sha512": lambda: OddImage(
        _with_sha512(), "warned of", EVERY - {"podman-4.3"}, "diff_ids by another algorithm than sha256"
    ),
    "125 layers": lambda: OddImage(_deep(125), "as it is", NONE),
    "126 layers": lambda: OddImage(_deep(126), "warned of", CLASSIC, "126 layers, more than 125"),
}
ODD_IMAGES = {**_of_streams(), **_of_tars(), **{name: make() for name, make in _SETS.items()}}
