"""A second reader of patches, from docs/patch-format.md alone, to compare with imgfetch's.

It raises an error of some kind for whatever the page does not allow.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import zstandard

MIB = 1024**2
_SHAPE = {"base": list, "result": dict, "images": list, "documents": list, "blocks": int, "bytes": int}
_PARTS = 100_000


class Reading(NamedTuple):
    """A patch that was read: the JSON document of its head, and its result."""

    head: Mapping[str, Any]
    result: bytes


def read(raw: bytes, layers: Mapping[str, bytes]) -> Reading:
    """Read a patch; ``layers`` are old ones by diff_id."""
    kind, length, digest = struct.unpack("<16sQ32s", raw[:56])
    packed, rest = raw[56 : 56 + length], raw[56 + length :]
    require(kind == b"imgfetch patch 1" and length <= 16 * MIB and len(packed) == length)
    require(hashlib.sha256(packed).digest() == digest)
    head = _head(unpacked(packed, 16 * MIB))
    old = [layers[layer["diff_id"]] for layer in head["base"]]
    require(all(layer["size"] == len(content) for layer, content in zip(head["base"], old, strict=True)))
    require(len(rest) == head["bytes"])
    result, work = bytearray(), 0
    for _ in range(head["blocks"]):
        rest, made, cost = _block(rest, old)
        result += made
        work += cost
        require(work <= 16 * (len(result) + sum(map(len, old))) + 1024 * MIB)
    require(not rest and len(result) == head["result"]["size"])
    require("sha256:" + hashlib.sha256(result).hexdigest() == head["result"]["digest"])
    return Reading(head, bytes(result))


def require(condition: object) -> None:
    if not condition:
        raise ValueError


def unpacked(packed: bytes, limit: int, prefix: bytes = b"") -> bytes:
    """Return the content of a frame that says its size."""
    about = zstandard.get_frame_parameters(packed)
    require(about.content_size <= limit and about.window_size <= 128 * MIB and not about.dict_id)
    require(packed[:4] == b"\x28\xb5\x2f\xfd")
    dictionary = zstandard.ZstdCompressionDict(prefix, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if prefix else None
    unpacker = zstandard.ZstdDecompressor(dict_data=dictionary)
    content = unpacker.decompress(packed, allow_extra_data=False)
    require(len(content) == about.content_size)
    return content


def _head(content: bytes) -> dict[str, Any]:
    (length,) = struct.unpack("<I", content[:4])
    text, documents = content[4 : 4 + length], content[4 + length :]
    head = json.loads(text.decode(), object_pairs_hook=_each_once)
    require(len(text) == length and head.keys() == _SHAPE.keys())
    require(all(type(head[key]) is kind for key, kind in _SHAPE.items()))
    require(
        len(documents) == sum(head["documents"]) and all(type(size) is int and size >= 0 for size in head["documents"])
    )
    require(head["blocks"] >= 0 and head["bytes"] >= 0 and len(head["base"]) <= 4096)
    require(all(each.keys() == {"diff_id", "size", "layer"} for each in head["base"]))
    require(all(each.keys() == {"names", "id", "platform"} for each in head["images"]))
    require(all(type(each["layer"]) is str for each in head["base"]))
    require(all(type(each["platform"]) is str and _is_digest(each["id"]) for each in head["images"]))
    require(all(type(name) is str for each in head["images"] for name in [*each["names"], ""]))
    require(head["result"].keys() == {"digest", "size"})
    return dict(head)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    require(len(dict(pairs)) == len(pairs))
    return dict(pairs)


def _is_digest(text: str) -> object:
    return re.fullmatch("sha256:[0-9a-f]{64}", text)


def _block(raw: bytes, old: Sequence[bytes]) -> tuple[bytes, bytes, int]:
    """Return what is behind a block, what it makes, and its work."""
    digest, packed, length, frame, reserved = struct.unpack("<32sIIII", raw[:48])
    end = 48 + packed + frame
    require(packed <= 4 * MIB and length <= 4 * MIB and len(raw) >= end and not reserved)
    require(hashlib.sha256(raw[32:end]).digest() == digest)
    script = unpacked(raw[48 : 48 + packed], 4 * MIB)
    require(len(script) == length)
    prefix, steps = parsed(numbers(script), old)
    size = sum(step for step in steps if isinstance(step, int))
    require(size <= 32 * MIB and sum(map(len, prefix)) <= 96 * MIB and (size or not (frame or prefix)))
    content = unpacked(raw[48 + packed : end], 32 * MIB, b"".join(prefix)) if size else b""
    require(len(content) == size)
    return raw[end:], played(steps, content), sum(map(len, prefix)) + 4096 * (1 + len(prefix) + len(steps))


def played(steps: Sequence[bytes | int], content: bytes) -> bytes:
    """Return what steps make with the content of a frame."""
    made, at = bytearray(), 0
    for step in steps:
        made += content[at : at + step] if isinstance(step, int) else step
        at += step if isinstance(step, int) else 0
    return bytes(made)


def numbers(script: bytes) -> Iterator[int]:
    """Yield the numbers of a script."""
    at = 0
    while at < len(script):
        end = at
        while script[end] & 0x80:
            end += 1
            require(end < len(script))
        digits = script[at : end + 1]
        require(len(digits) <= 9 and (len(digits) == 1 or digits[-1]))
        yield sum((digit & 0x7F) << 7 * place for place, digit in enumerate(digits))
        at = end + 1


def parsed(values: Iterator[int], old: Sequence[bytes]) -> tuple[list[bytes], list[bytes | int]]:
    """Return the parts of the prefix, and the steps: bytes of old layers, and lengths of new content."""
    ends: dict[int, int] = {}

    def span() -> bytes:
        layer, moved, length = (_next(values) for _ in range(3))
        start = ends.get(layer, 0) + (moved // 2 if moved % 2 == 0 else -(moved + 1) // 2)
        require(layer < len(old) and length >= 1 and 0 <= start <= start + length <= len(old[layer]))
        ends[layer] = start + length
        return old[layer][start : start + length]

    count = _next(values)
    require(count <= _PARTS)
    prefix = [span() for _ in range(count)]
    steps: list[bytes | int] = []
    for value in values:
        require(value == 1 or (value and value % 2 == 0))
        steps.append(span() if value == 1 else value // 2)
    require(len(steps) <= _PARTS)
    return prefix, steps


def _next(values: Iterator[int]) -> int:
    value = next(values, None)
    if value is None:
        raise ValueError
    return value
