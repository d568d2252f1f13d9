"""Scanning of an archive file for its members and, on request, their digests."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

from imgfetch.archive import compressed
from imgfetch.archive.tarreader import DIRECTORY, FILE, HARD_LINK, OTHER, SYMBOLIC_LINK, TarEntry, TarReader
from imgfetch.errors import ImgfetchError, UnsupportedError, VerificationError
from imgfetch.files import storage_errors
from imgfetch.layers.compression import HEAD, detect
from imgfetch.layers.diffid import DiffIdCheck, LayerInfo
from imgfetch.oci.digest import Digest, Hasher
from imgfetch.oci.manifest import MAX_DOCUMENT
from imgfetch.text import sanitize

DOCUMENTS = ("oci-layout", "index.json", "manifest.json", "repositories")
_MAX_DOCUMENTS = 256 * 1024 * 1024
_MAX_LINKS = 8


class ScannedMember(NamedTuple):
    """A member, as far as it was examined.

    Attributes:
        raw: the content of a JSON document of acceptable size.
        digest: the content's digest, if requested.
        compression: the layer's compression; empty if unknown, and for documents.
        contents: the layer's properties, if requested.
        failure: the reason why the content is not a valid layer.
        is_unreadable: whether it may be one for other readers, which allow it more memory.
    """

    entry: TarEntry
    raw: bytes | None = None
    digest: Digest | None = None
    compression: str = ""
    contents: LayerInfo | None = None
    failure: str = ""
    is_unreadable: bool = False


@dataclass(eq=False, repr=False)
class Scan:
    """An archive's members.

    Attributes:
        name: the file's path, safe to show.
        members: by name without a leading ``./``; the first of two with the same name.
        faults: sentences about the tar itself.
        is_whole: whether the tar was read to its end.
    """

    name: str
    members: dict[str, ScannedMember] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    is_whole: bool = False

    def get(self, name: str) -> ScannedMember | None:
        """Return a file; links are followed."""
        name = _normal(name)
        for _ in range(_MAX_LINKS):
            found = self.members.get(name)
            if found is None or found.entry.kind == FILE:
                return found
            if found.entry.kind == SYMBOLIC_LINK:
                name = _normal(posixpath.join(posixpath.dirname(name), found.entry.link))
            elif found.entry.kind == HARD_LINK:
                name = _normal(found.entry.link)
            else:
                return None
        return None

    def blob_documents(self) -> Iterator[tuple[Digest, bytes]]:
        """Yield the documents among the blobs whose digests are correct."""
        for name, member in self.members.items():
            digest = blob_digest(name)
            if digest and member.raw is not None and Digest.of(member.raw, digest.algorithm) == digest:
                yield digest, member.raw

    def document(self, name: str) -> bytes | None:
        """Return a document's bytes, or ``None`` if the member is missing or not a document.

        Raises:
            VerificationError: the document is too large.
        """
        found = self.get(name)
        if found and found.raw is None and found.entry.size > MAX_DOCUMENT:
            raise VerificationError(f"{name} has {found.entry.size} bytes, more than {MAX_DOCUMENT}")
        return found.raw if found else None


def blob_digest(name: str) -> Digest | None:
    """Return the digest in the name of a blob of an OCI image layout, or ``None`` for other names."""
    parts = name.split("/")
    if len(parts) != 3 or parts[0] != "blobs" or parts[1] not in ("sha256", "sha512"):  # noqa: PLR2004
        return None
    return Digest(parts[1], parts[2])


def scan(
    path: Path, *, hashes: bool = False, diff_ids: str = "sha256", advanced: Callable[[int], None] | None = None
) -> Scan:
    """Read an archive once, without extracting anything.

    Args:
        path: the file, which may be compressed as a whole.
        hashes: whether to hash and decompress everything, instead of reading only documents.
        diff_ids: the hash algorithm for decompressed layers.
        advanced: called with the number of bytes read from the tar.

    Raises:
        UnsupportedError: the file is not a tar archive.
        StorageError: the file cannot be read.
    """
    result = Scan(sanitize(str(path)))
    with storage_errors(path, "read"), compressed.opened(path) as file:
        _go_through(file, result, diff_ids if hashes else "", advanced or (lambda _: None))
    return result


def _go_through(file: BinaryIO, result: Scan, diff_ids: str, advanced: Callable[[int], None]) -> None:
    reader = TarReader(file)
    kept = reported = 0
    try:
        for entry in reader:
            fault = _fault(entry, result.members)
            if fault:
                result.faults.append(fault)
            found = _looked_at(entry, reader, diff_ids, room=_MAX_DOCUMENTS - kept)
            kept += len(found.raw or b"")
            result.members.setdefault(_normal(entry.name), found)
            advanced(reader.position - reported)
            reported = reader.position
        result.is_whole = True
    except VerificationError as error:
        if not reader.is_tar:
            raise UnsupportedError(f"{result.name} is not an image archive: {error}") from None
        result.faults.append(str(error))
    result.faults += reader.warnings


def _fault(entry: TarEntry, members: Mapping[str, ScannedMember]) -> str:
    """Return the fault of a readable header, or an empty text."""
    name = entry.name
    if _leads_out(name):
        return f"{name} points outside the archive"
    if entry.kind in (HARD_LINK, SYMBOLIC_LINK):
        base = posixpath.dirname(name) if entry.kind == SYMBOLIC_LINK else ""
        if _leads_out(posixpath.join(base, entry.link)):
            return f"{name} is a {entry.kind} to {entry.link}, which points outside the archive"
    if entry.kind == OTHER:
        return f"{name} is a special file, which an image archive never contains"
    if _normal(name) in members and entry.kind != DIRECTORY:
        return f"{name} occurs twice in the archive"
    return ""


def _looked_at(entry: TarEntry, reader: TarReader, diff_ids: str, *, room: int) -> ScannedMember:
    if entry.kind != FILE:
        return ScannedMember(entry)
    name = _normal(entry.name)
    head = reader.head(HEAD)
    compression = detect(head)
    if entry.size <= min(MAX_DOCUMENT, room) and (
        name in DOCUMENTS or (compression is None and head.lstrip()[:1] == b"{")
    ):
        raw = head + reader.read()
        return ScannedMember(entry, raw, Digest.of(raw, _algorithm(name)) if diff_ids else None)
    if not diff_ids:
        return ScannedMember(entry, compression=compression or "")
    return _layer(entry, chain([head], reader.pieces()), diff_ids, is_compressed=compression is not None)


def _layer(
    entry: TarEntry, pieces: Iterable[bytes | memoryview], diff_ids: str, *, is_compressed: bool
) -> ScannedMember:
    hasher = Hasher(_algorithm(_normal(entry.name)))
    check = DiffIdCheck(entry.name, "", diff_ids)
    for piece in pieces:
        hasher.update(piece)
        check.update(bytes(piece))
    try:
        contents = check.finish()
    except ImgfetchError as error:
        is_unreadable = is_compressed and isinstance(error, UnsupportedError)
        return ScannedMember(entry, digest=hasher.digest, failure=str(error), is_unreadable=is_unreadable)
    return ScannedMember(entry, digest=hasher.digest, compression=contents.compression, contents=contents)


def _algorithm(name: str) -> str:
    """Return the algorithm of a blob's name; sha256 for other members."""
    return "sha512" if name.startswith("blobs/sha512/") else "sha256"


def _leads_out(name: str) -> bool:
    return name.startswith("/") or posixpath.normpath(name).split("/")[0] == ".."


def _normal(name: str) -> str:
    return posixpath.normpath(name).lstrip("/")
