"""Recognition of files that are mistaken for an image archive, by their first bytes.

A message says what the file is, and a hint what to do with it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import NamedTuple

from imgfetch.errors import UnsupportedError

BEGINNING = 36 * 1024
"""Bytes that `recognize` needs: an ISO image has its name behind 32 KiB."""


class Foreign(NamedTuple):
    """A file that is not an image archive.

    Attributes:
        kind: a description, such as ``a zip file``.
        hint: the next step; ``{name}`` stands for the file, and ``{base}`` for its name without directories.
    """

    kind: str
    hint: str

    def error(self, name: str, wrapper: str = "") -> UnsupportedError:
        """Return the error about a file; ``wrapper`` is the compression around the content that was recognized."""
        inside = f" compressed with {wrapper}" if wrapper else ""
        file = "FILE" if name == "stdin" else name
        hint = self.hint.replace("{name}", file).replace("{base}", file.rpartition("/")[2])
        return UnsupportedError(f"{name} is not an image archive, but {self.kind}{inside}", hint=hint)


_AGAIN = "copy or download {name} again"
_UNPACK = "unpack it, and use the archive inside"
_DECOMPRESS = "decompress it first, for example: {} {{name}} | imgfetch verify -"
_READS = "imgfetch reads image archives, as written by imgfetch save, docker save or skopeo copy"
_DECRYPT = "decrypt it first, for example: {} {{name}} | imgfetch verify -"
_SAVE = "save the image itself: imgfetch save NAME -o FILE"

_MAGIC: tuple[tuple[int, bytes, Foreign], ...] = (
    (0, b"\x04\x22\x4d\x18", Foreign("an lz4 file", _DECOMPRESS.format("lz4 -dc"))),
    (0, b"\x02\x21\x4c\x18", Foreign("an lz4 file", _DECOMPRESS.format("lz4 -dc"))),
    (0, b"\x89LZO\0\r\n\x1a\n", Foreign("an lzop file", _DECOMPRESS.format("lzop -dc"))),
    (0, b"LZIP", Foreign("an lzip file", _DECOMPRESS.format("lzip -dc"))),
    (0, b"\x5d\0\0", Foreign("an lzma file", _DECOMPRESS.format("xz -dc"))),
    (0, b"\x1f\x9d", Foreign("a file compressed with compress (.Z)", _DECOMPRESS.format("gzip -dc"))),
    (0, b"\xff\x06\0\0sNaPpY", Foreign("a snappy file", _DECOMPRESS.format("snzip -dc"))),
    (0, b"PK\x03\x04", Foreign("a zip file", _UNPACK)),
    (0, b"PK\x05\x06", Foreign("an empty zip file", _AGAIN)),
    (0, b"7z\xbc\xaf\x27\x1c", Foreign("a 7z file", _UNPACK)),
    (0, b"Rar!\x1a\x07", Foreign("a rar file", _UNPACK)),
    (
        0,
        b"imgfetch patch ",
        Foreign("a patch", "make the archive with imgfetch apply"),
    ),
    (0, b"!<arch>\n", Foreign("an ar archive, such as a Debian package", _READS)),
    (0, b"\xed\xab\xee\xdb", Foreign("an RPM package", _READS)),
    (0, b"070701", Foreign("a cpio archive", _READS)),
    (0, b"\x7fELF", Foreign("a program (ELF)", _READS)),
    (0, b"MZ", Foreign("a Windows program", _READS)),
    (0, b"#!", Foreign("a script", _READS)),
    (0, b"%PDF-", Foreign("a PDF document", _READS)),
    (32, b"SIF_MAGIC", Foreign("an Apptainer image (SIF)", _READS)),
    (0, b"hsqs", Foreign("a squashfs image", _READS)),
    (0, b"QFI\xfb", Foreign("a qcow2 disk image", _READS)),
    (0, b"KDMV", Foreign("a VMDK disk image", _READS)),
    (0, b"vhdxfile", Foreign("a VHDX disk image", _READS)),
    (32769, b"CD001", Foreign("an ISO image", _READS)),
    (1080, b"\x53\xef", Foreign("an ext4 file system", _READS)),
    (510, b"\x55\xaa", Foreign("a disk image", _READS)),
    (0, b"age-encryption.org/", Foreign("a file encrypted with age", _DECRYPT.format("age -d -i KEY"))),
    (0, b"-----BEGIN AGE ENCRYPTED", Foreign("a file encrypted with age", _DECRYPT.format("age -d -i KEY"))),
    (0, b"-----BEGIN PGP MESSAGE", Foreign("a file encrypted with PGP", _DECRYPT.format("gpg -d"))),
    (0, b"Salted__", Foreign("a file encrypted with openssl", "decrypt it first with openssl enc -d")),
    (0, b"-----BEGIN ", Foreign("a key, certificate or signature in PEM form", _READS)),
    (
        0,
        b"version https://git-lfs.github.com/spec/",
        Foreign("a pointer of Git LFS to the file", "run git lfs pull in its repository"),
    ),
)
_ENCRYPTED = re.compile(
    rb"\x85..\x03|\x84.\x03|\x8c.[\x04\x05]|\xc1(?:[\x00-\xbf]|[\xc0-\xdf].)\x03|\xc3.[\x04\x05]", re.DOTALL
)
"""The first packet of an OpenPGP message: a session key, encrypted for a key or a password."""
_WEB_PAGE = re.compile(rb"\s*<(?:!doctype html|html|head|\?xml|!--)", re.IGNORECASE)
_CHECKSUMS = re.compile(rb"(?:[0-9a-fA-F]{32,128} [ *]|[A-Z0-9/-]{3,12} ?\(.+\) ?= )\S")
_IMAGES = re.compile(r"(?:\s*(?:#.*)?\n)*[a-z0-9][\w.:/-]*(?:@sha(?:256|512):[0-9a-f]+)?\s*(?:#|\n|$)")
_JSON = re.compile(rb"\s*[\[{]\s*[\"{\[\]}]")
_JSON_KINDS = (
    (b'"errors"', Foreign("an error response of a registry", _SAVE)),
    (b'"rootfs"', Foreign("an image config, without its layers", _SAVE)),
    (b'"manifests"', Foreign("an image index, without its images", _SAVE)),
    (b'"layers"', Foreign("an image manifest, without its layers", _SAVE)),
)


def recognize(beginning: bytes) -> Foreign | None:
    """Return the kind of a file by its first `BEGINNING` bytes; ``None`` for a tar and an unknown file."""
    return next(filter(None, (look(beginning) for look in _LOOKS)), None)


def _empty(beginning: bytes) -> Foreign | None:
    return None if beginning else Foreign("an empty file", _AGAIN)


def _known(beginning: bytes) -> Foreign | None:
    found = (kind for offset, magic, kind in _MAGIC if beginning.startswith(magic, offset))
    return next(found, None)


def _zeros(beginning: bytes) -> Foreign | None:
    if beginning[:512].strip(b"\0"):
        return None
    return Foreign("an empty tar archive, or the rest of a copy that did not finish: it begins with zeros", _AGAIN)


def _encrypted(beginning: bytes) -> Foreign | None:
    if not _ENCRYPTED.match(beginning):
        return None
    return Foreign("a file encrypted with PGP", _DECRYPT.format("gpg -d"))


def _utf16(beginning: bytes) -> Foreign | None:
    if not beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    return Foreign(
        "text in UTF-16, to which PowerShell's > converts every output",
        "write the archive again with an option for the file, such as -o FILE, instead of >",
    )


def _replaced(beginning: bytes) -> Foreign | None:
    """Recognize a binary file after a program has read it as UTF-8."""
    if b"\xef\xbf\xbd" not in beginning[:16]:
        return None
    return Foreign(
        "a binary file that a program has converted as if it were text",
        "write the archive again with an option for the file, such as -o FILE, and copy it in binary mode",
    )


def _web_page(beginning: bytes) -> Foreign | None:
    if not _WEB_PAGE.match(beginning):
        return None
    return Foreign(
        "a web page, such as an error or a form to log in", "download the file again, with credentials if needed"
    )


def _json(beginning: bytes) -> Foreign | None:
    if not _JSON.match(beginning):
        return None
    return next((kind for key, kind in _JSON_KINDS if key in beginning), Foreign("a JSON document", _SAVE))


def _text(beginning: bytes) -> Foreign | None:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(beginning).removeprefix("\ufeff")
    except UnicodeDecodeError:
        return None
    if any(ord(character) < ord(" ") and not character.isspace() for character in text):
        return None
    if _CHECKSUMS.match(beginning):
        return Foreign("a list of checksums", "compare the files beside it: sha256sum -c {base}, in its directory")
    if _IMAGES.match(text):
        return Foreign("a list of images", "verify an archive that should contain them: imgfetch verify -i {name} FILE")
    return Foreign("a text file", _READS)


_LOOKS: tuple[Callable[[bytes], Foreign | None], ...] = (
    _empty,
    _known,
    _zeros,
    _utf16,
    _replaced,
    _encrypted,
    _web_page,
    _json,
    _text,
)
"""The most certain first."""
