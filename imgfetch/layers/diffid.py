"""Verification of a layer's ``diff_id`` while the layer is downloaded or read.

The content decides: the compression is recognized by magic bytes, and a wrong media type only causes a warning
(docs/registries.md#labels-and-content, docs/registries.md#decompressed-digests).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, Self

from imgfetch.defaults import MAX_LAYER
from imgfetch.errors import ImgfetchError, StorageError, UnsupportedError, VerificationError
from imgfetch.layers.compression import HEAD, Decompressor, decompressor, detect
from imgfetch.layers.layertar import LayerTar
from imgfetch.layers.windows import WINDOWS
from imgfetch.oci import mediatypes, strictjson
from imgfetch.oci.digest import Digest, Hasher
from imgfetch.text import quoted, sanitize

_RULES = 4
"""The version of the checks on a layer; notes made by others do not count."""
_SHOWN_MAGIC = 8
_FOR_DOCKER_AND_PODMAN = frozenset({"bzip2", "xz"})
"""Compressions that containerd, and so docker's containerd store, does not read."""
_KNOWN = {
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
    b"hsqs": "squashfs",
    b"LZIP": "lzip",
    b"<": "HTML or XML",
    b"{": "JSON",
}
"""Names of unsupported formats by their first bytes, for the message."""


