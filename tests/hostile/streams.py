"""Archives that are several at once, for readers that decompress differently or go on behind the end."""

from __future__ import annotations

import bz2
import gzip
import lzma

from tests.headers import checked, header
from tests.hostile.parts import (
    END,
    Hostile,
    Make,
    Pair,
    before,
    blobs,
    both,
    packed,
    planted_archive,
    planted_documents,
    tar,
)
from tests.images import zstd

_GZIP_HEADER = 12  # with the length of an extra field
_SKIPPABLE = b"\x50\x2a\x4d\x18"


def _block(start: bytes) -> bytes:
    """Return a tar header that begins with the magic of a compression: an empty file with an odd name."""
    return checked(start + header(b"")[len(start) :])


def _gzip_and_tar(hidden: bytes, content: bytes) -> bytes:
    """Return a gzip file that is a plain tar of something else, in its extra field."""
    length = (512 - _GZIP_HEADER + len(hidden)).to_bytes(2, "little")
    return _block(b"\x1f\x8b\x08\x04" + bytes(4) + b"\x02\xff" + length) + hidden + gzip.compress(content)[10:]


def _zstd_and_tar(hidden: bytes, content: bytes) -> bytes:
    """Return a zstd file that is a plain tar of something else, in a skippable frame."""
    return _block(_SKIPPABLE + (504 + len(hidden)).to_bytes(4, "little")) + hidden + zstd(content)


def _good(pair: Pair) -> bytes:
    return tar(both(pair))


def _zipped(pair: Pair) -> bytes:
    return gzip.compress(_good(pair), mtime=0)


def _two_members(pair: Pair) -> bytes:
    return _zipped(pair) + gzip.compress(planted_archive(pair), mtime=0)


def _split_members(pair: Pair) -> bytes:
    """Return a gzip file whose first member is an archive without an end, and whose second replaces its documents."""
    return gzip.compress(packed(both(pair))) + gzip.compress(planted_archive(pair))


def _empty_first(pair: Pair) -> bytes:
    """Return a gzip file whose first member is an empty archive."""
    return gzip.compress(END) + _zipped(pair)


def _behind_zeros(pair: Pair) -> bytes:
    more = packed({**planted_documents(pair), **blobs(pair.planted)})
    return packed(both(pair)) + bytes(512) + more + END


_POLYGLOTS: dict[str, Make] = {
    "a gzip file that is a tar of another": lambda pair: _gzip_and_tar(planted_archive(pair), _good(pair)),
    "a zstd file that is a tar of another": lambda pair: _zstd_and_tar(planted_archive(pair), _good(pair)),
    "a gzip file of a gzip file that is a tar": lambda pair: gzip.compress(
        _gzip_and_tar(_good(pair), planted_archive(pair))
    ),
    "a zstd file of a zstd file that is a tar": lambda pair: zstd(_zstd_and_tar(_good(pair), planted_archive(pair))),
}
STREAMS: dict[str, Hostile] = {
    **{title: Hostile(make) for title, make in _POLYGLOTS.items()},
    "two gzip members, each an archive": Hostile(_two_members),
    "two gzip members, the first without an end": Hostile(_split_members),
    "two gzip members, the first empty": Hostile(_empty_first),
    "two zstd frames, each an archive": Hostile(lambda pair: zstd(_good(pair)) + zstd(planted_archive(pair))),
    "two bzip2 streams, each an archive": Hostile(
        lambda pair: bz2.compress(_good(pair)) + bz2.compress(planted_archive(pair))
    ),
    "two xz streams, each an archive": Hostile(
        lambda pair: lzma.compress(_good(pair)) + lzma.compress(planted_archive(pair))
    ),
    "two tars": Hostile(lambda pair: _good(pair) + planted_archive(pair)),
    "a tar without entries, and an archive": Hostile(lambda pair: END + _good(pair)),
    "a block of zeros, and more entries": Hostile(_behind_zeros),
    "a block of zeros before an archive": before(lambda _: bytes(512)),
    "a block of zeros, and garbage": Hostile(lambda pair: packed(both(pair)) + bytes(512) + b"x" * 512 + END),
    "an archive without an end": Hostile(lambda pair: packed(both(pair))),
    "an archive with half an end": Hostile(lambda pair: packed(both(pair)) + bytes(512)),
    "a gzip file of an archive, and a tar behind": Hostile(lambda pair: _zipped(pair) + planted_archive(pair)),
    "a gzip file of an archive, and garbage behind": Hostile(lambda pair: _zipped(pair) + b"garbage"),
    "a gzip file of an archive, and zeros behind": Hostile(lambda pair: _zipped(pair) + bytes(512)),
    "a zstd file of an archive, and garbage behind": Hostile(lambda pair: zstd(_good(pair)) + b"garbage"),
    "a bzip2 file of an archive, and garbage behind": Hostile(lambda pair: bz2.compress(_good(pair)) + b"garbage"),
    "an xz file of an archive, and garbage behind": Hostile(lambda pair: lzma.compress(_good(pair)) + b"garbage"),
    "a tar behind garbage": Hostile(lambda pair: b"garbage".ljust(512) + _good(pair)),
    "a gzip file of a gzip file": Hostile(lambda pair: gzip.compress(_zipped(pair))),
    "a gzip file with a wrong checksum": Hostile(lambda pair: _zipped(pair)[:-8] + bytes(4) + _zipped(pair)[-4:]),
}
