"""A writer of patches, right or wrong on purpose, from docs/patch-format.md alone: it has nothing of imgfetch.

Every function returns bytes, so that a test may put anything in the place of anything.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import zstandard

Document = dict[str, Any]
_PREAMBLE = b"imgfetch patch 1"
_RAW_BLOCK = 128 * 1024


def number(value: int, width: int = 0) -> bytes:
    """Return a number of variable length; a ``width`` makes it longer than it need be."""
    digits = []
    while value > 0x7F or len(digits) + 1 < width:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def span(layer: int, moved: int, length: int) -> bytes:
    """Return a part of an old layer."""
    return number(layer) + number(2 * moved if moved >= 0 else -2 * moved - 1) + number(length)


def old(layer: int, moved: int, length: int) -> bytes:
    """Return a step that takes a part of an old layer."""
    return number(1) + span(layer, moved, length)


def new(length: int) -> bytes:
    """Return a step that takes bytes of the frame."""
    return number(2 * length)


def script(steps: Iterable[bytes], prefix: Sequence[bytes] = ()) -> bytes:
    """Return the instructions of a block."""
    return number(len(prefix)) + b"".join(prefix) + b"".join(steps)


def frame(content: bytes, prefix: bytes = b"", *, level: int = 3, has_size: bool = True) -> bytes:
    """Return content as a frame of Zstandard."""
    dictionary = zstandard.ZstdCompressionDict(prefix, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if prefix else None
    return zstandard.ZstdCompressor(level=level, dict_data=dictionary, write_content_size=has_size).compress(content)


def repeated(size: int, *, window_log: int = 27, says: int | None = None, dictionary: int = 0) -> bytes:
    """Return a frame of zeros, four bytes for 128 KiB of them (RFC 8878, section 3.1.1.2)."""
    header = b"\x28\xb5\x2f\xfd" + bytes([0xC0 | (3 if dictionary else 0), (window_log - 10) << 3])
    header += struct.pack("<I", dictionary) if dictionary else b""
    header += struct.pack("<Q", size if says is None else says)
    blocks = []
    for at in range(0, size, _RAW_BLOCK) or [0]:
        length = min(_RAW_BLOCK, size - at)
        blocks.append(struct.pack("<I", length << 3 | 1 << 1 | (at + length >= size))[:3] + b"\0")
    return header + b"".join(blocks)


def block(
    instructions: bytes,
    content: bytes = b"",
    *,
    packed: bytes | None = None,
    says: int | None = None,
    packed_says: int | None = None,
    content_says: int | None = None,
    reserved: int = 0,
    digest: bytes | None = None,
) -> bytes:
    """Return a block; ``packed`` is the frame of the instructions, and what ``says`` something else lies."""
    packed = frame(instructions, level=19) if packed is None else packed
    lengths = (
        len(packed) if packed_says is None else packed_says,
        len(instructions) if says is None else says,
        len(content) if content_says is None else content_says,
    )
    rest = struct.pack("<IIII", *lengths, reserved) + packed + content
    return (hashlib.sha256(rest).digest() if digest is None else digest) + rest


def head(document: Document | bytes, documents: Iterable[bytes] = (), *, says: int | None = None) -> bytes:
    """Return the content of the head's frame."""
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return struct.pack("<I", len(text) if says is None else says) + text + b"".join(documents)


def patch(content: bytes, blocks: Iterable[bytes] = (), *, packed: bytes | None = None) -> bytes:
    """Return a whole patch; ``packed`` is the frame of the head."""
    packed = frame(content) if packed is None else packed
    return _PREAMBLE + struct.pack("<Q", len(packed)) + hashlib.sha256(packed).digest() + packed + b"".join(blocks)


def document(result: bytes | tuple[int, str], blocks: Sequence[bytes] = (), **members: object) -> Document:
    """Return the JSON document of a head; ``result`` is the archive, or its size and hexadecimal SHA-256."""
    size, digest = (len(result), hashlib.sha256(result).hexdigest()) if isinstance(result, bytes) else result
    return {
        "base": [],
        "result": {"digest": f"sha256:{digest}", "size": size},
        "images": [],
        "documents": [],
        "blocks": len(blocks),
        "bytes": sum(map(len, blocks)),
        **members,
    }


def layer(content: bytes | Path, text: str = "layer 1/1 of registry.example/app:1") -> Document:
    """Return an old layer for the head."""
    raw = content if isinstance(content, bytes) else content.read_bytes()
    return {"diff_id": f"sha256:{hashlib.sha256(raw).hexdigest()}", "size": len(raw), "layer": text}