class LayerInfo(NamedTuple):
    """A layer's verified properties.

    Attributes:
        diff_id: the digest of its decompressed tar stream.
        compression: as returned by `detect`.
        size: the decompressed length in bytes.
        oddity: a peculiarity of the compressed data that some readers refuse, or empty.
        tar_oddity: the same for the decompressed tar.
    """

    diff_id: Digest
    compression: str
    size: int
    oddity: str = ""
    tar_oddity: str = ""

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read the result of `to_json`.

        Raises:
            VerificationError: the data is malformed, or of another version.
        """
        members = strictjson.Object(strictjson.loads(raw, "a note"), "a note")
        if members.count("rules") != _RULES:
            raise VerificationError("a note was made by other rules")
        return cls(
            Digest.parse(members.get("diff_id")),
            members.text("compression"),
            members.count("size"),
            members.text("oddity"),
            members.text("tar_oddity"),
        )

    def to_json(self) -> bytes:
        """Encode as JSON."""
        return json.dumps({**self._asdict(), "diff_id": str(self.diff_id), "rules": _RULES}).encode()

    def warnings(self, media_types: Collection[str]) -> tuple[str, ...]:
        """Describe possible problems for readers, given the types by which manifests list the layer."""
        compression = self.compression if self.size else ""  # readers take an empty blob for any
        mislabelled = (_mislabelled(media_type, compression) for media_type in sorted(media_types))
        return tuple(filter(None, (self.oddity, self.tar_oddity, *mislabelled)))

    def is_refused(self, media_types: Collection[str]) -> bool:
        """Return whether some readers reject the layer as it is, but not when it is decompressed."""
        if self.oddity or self.compression in _FOR_DOCKER_AND_PODMAN:
            return True
        is_called_plain = any(mediatypes.LAYER_COMPRESSION.get(media_type) == "plain" for media_type in media_types)
        return (is_called_plain and self.compression != "plain") or not all(map(mediatypes.is_layer, media_types))


class DiffIdCheck:
    """Decompresses and hashes a layer as its bytes arrive.

    An error in the data is reported only by `finish`.  By then the blob's own digest has revealed
    any damage in transit, so the image is not blamed for it.
    """

    def __init__(
        self,
        what: str,
        media_type: str,
        algorithm: str = "sha256",
        *,
        limit: int = MAX_LAYER,
        interrupt: Callable[[], None] | None = None,
        copy: Callable[[int, bytes], None] | None = None,
    ) -> None:
        """Start before the layer's first byte.

        Args:
            what: the layer's name in messages.
            media_type: the layer's declared type, for messages.
            algorithm: the algorithm of the expected ``diff_id``.
            limit: maximum bytes of the decompressed layer.
            interrupt: called often; raises an `ImgfetchError` to stop.
            copy: called with each position in the decompressed layer and the bytes there; its `StorageError` is raised
                by `update` and `finish`.
        """
        self._what = what
        self._media_type = media_type
        self._hasher = Hasher(algorithm)
        self._tar = LayerTar()
        self._limit = limit
        self._interrupt = interrupt or (lambda: None)
        self._copy = copy or (lambda _position, _data: None)
        self._size = 0
        self._head = b""
        self._compression: str | None = None
        self._decompressor: Decompressor | None = None
        self._lease = WINDOWS.lease(self._interrupt)
        self._error: ImgfetchError | None = None

    @property
    def digest(self) -> Digest:
        """The digest of what has been decompressed."""
        return self._hasher.digest

    def update(self, data: bytes) -> None:
        """Process the next bytes of the stored layer."""
        if self._error is not None:
            return
        try:
            if self._decompressor is not None:
                self._take(self._decompressor.feed(data))
                return
            self._head += data
            if len(self._head) >= HEAD:
                self._take(self._begin().feed(self._head))
        except StorageError:
            raise
        except ImgfetchError as error:
            # The traceback's frames refer to the decompressor, whose window would live as long as the error.
            error.__traceback__ = error.__context__ = None
            self.close()
            self._error = error

    def finish(self) -> LayerInfo:
        """Return the properties of the complete layer.

        Raises:
            VerificationError: the compressed data is damaged or incomplete.
            UnsupportedError: the compression is unknown, or the layer needs too much memory or space.
        """
        try:
            if self._error is not None:
                raise self._error
            if self._decompressor is None:
                self._take(self._begin().feed(self._head))
            oddity = self._decompressor.finish() if self._decompressor else None
            tar_oddity = self._tar.finish()
        except VerificationError as error:
            raise VerificationError(
                f"{self._what} is broken: {error}", hint="try another tag, or ask the publisher to rebuild the image"
            ) from None
        except UnsupportedError as error:
            raise UnsupportedError(f"{self._what} cannot be read: {error}", hint=error.hint) from None
        finally:
            self.close()
        return LayerInfo(self._hasher.digest, self._compression or "", self._size, oddity or "", tar_oddity)

    def close(self) -> None:
        """Free the decompressor's memory; `finish` does it too."""
        self._decompressor = None
        self._lease.release()

    def _begin(self) -> Decompressor:
        self._compression = detect(self._head)
        if self._compression is None:
            magic = self._head[:_SHOWN_MAGIC].hex(" ")
            kind = next((f" ({name})" for sign, name in _KNOWN.items() if self._head.startswith(sign)), "")
            raise UnsupportedError(
                f"it is neither a tar archive nor compressed in a known format: it begins with {magic}{kind}, "
                f"its type is {sanitize(self._media_type) or 'not given'}",
                hint="ask the publisher for gzip, zstd, bzip2, xz or uncompressed layers",
            )
        self._decompressor = decompressor(self._compression, self._lease)
        return self._decompressor

    def _take(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self._interrupt()
            self._size += len(piece)
            if self._size > self._limit:
                raise UnsupportedError(
                    f"its decompressed size exceeds the limit of {self._limit} bytes, {self._size} so far",
                    hint="the limit protects against decompression bombs; "
                    "if you trust the image, raise it with --max-layer-size",
                )
            self._hasher.update(piece)
            self._tar.feed(piece)
            self._copy(self._size - len(piece), piece)


def _mislabelled(media_type: str, compression: str) -> str:
    if not mediatypes.is_layer(media_type):
        return f"its media type {quoted(media_type)} is not a known layer type, so containerd refuses it"
    if compression in _FOR_DOCKER_AND_PODMAN:
        return f"its content is {compression}, which containerd does not read"
    expected = mediatypes.LAYER_COMPRESSION[media_type]
    if not compression or expected in (None, compression):
        return ""
    return f"its media type says {expected}, but its content is {compression}; some readers rely on the type"
