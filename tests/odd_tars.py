"""Tars that are odd as layers, each with its fate in imgfetch, which is the worst of those in the readers.

Measured with docker 20.10 and 28.5 (both stores, overlay2), containerd 1.6 and 2.1, and podman 4.3 and 5.8.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.headers import GNU, entry, header, pax, record
from tests.images import tar
from tests.odd_configs import CLASSIC, CTR_1, CTR_2, PODMAN, STORE

END = bytes(1024)
CTR = CTR_1 | CTR_2
OLD, DOCKER_28 = frozenset({"docker-20.10"}), frozenset({"docker-28.5"})
EVERY = CLASSIC | STORE | PODMAN | CTR
NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Odd:
    """A tar.

    Attributes:
        content: its bytes behind a first file.
        refuse: the readers that refuse it.
        says: a part of the message.
        is_certain: whether imgfetch can tell that all readers refuse it.
    """

    content: bytes
    refuse: frozenset[str] = NONE
    says: str = ""
    is_certain: bool = True

    @property
    def is_refused(self) -> bool:
        """True if imgfetch refuses it."""
        return self.refuse == EVERY and self.is_certain


def files(mark: str) -> bytes:
    """Return a file, without the end of an archive."""
    return tar({f"{mark}.txt": f"{mark}\n".encode() * 200})[: -len(END)]


def _one(name: bytes = b"odd", content: bytes = b"", **fields: bytes) -> bytes:
    size = {} if "size" in fields else {"size": b"%011o" % len(content)}
    return header(name, {**size, **fields}) + content + bytes(-len(content) % 512)


def _link(target: bytes, name: bytes = b"link") -> bytes:
    return _one(name, type=b"1", link=target)


def _folder(name: bytes) -> bytes:
    return _one(name, type=b"5")


def _symlink(target: bytes, name: bytes = b"s") -> bytes:
    return _one(name, type=b"2", link=target)


def _attribute(name: bytes, value: bytes = b"y", **fields: bytes) -> bytes:
    return pax(record(b"SCHILY.xattr." + name, value)) + _one(**fields)


def _sparse(name: bytes) -> bytes:
    real = pax(*_SPARSE_1_0, record(b"GNU.sparse.name", name), record(b"GNU.sparse.realsize", b"9"))
    return real + _one(b"GNUSparseFile.1/big", b"1\n0\n3\n".ljust(512, b"\0") + b"abc")


def _some(content: bytes, refuse: frozenset[str], says: str) -> Odd:
    return Odd(content + END, refuse, says, is_certain=False)


def _fatal(content: bytes, says: str) -> Odd:
    return Odd(content + END, EVERY, says)


def _fine(content: bytes) -> Odd:
    return Odd(content + END)


_SOME = entry(b"data", b"x" * 700)
_LAST = files("last")
_NEGATIVE = b"\xff" * 12
_WRONG = _one()[:148] + b"0000001" + _one()[155:]
_DEVICE = {"major device number": b"0000001", "minor device number": b"0000003"}
_SPARSE_1_0 = (record(b"GNU.sparse.major", b"1"), record(b"GNU.sparse.minor", b"0"))
_SPARSE = pax(*_SPARSE_1_0, record(b"GNU.sparse.realsize", b"9"))
_SPARSE_0_1 = pax(record(b"GNU.sparse.map", b"0,3"), record(b"GNU.sparse.size", b"9"), record(b"GNU.sparse.name", b"r"))
_CAPABILITIES = b"security.capability"
_BELOW = "lies below something that is not a directory"
_TWICE = "it has two entries "
_ELSEWHERE = "which is not in the same layer; docker, containerd and podman refuse that"
_MALFORMED = "a number in a header is malformed"

ENDS = {
    "cut short in an entry": Odd(_SOME[:900], EVERY, "it ends within an entry"),
    "cut short in the last byte of an entry": Odd(_SOME[: 512 + 699], EVERY, "it ends within an entry"),
    "cut short in padding": Odd(_SOME[:-200]),
    "without padding": Odd(_SOME[: 512 + 700]),
    "cut short in a header": Odd(_SOME[:300], EVERY, "it ends within an entry"),
    "cut short in an extended header": Odd(pax(record(b"path", b"x"))[:514], EVERY, "it ends within an entry"),
    "without an end": Odd(_LAST),
    "with one block of zeros": Odd(bytes(512)),
    "with half a block of zeros": Odd(bytes(256), EVERY, "it ends within an entry"),
    "with one and a half blocks of zeros": Odd(bytes(768), EVERY, "it ends within an entry"),
    "with a block of zeros between entries": _fatal(bytes(512) + _LAST, "a block of zeros is followed by other data"),
    "and garbage": Odd(END + b"garbage"),
    "and a block of garbage": Odd(END + b"garbage " * 64),
    "and a second tar": Odd(END + _LAST + END),
    "and a mebibyte of zeros": Odd(END + bytes(2**20)),
    "with a PAX header at its end": _fine(pax(record(b"path", b"x"))),
}
HEADERS = {
    "with garbage for a header": _fatal(b"garbage " * 64, _MALFORMED),
    "with a wrong checksum": _fatal(_WRONG, "the checksum of a header is wrong"),
    "with a size in base 256": _fine(_one(b"big", b"x" * 9, size=b"\x80" + (9).to_bytes(11, "big"))),
    "with a negative size": _fatal(_one(size=_NEGATIVE), "the size in a header is negative"),
    "with a size that is not a number": _fatal(_one(size=b"-1"), _MALFORMED),
    "with a size beyond its end": _fatal(_one(size=b"77777777777"), "it ends within an entry"),
    "with a mode that is not a number": _fatal(_one(mode=b"rwxr-xr"), _MALFORMED),
    "with a device number that is not a number": _fatal(
        _one(b"n", type=b"3", **{"major device number": b"x"}), _MALFORMED
    ),
    "with a negative time": _fine(_one(time=_NEGATIVE)),
    "with an owner beyond 32 bits": _fine(_one(owner=b"\x80\0\0\x01" + b"\xff" * 4)),
    "with a negative owner": _fine(_one(owner=b"\xff" * 8)),
    "with NUL in a PAX path": _fatal(pax(record(b"path", b"a\0b")) + _one(), "a PAX header is malformed"),
    "with a PAX record of a wrong length": _fatal(entry(b"p", b"99 path=x\n", b"x") + _one(), "is malformed"),
    "with a PAX record without a key": _fatal(pax(record(b"", b"x")) + _one(), "a PAX header is malformed"),
    "with a PAX time that is not a number": _fatal(
        pax(record(b"mtime", b"soon")) + _one(), "the mtime in a PAX header"
    ),
    "with a PAX size": _fine(pax(record(b"size", b"3")) + header(b"sized") + b"abc" + bytes(509)),
    "with a PAX owner beyond 64 bits": _fatal(pax(record(b"uid", b"9" * 19)) + _one(), "the uid in a PAX header"),
    "with a PAX size of many digits": _fatal(pax(record(b"size", b"9" * 9999)) + _one(), "the size in a PAX header"),
    "with a PAX size of many zeros": _fine(pax(record(b"size", b"0" * 9999)) + _one()),
    "with a negative PAX size": _fatal(pax(record(b"size", b"-3")) + _one(), "is out of range"),
    "with a PAX header of 2 MiB": _fatal(pax(record(b"a.key", b"x" * 2**21)) + _one(), "more than 1048576"),
    "with an unknown PAX record": _fine(pax(record(b"EXAMPLE.key", b"x")) + _one()),
    "with an extended attribute": _fine(pax(record(b"SCHILY.xattr.user.x", b"y")) + _one()),
    "with a global PAX path": _fine(pax(record(b"path", b"x"), kind=b"g") + _one()),
    "with two global PAX headers": Odd(
        (pax(record(b"comment", b"x"), kind=b"g") + _one(b"a")) * 2 + END, CLASSIC | PODMAN, _TWICE
    ),
    "with two PAX headers": _fine(pax(record(b"path", b"x")) + pax(record(b"mtime", b"1")) + _one()),
    "with a sparse file in PAX": _fine(_SPARSE + _one(b"s", b"1\n0\n3\n".ljust(512, b"\0") + b"abc")),
    "with two global PAX headers of different paths": _fine(
        pax(record(b"path", b"a1"), kind=b"g") + pax(record(b"path", b"a2"), kind=b"g") + _one()
    ),
    "with a sparse file and a hard link": _fine(_sparse(b"big") + _link(b"big")),
    "with an older sparse file and a hard link": _fine(_SPARSE_0_1 + _one(b"GNUSparseFile.1/r", b"abc") + _link(b"r")),
    "with two sparse files": _fine(_sparse(b"big") + _sparse(b"bigger")),
    "with a GNU header whose time is a prefix": _fine(_one(b"f", b"x", magic=GNU, prefix=b"zzz") + _link(b"zzz/f")),
    "with directories before POSIX": _fine(
        _one(b"d/", type=b"\0", magic=b"") + _one(b"d/x", b"x", type=b"\0", magic=b"")
    ),
    "with a directory before POSIX with a size": _fine(
        _one(b"d/", type=b"\0", magic=b"", size=b"%011o" % 512) + _one(b"e", b"x")
    ),
    "with garbage behind a directory before POSIX": _fatal(
        _one(b"d/", type=b"\0", magic=b"", size=b"%011o" % 512) + b"garbage " * 64, _MALFORMED
    ),
    "by star": _fine(_one(trailer=b"tar\0")),
    "before POSIX": _fine(_one(magic=b"")),
}
TYPES = {
    f"with an entry of type {kind}": _fatal(_one(type=kind.encode(), magic=GNU), "has the unknown type")
    for kind in ("7", "D", "M", "S", "V", "Z")
}
NAMES = {
    "with a name in Latin-1": _fine(_one(b"caf\xe9")),
    "with an absolute name": _fine(_one(b"/absolute", b"x")),
    "with a name that ends in a slash": _fine(_one(b"file/", b"x")),
    "with its own top": _fine(_one(b"./", type=b"5")),
    "with a name of 255 bytes": _fine(pax(record(b"path", b"n" * 255)) + _one()),
    "with a name of 256 bytes": _fatal(pax(record(b"path", b"n" * 256)) + _one(), "is too long"),
    "with a path of 5000 bytes": _fatal(pax(record(b"path", b"d/" * 2500 + b"f")) + _one(), "is too long"),
    "with a path of 4090 bytes": Odd(
        pax(record(b"path", b"d/" * 2045 + b"f")) + _one() + END, EVERY, "too long; docker, contain", is_certain=False
    ),
    "with an empty name": _fine(_one(b"")),
    "with a directory without a name": _fine(_folder(b"")),
    "with a file for its top": _some(_one(b"/", b"x"), OLD | PODMAN, "its top is not a directory"),
    "with a link for its top": _fine(_symlink(b"etc", b".")),
    "with one absolute name twice": Odd(_one(b"//a") + _one(b"/a") + END, CLASSIC | PODMAN, _TWICE),
    "with a name that leads out": Odd(_one(b"../out") + END, DOCKER_28, "leads out of the image"),
    "with one name twice": Odd(_one(b"twice", b"x") + _one(b"./twice", b"y") + END, CLASSIC | PODMAN, _TWICE),
    "with one directory twice": Odd(_one(b"d/", type=b"5") * 2 + END, CLASSIC | PODMAN, _TWICE),
    "with a name twice, once absolute": _fine(_one(b"same", b"x") + _one(b"/same", b"y")),
    "with a device": _fine(_one(b"null", type=b"3", **_DEVICE)),
    "with a pipe": _fine(_one(b"pipe", type=b"6")),
    "with a device number of 33 bits": Odd(
        _one(b"n", type=b"3", **{**_DEVICE, "major device number": b"\x80\0\0\1" + bytes(4)}) + END,
        DOCKER_28,
        "a device number that is out of range",
    ),
    "with a negative device number": Odd(
        _one(b"n", type=b"4", **{**_DEVICE, "major device number": b"\xff" * 8}) + END,
        DOCKER_28,
        "a device number that is out of range",
    ),
}
PLACES = {
    "with a file below a file": _fatal(_one(b"f", b"x") + _one(b"f/g/h"), _BELOW),
    "with a file below an absolute file": _fatal(_one(b"/f", b"x") + _one(b"f/g"), _BELOW),
    "with a file below a pipe": _fatal(_one(b"p", type=b"6") + _one(b"p/x"), _BELOW),
    "with a file below a device": _fatal(_one(b"n", type=b"3", **_DEVICE) + _one(b"n/x"), _BELOW),
    "with a file below a link to a file": _fatal(_one(b"f", b"x") + _symlink(b"f") + _one(b"s/x"), _BELOW),
    "with a file below a hard link": _fatal(_one(b"f", b"x") + _link(b"f") + _one(b"link/x"), _BELOW),
    "with a file below a link to itself": _fatal(_symlink(b"s") + _one(b"s/x"), _BELOW),
    "with a file below a link to a directory": _fine(_folder(b"d/") + _symlink(b"d") + _one(b"s/f")),
    "with a file below an absolute link": _fine(_folder(b"d/") + _symlink(b"/d") + _one(b"s/new/f")),
    "with a file below a link up and down": _fine(_folder(b"d/e/") + _symlink(b"../d/e", b"d/s") + _one(b"d/s/f")),
    "with a file below a link to nothing": _some(
        _symlink(b"nowhere") + _one(b"s/x"), OLD | PODMAN, "lies below a link to something that is not in the same"
    ),
    "with a file below a link that leads out": _some(
        _symlink(b"../../../tmp") + _one(b"s/f"), CLASSIC | PODMAN, "lies below a link that leads out"
    ),
    "with a link for a directory to nothing": _some(
        _folder(b"d/") + _one(b"d/x", b"x") + _symlink(b"e", b"d"), EVERY, "is replaced by a link to something"
    ),
}
ATTRIBUTES = {
    "with a long attribute": _fatal(_attribute(b"user.x", b"y" * 65537), "the extended attribute"),
    "with an attribute without a name": _fatal(_attribute(b""), "the extended attribute"),
    "with a long name of an attribute": _fatal(_attribute(b"user." + b"n" * 300), "the extended attribute"),
    "with an attribute that ext4 does not hold": _some(
        _attribute(b"user.x", b"y" * 5000), EVERY, "refuse that on ext4"
    ),
    "with a malformed access control list": _fatal(_attribute(b"system.posix_acl_access"), "is malformed"),
    "with malformed capabilities": _fatal(_attribute(_CAPABILITIES), "is malformed"),
    "with unknown flags of capabilities": _fatal(
        _attribute(_CAPABILITIES, b"\xff\xff\xff\2" + bytes(16)), "is malformed"
    ),
    "with capabilities": _fine(_attribute(_CAPABILITIES, b"\1\0\0\2" + bytes(16))),
    "with empty capabilities": _fine(_attribute(_CAPABILITIES, b"")),
    "with capabilities of a link": Odd(
        _attribute(_CAPABILITIES, b"\0\0\0\2" + bytes(16), type=b"2", link=b"a") + END,
        DOCKER_28,
        "on a symbolic link, which docker 28's",
    ),
    "with an attribute outside of the namespaces": Odd(_attribute(b"foo") + END, DOCKER_28, "which docker 28's"),
    "with a user's attribute of a link": Odd(
        _attribute(b"user.x", type=b"2", link=b"a") + END, DOCKER_28 | PODMAN, "on a symbolic link, which docker 28's"
    ),
    "with a user's attribute of a pipe": Odd(_attribute(b"user.x", type=b"6") + END, PODMAN, "which podman refuses"),
    **{f"with {name}": _fine(_attribute(name.encode())) for name in ("trusted.x", "security.selinux", "security.ima")},
}
LINKS = {
    "with a hard link": _fine(_one(b"a", b"x") + _link(b"./a")),
    "with a hard link to an absolute name": _fine(_one(b"a", b"x") + _link(b"/a")),
    "with a hard link to a link": _fine(_one(b"s", type=b"2", link=b"nowhere") + _link(b"s")),
    "with a hard link to nothing": Odd(_link(b"nothing") + END, EVERY, _ELSEWHERE, is_certain=False),
    "with a hard link forwards": Odd(_link(b"later") + _one(b"later") + END, EVERY, _ELSEWHERE, is_certain=False),
    "with a hard link that leads out": Odd(_one(b"a") + _link(b"../a") + END, DOCKER_28, "leads out of the image"),
    "with a hard link without a target": _fatal(_link(b""), "has no target"),
    "with a hard link to a directory": _fatal(
        _folder(b"d/") + _link(b"d"), "has a directory or a whiteout for a target"
    ),
    "with a hard link to its top": _fatal(_folder(b"./") + _link(b"."), "has a directory or a whiteout for a target"),
    "with a hard link to a whiteout": _fatal(_one(b".wh.foo") + _link(b".wh.foo"), "has a directory or a whiteout"),
    "with a hard link to a whiteout of aufs": _fine(
        _folder(b".wh..wh.plnk/") + _one(b".wh..wh.plnk/1.2", b"x") + _link(b".wh..wh.plnk/1.2")
    ),
    "with a hard link through a link": _fine(_folder(b"d/") + _one(b"d/a", b"x") + _symlink(b"d") + _link(b"s/a")),
    "with a hard link to a file through a link": _fine(
        _folder(b"d/") + _symlink(b"d") + _one(b"s/a", b"x") + _link(b"d/a")
    ),
    "with a link of 4095 bytes": _fine(pax(record(b"linkpath", b"t" * 4095)) + _one(type=b"2")),
    "with a link of 4096 bytes": _fatal(pax(record(b"linkpath", b"t" * 4096)) + _one(type=b"2"), "is too long"),
    "with a hard link with a size": _fine(_one(b"a") + _one(b"l", type=b"1", link=b"a", size=b"%011o" % 700) + _LAST),
    "with a directory with a size": _fine(_one(b"d/", type=b"5", size=b"%011o" % 700) + _LAST),
    "with a symbolic link without a target": _fatal(_one(type=b"2"), "has no target"),
    "with a symbolic link that leads out": _fine(_one(type=b"2", link=b"../../../etc")),
    "with a symbolic link to itself": _fine(_one(b"link", type=b"2", link=b"link")),
}
WHITEOUTS = {
    "with a whiteout": _fine(_one(b".wh.nothing")),
    "with an opaque whiteout": _fine(_one(b"d/", type=b"5") + _one(b"d/.wh..wh..opq")),
    "with whiteouts of aufs": _fine(_one(b".wh..wh.plnk/", type=b"5") + _one(b".wh..wh.plnk/1.2", b"x")),
    "with a whiteout before its file": _fine(_one(b".wh.own") + _one(b"own", b"x")),
    "with a whiteout behind its file": Odd(
        _one(b"own", b"x") + _one(b".wh.own") + END,
        EVERY,
        "and a whiteout of it; docker, containerd and podman refuse",
        is_certain=False,
    ),
    "with a whiteout behind a file below": _some(
        _one(b"d/x", b"x") + _one(b".wh.d"), CLASSIC | PODMAN, "and a whiteout of it; docker's classic store and podman"
    ),
    "with a whiteout before a file below": _some(
        _one(b".wh.d") + _one(b"d/x", b"x"), CLASSIC | PODMAN, "below something that a whiteout removes"
    ),
    "with a whiteout before its directory": _fine(_one(b".wh.d") + _folder(b"d/") + _one(b"d/x", b"x")),
    "with an opaque whiteout below a file": _some(
        _one(b"f", b"x") + _one(b"f/.wh..wh..opq"), STORE | CTR, "which containerd refuses"
    ),
    **{
        f"with a whiteout of {name or 'nothing'}": _fatal(
            _one(b"d/", type=b"5") + _one(f"d/.wh.{name}".encode()), "has no name"
        )
        for name in ("", ".", "..")
    },
}
GROUPS = (ENDS, HEADERS, TYPES, NAMES, PLACES, ATTRIBUTES, LINKS, WHITEOUTS)
TARS = {f"tar {name}": odd for group in GROUPS for name, odd in group.items()}
