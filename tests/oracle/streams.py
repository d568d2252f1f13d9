"""Gzip streams, right and wrong, for comparisons of decompressors."""

from __future__ import annotations

import random
import struct
import zlib

CHECKSUM, EXTRA, NAME, COMMENT = 2, 4, 8, 16
_TEXT = b" ".join(b"%d" % number for number in range(400))
_RANDOM = random.Random(0).randbytes(300)
_LENGTHS = (0, 1, 5, 510, 511, 512, 600)


def member(plain: bytes, *, flags: int = 0, fields: bytes = b"", crc: int | None = None, body: bytes = b"") -> bytes:
    """Return a gzip member with these header fields, and with a checksum of the header if the flags say so."""
    head = b"\x1f\x8b\x08" + bytes([flags]) + bytes(4) + b"\x00\x03" + fields
    if flags & CHECKSUM:
        head += struct.pack("<H", zlib.crc32(head) & 0xFFFF if crc is None else crc)
    return head + (body or deflated(plain)) + struct.pack("<II", zlib.crc32(plain), len(plain))


def deflated(plain: bytes, level: int = 6, strategy: int = 0) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
    return compressor.compress(plain) + compressor.flush()


def stream(rng: random.Random) -> bytes:
    """Return one to three members with any fields."""
    return b"".join(_member(rng) for _ in range(rng.choice([1, 1, 1, 2, 3])))


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Return a stream with up to three changes, most of them near its beginning."""
    changed = bytearray(data)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        at = rng.choice([rng.randrange(min(len(changed), 40)), rng.randrange(len(changed))])
        match rng.choice("bbbbbbrridz"):
            case "b":
                changed[at] ^= 1 << rng.randrange(8)
            case "r":
                changed[at] = rng.randrange(256)
            case "i":
                changed[at:at] = rng.randbytes(rng.randrange(1, 4))
            case "d":
                del changed[at : at + rng.randrange(1, 4)]
            case "z":
                changed += rng.choice([bytes(rng.randrange(1, 20)), rng.randbytes(9), b"\x1f\x8b\x08"])
        changed = changed or bytearray(1)
    return bytes(changed if rng.random() < 0.9 else changed[: rng.randrange(len(changed) + 1)])


def _member(rng: random.Random) -> bytes:
    plain = rng.choice(
        [b"", b"a", _TEXT[: rng.randrange(1000)], _RANDOM[: rng.randrange(300)], bytes(rng.randrange(2000))]
    )
    flags, fields = rng.choice([0, 0, 0, rng.randrange(256)]), b""
    if flags & EXTRA:
        length = rng.choice(_LENGTHS)
        fields += struct.pack("<H", length) + rng.randbytes(length)
    for flag in (NAME, COMMENT):
        if flags & flag:
            fields += bytes(rng.choices(b"abc\xff", k=rng.choice(_LENGTHS))) + b"\0"
    return member(plain, flags=flags, fields=fields, body=deflated(plain, rng.randrange(10), rng.randrange(5)))
