"""A layer's tar stream, checked against its ``diff_id`` while the layer passes by.

What the bytes are decides, not what they are called: the compression is recognised by magic, the
media type only counts for a warning (section 5 of the protocol notes, L01 to L22).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

from imgfetch.defaults import MAX_LAYER
from imgfetch.errors import ImgfetchError, UnsupportedError, VerificationError
from imgfetch.layers.compression import HEAD, Decompressor, decompressor, detect
from imgfetch.oci import mediatypes, strictjson
from imgfetch.oci.digest import Digest, Hasher
from imgfetch.text import quoted, sanitize

_SHOWN_MAGIC = 8
_KNOWN = {
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
    b"hsqs": "squashfs",
    b"LZIP": "lzip",
    b"<": "HTML or XML",
    b"{": "JSON",
}
"""What is not supported, by its first bytes, for the message (M22)."""


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """What a layer turned out to hold.

    Attributes:
        diff_id: the digest of its decompressed tar stream.
        compression: as `detect` names it.
        size: the stream's length in bytes.
        oddity: what is odd about the compressed data, or empty.
    """

    diff_id: Digest
    compression: str
    size: int
    oddity: str = ""

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            VerificationError: it is something else.
        """
        members = strictjson.Object(strictjson.loads(raw, "a note"), "a note")
        return cls(
            Digest.parse(members.get("diff_id")),
            members.text("compression"),
            members.count("size"),
            members.text("oddity"),
        )

    def to_json(self) -> bytes:
        """Return it as JSON."""
        members = {
            "diff_id": str(self.diff_id),
            "compression": self.compression,
            "size": self.size,
            "oddity": self.oddity,
        }
        return json.dumps(members).encode()

    def warnings(self, media_type: str) -> tuple[str, ...]:
        """Say what a reader may stumble over, given what the layer is called (L03, L05, L07, L11, L12, L22)."""
        return tuple(filter(None, (self.oddity, _mislabelled(media_type, self.compression))))

    def is_refused(self, media_type: str) -> bool:
        """Tell whether there are readers that do not take the layer as it is (L03, L08, L11, L12)."""
        is_called_plain = mediatypes.LAYER_COMPRESSION.get(media_type) == "plain"
        return bool(self.oddity) or (is_called_plain and self.compression != "plain")


class DiffIdCheck:
    """Decompresses what passes by, and hashes what comes out.

    An error in the data is kept until `finish`, so that damage on the way, which the blob's own digest
    tells, is not taken for a fault of the image.
    """

    def __init__(
        self,
        what: str,
        media_type: str,
        algorithm: str = "sha256",
        *,
        limit: int = MAX_LAYER,
        interrupt: Callable[[], None] | None = None,
    ) -> None:
        """Wait for the layer's first byte.

        Args:
            what: the layer's name in messages.
            media_type: what the layer is called.
            algorithm: that of the ``diff_id`` to be found.
            limit: bytes of the decompressed layer at most.
            interrupt: is called often, and raises an `ImgfetchError` to end the work.
        """
        self._what = what
        self._media_type = media_type
        self._hasher = Hasher(algorithm)
        self._limit = limit
        self._interrupt = interrupt or (lambda: None)
        self._size = 0
        self._head = b""
        self._compression: str | None = None
        self._decompressor: Decompressor | None = None
        self._error: ImgfetchError | None = None

    def update(self, data: bytes) -> None:
        """Take the next bytes of the layer as it is stored."""
        if self._error is not None:
            return
        try:
            if self._decompressor is not None:
                self._take(self._decompressor.feed(data))
                return
            self._head += data
            if len(self._head) >= HEAD:
                self._take(self._begin().feed(self._head))
        except ImgfetchError as error:
            # The frames of its traceback know the decompressor, whose window would live as long as the error.
            error.__traceback__ = error.__context__ = self._decompressor = None
            self._error = error

    def finish(self) -> LayerInfo:
        """Return what the layer holds, now that all of it has passed by.

        Raises:
            VerificationError: the compressed data is damaged or incomplete.
            UnsupportedError: the compression is unknown, or asks for too much.
        """
        try:
            if self._error is not None:
                raise self._error
            if self._decompressor is None:
                self._take(self._begin().feed(self._head))
            oddity = self._decompressor.finish() if self._decompressor else None
        except VerificationError as error:
            raise VerificationError(
                f"{self._what} is broken: {error}", hint="the image is broken; docker load would refuse it too"
            ) from None
        except UnsupportedError as error:
            raise UnsupportedError(f"{self._what} cannot be read: {error}", hint=error.hint) from None
        finally:
            self._decompressor = None
        return LayerInfo(self._hasher.digest, self._compression or "", self._size, oddity or "")

    def _begin(self) -> Decompressor:
        self._compression = detect(self._head)
        if self._compression is None:
            magic = self._head[:_SHOWN_MAGIC].hex(" ")
            kind = next((f" ({name})" for sign, name in _KNOWN.items() if self._head.startswith(sign)), "")
            raise UnsupportedError(
                f"it is neither a tar nor compressed in a known way: it begins with {magic}{kind}, "
                f"its type is {sanitize(self._media_type) or 'not given'}",
                hint="gzip, zstd, bzip2, xz and plain tars are known; ask the publisher for one of them",
            )
        self._decompressor = decompressor(self._compression)
        return self._decompressor

    def _take(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self._interrupt()
            self._size += len(piece)
            if self._size > self._limit:
                raise UnsupportedError(
                    f"decompressed it is larger than {self._limit} bytes, the limit; {self._size} bytes had come",
                    hint="the limit guards against bombs; --max-layer-size allows more, if the image is to be trusted",
                )
            self._hasher.update(piece)


def _mislabelled(media_type: str, compression: str) -> str:
    """Say that the media type promises something else."""
    if media_type not in mediatypes.LAYER_COMPRESSION:
        return f"its media type {quoted(media_type)} is not one of a layer"
    promised = mediatypes.LAYER_COMPRESSION[media_type]
    if promised in (None, compression):
        return ""
    return f"its media type promises {promised}, but it is {compression}; some readers go by the type"
