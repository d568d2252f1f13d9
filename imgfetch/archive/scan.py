"""Scanning of an archive file for its members and, on request, their digests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from imgfetch.archive.foreign_members import is_part_of_an_image
from imgfetch.archive.source import Members, copied_as_text, cut_short, opened
from imgfetch.archive.streams import Advanced, Source, Spool
from imgfetch.archive.tarreader import DIRECTORY, FILE, SYMBOLIC_LINK, TarEntry
from imgfetch.defaults import MAX_LAYER
from imgfetch.errors import CutShortError, ImgfetchError, UnsupportedError, VerificationError
from imgfetch.layers.compression import HEAD, detect
from imgfetch.layers.diffid import DiffIdCheck, LayerInfo
from imgfetch.oci.digest import Digest, Hasher
from imgfetch.oci.manifest import MAX_DOCUMENT

DOCUMENTS = ("oci-layout", "index.json", "manifest.json", "repositories")
_MAX_DOCUMENTS = 64 * 1024 * 1024
_MAX_FAULTS = 1000
_MAX_NAMES = 10_000
_MAX_NAME = 255
_PREFIX = "./"
"""GNU tar writes it before every name if it archives the directory ``.``."""

_NAME = re.compile(r"\w[\w.:+@=-]*(?:/\w[\w.:+@=-]*)*", re.ASCII)
_V1_LINK = re.compile(r"\.\./([0-9a-f]{64}(?:/layer)?\.tar)")
_V1_LAYER = re.compile(r"[0-9a-f]{64}/layer\.tar")


class ScannedMember(NamedTuple):
    """A member, as far as it was examined.

    Attributes:
        raw: the content of a JSON document of acceptable size.
        digest: the content's digest, if requested.
        compression: the layer's compression; empty if unknown, and for documents.
        contents: the layer's properties, if requested.
        failure: the reason why the content is not a valid layer.
        is_unreadable: whether it may be one for other readers, which allow it more memory.
        offset: the position of the content in the tar.
    """

    entry: TarEntry
    raw: bytes | None = None
    digest: Digest | None = None
    compression: str = ""
    contents: LayerInfo | None = None
    failure: str = ""
    is_unreadable: bool = False
    offset: int = 0


@dataclass(eq=False, repr=False)
class Scan:
    """An archive's members.

    Attributes:
        name: the file's path, safe to show.
        size: the length of a regular file, or else ``None``.
        members: by name without a leading ``./``; the first of two with the same name.
        names: the first names, also of members with faults.
        has_parts: whether a name is that of a part of an image archive.
        faults: sentences about the tar itself.
        is_whole: whether the tar was read to its end.
        cut_short: a sentence if the file ends early, or else an empty text.
        is_compressed: whether the file is compressed as a whole.
    """

    name: str
    size: int | None = None
    members: dict[str, ScannedMember] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    has_parts: bool = False
    faults: list[str] = field(default_factory=list)
    is_whole: bool = False
    cut_short: str = ""
    is_compressed: bool = False

    def target(self, name: str) -> str:
        """Return the name of the file that a name stands for, which differs for the links of docker and podman."""
        found = self.members.get(name)
        link = _V1_LINK.fullmatch(found.entry.link) if found and found.entry.kind == SYMBOLIC_LINK else None
        return link[1] if link else name

    def get(self, name: str) -> ScannedMember | None:
        """Return a file; a link is followed once."""
        found = self.members.get(self.target(name))
        return found if found and found.entry.kind == FILE else None

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

    def reason(self, name: str) -> str:
        """Return the reason why there is no document with a name, to follow the name."""
        return "is not a JSON document" if self.get(name) else "is not in the archive"


def blob_digest(name: str) -> Digest | None:
    """Return the digest in the name of a blob of an OCI image layout, or ``None`` for other names."""
    parts = name.split("/")
    if len(parts) != 3 or parts[0] != "blobs" or parts[1] not in ("sha256", "sha512"):  # noqa: PLR2004
        return None
    return Digest(parts[1], parts[2])


def scan(
    source: Source,
    *,
    hashes: bool = False,
    diff_ids: str = "sha256",
    advanced: Advanced | None = None,
    copy: Spool | None = None,
) -> Scan:
    """Read an archive once, without extracting anything.

    Args:
        source: a file, which may be compressed as a whole, a pipe, or a directory.
        hashes: whether to hash and decompress everything, instead of reading only documents.
        diff_ids: the hash algorithm for decompressed layers.
        advanced: called with numbers of bytes that have been read.
        copy: opens a temporary file, which receives the tar of a compressed file.

    Raises:
        UnsupportedError: the file is not a tar archive.
        VerificationError: it is compressed, and damaged at its beginning.
        StorageError: the file cannot be read.
    """
    with opened(source, advanced, copy) as members:
        return _Scanner(members, diff_ids if hashes else "").run()


class _Scanner:
    """Goes through an archive; ``diff_ids`` is empty if nothing is hashed."""

    def __init__(self, reader: Members, diff_ids: str) -> None:
        self._reader = reader
        self._diff_ids = diff_ids
        self._found = Scan(reader.name, reader.size, is_compressed=reader.is_compressed)
        self._room = _MAX_DOCUMENTS
        self._prefix: str | None = None

    def run(self) -> Scan:
        found, reader = self._found, self._reader
        try:
            for entry in reader:
                self._add(entry)
            found.is_whole = True
        except VerificationError as error:
            # Converted line ends make a file longer, so a tar that ends early has another cause.
            may_be_text = reader.is_compressed or not isinstance(error, CutShortError)
            if may_be_text and reader.line_ends.are_converted:
                found.faults.append(copied_as_text(reader.name))
            elif isinstance(error, CutShortError):
                found.cut_short = cut_short(reader, error)
            found.faults.append(found.cut_short or str(error))
        found.faults += reader.warnings
        return found

    def _add(self, entry: TarEntry) -> None:
        name = self._normal(entry)
        self._found.has_parts = self._found.has_parts or name in DOCUMENTS or is_part_of_an_image(name)
        if len(self._found.names) < _MAX_NAMES:
            self._found.names.append(name[:_MAX_NAME])
        fault = self._fault(entry, name)
        if fault:
            self._found.faults.append(fault)
            if len(self._found.faults) >= _MAX_FAULTS:
                raise VerificationError(f"more than {_MAX_FAULTS} members have faults")
            return
        if name:
            offset = self._reader.position
            self._found.members[name] = self._examined(entry, name)._replace(offset=offset)

    def _normal(self, entry: TarEntry) -> str:
        """Return a name as readers compare it: empty for the directory ``./`` itself."""
        name = entry.name.removesuffix("/") if entry.kind == DIRECTORY else entry.name
        return "" if name == "." else name.removeprefix(_PREFIX)

    def _fault(self, entry: TarEntry, name: str) -> str:
        """Return the fault of a member, or an empty text."""
        return self._fault_of_name(entry, name) or _fault_of_kind(entry, name)

    def _fault_of_name(self, entry: TarEntry, name: str) -> str:
        if not _NAME.fullmatch(name) and (name or entry.kind != DIRECTORY):
            return f"{entry.name!a} is not the name of a part of an image"
        prefix = _PREFIX if not name or entry.name.startswith(_PREFIX) else ""
        if self._prefix is None:
            self._prefix = prefix
        if prefix != self._prefix:
            return f"{entry.name!a} begins {'with' if prefix else 'without'} './', unlike the names before it"
        before = self._found.members.get(name)
        if before and not entry.kind == before.entry.kind == DIRECTORY:
            return f"{name} occurs twice in the archive"
        return ""

    def _examined(self, entry: TarEntry, name: str) -> ScannedMember:
        if entry.kind != FILE:
            return ScannedMember(entry)
        if entry.size > MAX_LAYER:
            raise VerificationError(f"{name} has {entry.size} bytes, more than {MAX_LAYER}")
        head = self._reader.head(HEAD)
        compression = detect(head)
        if name in DOCUMENTS or (compression is None and head.lstrip()[:1] == b"{"):
            if entry.size <= min(MAX_DOCUMENT, self._room):
                self._room -= entry.size
                raw = head + self._reader.read()
                return ScannedMember(entry, raw, Digest.of(raw, _algorithm(name)) if self._diff_ids else None)
            if entry.size <= MAX_DOCUMENT:
                raise VerificationError(f"the archive's JSON documents have more than {_MAX_DOCUMENTS} bytes")
        if not self._diff_ids:
            return ScannedMember(entry, compression=compression or "")
        pieces: Iterable[bytes | memoryview] = chain([head], self._reader.pieces())
        return _layer(entry, name, pieces, self._diff_ids, compression)


def _fault_of_kind(entry: TarEntry, name: str) -> str:
    if name in DOCUMENTS and entry.kind != FILE:
        return f"{name} is a {entry.kind}"
    if entry.kind == SYMBOLIC_LINK and _V1_LAYER.fullmatch(name) and _V1_LINK.fullmatch(entry.link):
        return ""
    if entry.kind in (FILE, DIRECTORY):
        return ""
    return f"{name} is a {entry.kind} to {entry.link!a}, which an image archive never contains"


def _layer(
    entry: TarEntry, name: str, pieces: Iterable[bytes | memoryview], diff_ids: str, compression: str | None
) -> ScannedMember:
    check = DiffIdCheck(name, "", diff_ids)
    algorithm = _algorithm(name)
    # Content that is not compressed has one digest for both, if the algorithm is the same.
    blob = None if compression == "plain" and diff_ids == algorithm else Hasher(algorithm)
    for piece in pieces:
        if blob:
            blob.update(piece)
        check.update(bytes(piece))
    try:
        contents = check.finish()
    except ImgfetchError as error:
        is_unreadable = compression is not None and isinstance(error, UnsupportedError)
        return ScannedMember(entry, digest=(blob or check).digest, failure=str(error), is_unreadable=is_unreadable)
    digest = blob.digest if blob else contents.diff_id
    return ScannedMember(entry, digest=digest, compression=contents.compression, contents=contents)


def _algorithm(name: str) -> str:
    """Return the algorithm of a blob's name; sha256 for other members."""
    return "sha512" if name.startswith("blobs/sha512/") else "sha256"
