from __future__ import annotations

import gzip
import random
import subprocess
import sys
import zlib

import pytest

from imgfetch import inflate
from imgfetch.inflate import GZIP, InflateError, _ByIsal, _ByZlib

pytest.importorskip("isal", reason="isal has no build for this machine")

TEXT = b" ".join(b"%d" % number for number in range(4000))


def outcome(library: type[_ByIsal | _ByZlib], data: bytes, step: int) -> tuple[bytes, bool, bytes] | None:
    """Return what comes out, whether the end came, and what stands behind it; nothing if the data is damaged."""
    stream = library(GZIP)
    out, rest = b"", data
    try:
        while rest and not stream.eof:
            out += stream.decompress(rest[:step], 5000)
            while not stream.eof and not stream.needs_input:
                out += stream.decompress(b"", 5000)
            rest = rest[step:]
    except InflateError:
        return None
    return out, stream.eof, stream.unused_data + rest


@pytest.mark.parametrize("step", [1, 7, 1000, 10**6])
def test_both_libraries_agree_on_whole_streams(step: int) -> None:
    with_name = bytearray(gzip.compress(TEXT))
    with_name[3] |= 8  # FNAME
    with_name[10:10] = b"name.tar\0"
    for data in (gzip.compress(TEXT), gzip.compress(b""), gzip.compress(TEXT, 0), bytes(with_name)):
        for tail in (b"", b"tail", bytes(20)):
            assert outcome(_ByIsal, data + tail, step) == outcome(_ByZlib, data + tail, step) != None  # noqa: E711


def test_neither_library_takes_for_whole_what_was_damaged() -> None:
    rng = random.Random(1)
    data = gzip.compress(TEXT)
    for _ in range(1500):
        bad = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            bad[rng.randrange(10, len(bad))] ^= 1 << rng.randrange(8)
        raw = bytes(bad)[: rng.randint(len(bad) - 12, len(bad))]
        for library in (_ByIsal, _ByZlib):
            result = outcome(library, raw, rng.choice([100, 10**6]))
            assert result is None or not result[1] or result[0] == TEXT, (library, raw)


def test_what_inflates_is_known_by_name() -> None:
    assert inflate.ENGINE.startswith("isal ")


def test_without_isal_zlib_takes_its_place() -> None:
    code = "import sys; sys.modules['isal'] = None; from imgfetch import inflate; print(inflate.ENGINE)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
